"""The device card: true on this machine, and possible on machines that say less of themselves."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.efficiency import Hardware, this_machine
from evaluator.efficiency.hardware import usable_cores


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The card is made once per process: a test that changes it must not leave it to others."""
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


def test_the_card_names_processor_cores_memory_and_system() -> None:
    found = this_machine()
    assert found.processor
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_gib is None or found.memory_gib > 0
    assert found.system == f"{platform.system()} {platform.machine()}"
    assert Hardware.model_validate_json(found.model_dump_json()) == found


def test_no_host_or_user_name_stands_on_the_card() -> None:
    assert set(this_machine().model_dump()) == {"processor", "cores", "memory_gib", "system"}


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert usable_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_memory_that_the_system_does_not_tell_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert this_machine().memory_gib is None


def test_memory_is_in_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.__getitem__)
    assert this_machine().memory_gib == 8.0


def test_without_cpuinfo_the_processor_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert this_machine().processor == "riscv64"
