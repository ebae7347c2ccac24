"""Python submissions in real workers, and what of them is left when they should be gone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import Pixels
from evaluator.ingest import open_submission
from evaluator.runners import ModelRunner, Reception
from evaluator.tasks import Limits

MakeModel = Callable[..., ModelRunner]


@pytest.fixture
def put_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a Python submission: code of `model.py`, and other files; return its folder."""

    def put(code: str, files: Mapping[str, str] | None = None, *, name: str = "mine", entry: str = "") -> Path:
        folder = tmp_path / name
        manifest = f'kind = "python"\n[python]\nentry = "{entry or "model:restore"}"\n'
        for file, text in {"submission.toml": manifest, "model.py": code, **(files or {})}.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder

    return put


@pytest.fixture
def model(put_model: Callable[..., Path]) -> Iterator[MakeModel]:
    """Make a runner for the code of a `model.py`; keywords are the task's limits."""
    receptions = []

    def make(code: str, files: Mapping[str, str] | None = None, entry: str = "", **limits: float) -> ModelRunner:
        folder = put_model(code, files, name=f"model-{len(receptions)}", entry=entry)
        receptions.append(Reception(Limits(**limits)))
        submission = open_submission(folder, ["a"])
        return ModelRunner.of(submission, *receptions[-1].model(submission))

    yield make
    for reception in receptions:
        reception.close()


@pytest.fixture
def image() -> Pixels:
    """An input of 8×9 pixels."""
    return Pixels(np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3), 255.0)


@pytest.fixture
def processes() -> Callable[[], int]:
    """Count the processes that come from this one; those that were just ended are given a moment to go."""
    if sys.platform != "linux":
        pytest.skip("processes are counted by /proc")
    from evaluator.runners.sandbox.confine import descendants

    def count() -> int:
        lowest = len(list(descendants(os.getpid())))
        for _ in range(100):
            time.sleep(0.01)
            lowest = min(lowest, len(list(descendants(os.getpid()))))
        return lowest

    return count
