"""The environment: versions that are really those of this process."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

import numpy as np
import pytest

from evaluator import __version__
from evaluator.efficiency import this_machine
from evaluator.results import environment


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The environment is found out once per process: a test that changes it must not leave it to others."""
    environment.cache_clear()
    yield
    environment.cache_clear()


def test_versions_are_those_that_run() -> None:
    found = environment()
    assert found.evaluator == __version__
    assert found.python == platform.python_version()
    assert found.packages["numpy"] == np.__version__
    assert found.hardware == this_machine()


def test_every_package_that_decodes_or_computes_is_named() -> None:
    wanted = {"numpy", "scipy", "opencv-python-headless", "pillow", "tifffile", "scikit-image"}
    assert set(environment().packages) == wanted


def test_a_package_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "opencv-python-headless":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = environment().packages
    assert found["opencv-python-headless"] == "not installed under this name"
    assert found["numpy"] == "1.0"
