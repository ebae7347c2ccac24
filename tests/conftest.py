"""Fixtures that all tests share: a tiny task with its data, submissions for it, the real data, the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from support import Run, Tiny, make_tiny

# Nothing is asserted by a clock, and a run says the same twice; HYPOTHESIS_PROFILE=explore looks for new examples.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A tiny task with data."""
    return make_tiny(tmp_path)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets, or a skip that says how to get these tests to run."""
    named = os.environ.get("EVALUATOR_DATA")
    if not named:
        pytest.skip("EVALUATOR_DATA is not set: tests on real data sets are left out")
    return Path(named)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep generated mini splits of the tests out of the user's cache."""
    before = os.environ.get("EVALUATOR_CACHE")
    os.environ["EVALUATOR_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["EVALUATOR_CACHE"]
    else:
        os.environ["EVALUATOR_CACHE"] = before


@pytest.fixture(autouse=True)
def _same_backend() -> Iterator[None]:
    """No code leaves a choice of Keras's backend to the processes that others start later."""
    before = os.environ.get("KERAS_BACKEND")
    yield
    assert os.environ.get("KERAS_BACKEND") == before, "KERAS_BACKEND was left in the environment"


@pytest.fixture(scope="session")
def command() -> str:
    """The path of the installed command `evaluate`."""
    beside = Path(sys.executable).parent / "evaluate"
    found = str(beside) if beside.exists() else shutil.which("evaluate")
    assert found, "the command `evaluate` is not installed in this environment"
    return found


@pytest.fixture
def evaluate(command: str, tmp_path: Path) -> Run:
    """Run `evaluate` with arguments in a real subprocess, in `tmp_path`; keyword `env` adds variables."""

    def run(
        *arguments: str | Path, env: dict[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def level(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have this test run at a level; it is skipped where that is not to be had."""

    def choose(name: str) -> None:
        from evaluator.runners.sandbox import Level, isolation

        monkeypatch.setenv("EVALUATOR_SANDBOX", name)
        if isolation().level is not Level(name):
            pytest.skip(f"level {name} is not available here")

    return choose
