"""Run a Python baseline inside this process. Only for baselines that ship with the harness: see `open_submission`."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import PEAKS, Pixels
from evaluator.ingest import Submission

Restore = Callable[[NDArray[Any]], NDArray[Any]]
"""A baseline's entry: `(H, W, C)` pixels as the split holds them (uint8, uint16, or float in [0, 1]) to an array of the
same height and width, of any of these types."""


class RunFailed(Exception):
    """The model gave no usable output for a case; the message says why."""


@dataclass(frozen=True)
class PythonRunner:
    """A baseline's function. Cheap to pickle: the module is imported where it is first called."""

    folder: Path
    entry: str
    version: str
    """sha256 over the baseline's files, by name."""

    @classmethod
    def of(cls, submission: Submission) -> PythonRunner:
        """Return the runner for a submission of kind `python`.

        Raises:
            EvaluatorError: it is none of the baselines, or its entry cannot be loaded.
        """
        if not submission.is_baseline or submission.manifest.python is None:
            raise EvaluatorError(f"{submission.source.path} is no baseline of the harness; its code is not run.")
        folder = submission.source.path.resolve()
        runner = cls(folder, submission.manifest.python.entry, _digest(folder))
        _load(runner.folder, runner.entry, runner.version)
        return runner

    def run(self, image: Pixels) -> tuple[NDArray[Any], float]:
        """Run the model on one input; return its output and the wall time in seconds.

        Raises:
            RunFailed: it raised, or returned something that is no image.
        """
        restore = _load(self.folder, self.entry, self.version)
        array = image.array.copy()  # what the function does to its argument must not reach the reference cache
        begin = time.perf_counter()
        try:
            output = restore(array)
        except Exception as error:  # a baseline may fail in any way; the case is then `failed`
            raise RunFailed(f"{type(error).__name__}: {error}") from error
        seconds = time.perf_counter() - begin
        if not isinstance(output, np.ndarray) or output.dtype.name not in PEAKS:
            kind = output.dtype.name if isinstance(output, np.ndarray) else type(output).__name__
            raise RunFailed(f"it returned {kind}, not a uint8, uint16 or float array")
        return np.ascontiguousarray(output), seconds


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        name = file.relative_to(folder).as_posix()
        whole.update(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=64)
def _load(folder: Path, entry: str, version: str) -> Restore:
    module_name, _, function_name = entry.partition(":")
    file = folder / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"evaluator_baseline_{folder.name}_{module_name}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise EvaluatorError(f"Baseline {folder.name}: there is no {file}, which its entry {entry} names.")
    module = importlib.util.module_from_spec(spec)
    try:
        # Compiled here, not by the loader: its cache tells files by size and second only.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102 - code of our own baselines
    except Exception as error:  # its own dependencies may be missing, say
        raise EvaluatorError(f"Baseline {folder.name} cannot be loaded: {type(error).__name__}: {error}.") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise EvaluatorError(f"Baseline {folder.name}: {file} defines no function {function_name}.")
    restore: Restore = function
    return restore
