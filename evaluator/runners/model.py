"""The harness's side of a submitted model: a private copy of its files, and runs in the submission's workers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import PEAKS, Pixels
from evaluator.ingest import Submission
from evaluator.ingest.sources import Source, TooLarge
from evaluator.runners.client import Failed, Refused, Stopped, Workers
from evaluator.runners.frames import Array, Limits
from evaluator.runners.told import problem_fields

Role = Literal["quality", "latency"]
Device = Literal["cpu", "cuda"]
_FILE_LIMIT = 4 << 30
_TOTAL_LIMIT = 8 << 30


class RunFailed(Exception):
    """The model gave no usable output; `finding` says why, for the file that the caller names.

    `limit` is the limit by which it was stopped (see `Stopped`), or empty.
    """

    def __init__(self, finding: Finding, limit: str = "") -> None:
        super().__init__(f"expected {finding.expected}; got {finding.got}")
        self.finding = finding
        self.limit = limit


@dataclass(frozen=True)
class Ran:
    """What a run gave."""

    output: Array
    seconds: float
    """Wall time by the harness's clock, the way to the worker and back included."""
    seams: float | None
    """The largest difference of neighbouring tiles where they overlap, as a share of white; None without tiles."""


@dataclass(frozen=True)
class ModelRunner:
    """A model, and the workers that run it. Cheap to pickle."""

    folder: Path
    """A private copy of the submission's files, or a baseline's own folder."""
    manifest: Mapping[str, Any]
    version: str
    """sha256 over the submission's files, by name."""
    workers: Workers

    @classmethod
    def of(cls, submission: Submission, folder: Path, workers: Workers) -> ModelRunner:
        """Return the runner of a submission whose files lie in `folder`."""
        manifest = submission.manifest.model_dump(mode="json", by_alias=True)
        return cls(folder, manifest, digest(folder), workers)

    def load(self, role: Role = "quality") -> None:
        """Have a worker load the model, which it then has for the first case.

        Raises:
            RunFailed: it cannot be loaded.
        """
        with failing():
            self.workers.prepare(self.opening(role))

    def run(
        self,
        inputs: Mapping[str, Pixels],
        *,
        limit: int,
        role: Role = "quality",
        changes: Mapping[str, Any] | None = None,
    ) -> Ran:
        """Run the model on one case.

        Args:
            inputs: the case's images by role; the manifest says which are wanted, `input` alone if it says nothing.
            limit: bytes that the output may take at most.
            role: which artefact.
            changes: entries of the manifest's table [model] to run it with instead of its own.

        Raises:
            RunFailed: it gave no output, or was stopped.
        """
        opening = self.opening(role, changes)
        given = self.given(inputs)
        request = {"job": "restore", "key": opening["key"], "peaks": [image.peak for image in given], "limit": limit}
        arrays = [image.array for image in given]
        with failing():
            text, payloads, seconds = self.workers.ask(
                request, arrays, answer=Limits(text=1 << 20, payloads=1, payload=limit), first=[opening]
            )
        problem = text.get("problem")
        if isinstance(problem, dict):
            raise RunFailed(problem_finding(problem))
        output = payloads[0] if payloads else b""
        if isinstance(output, bytes) or output.dtype.name not in PEAKS:
            got = "an answer that is no array of uint8, uint16 or float"
            raise RunFailed(Finding.error("run-failed", "", "an image", got, "Run it yourself on this case."))
        seams = text.get("seams")
        return Ran(output, seconds, seams if isinstance(seams, float) and math.isfinite(seams) else None)

    def opening(
        self,
        role: Role,
        changes: Mapping[str, Any] | None = None,
        *,
        threads: int = 1,
        device: Device = "cpu",
    ) -> dict[str, Any]:
        """Return the request by which a worker loads the model."""
        manifest = dict(self.manifest)
        if changes:
            manifest["model"] = {**manifest["model"], **changes}
        key = f"{role} {json.dumps(changes, sort_keys=True)} {threads} {device}"
        where = self.workers.inside(self.folder)
        return {
            "job": "load",
            "key": key,
            "folder": where,
            "manifest": manifest,
            "role": role,
            "threads": threads,
            "device": device,
        }

    def given(self, inputs: Mapping[str, Pixels]) -> list[Pixels]:
        """Return the inputs that the manifest names.

        Raises:
            RunFailed: the task has none of a name.
        """
        table = self.manifest.get("model") or self.manifest.get("python") or {}
        names = table.get("inputs") or ["input"]
        unknown = [name for name in names if name not in inputs]
        if unknown:
            expected = f"inputs among {', '.join(sorted(inputs))}"
            fix = "Correct inputs in submission.toml; `evaluate tasks show` says what a case holds."
            raise RunFailed(Finding.error("model-shape", "", expected, ", ".join(unknown), fix))
        return [inputs[name] for name in names]


@contextmanager
def failing() -> Iterator[None]:
    """Turn what workers raise into findings.

    Raises:
        RunFailed: a worker was stopped, refused or failed.
    """
    try:
        yield
    except Stopped as stop:
        fix = "Run it yourself on this case and look at what it needs; the limits are the task's."
        raise RunFailed(
            Finding.error("stopped", "", "an output within the limits", str(stop), fix), stop.limit
        ) from None
    except Refused as refusal:
        raise RunFailed(problem_finding(refusal.problem)) from None
    except Failed as failure:
        fix = "Run it yourself on this case."
        raise RunFailed(Finding.error("run-failed", "", "an output", str(failure), fix)) from None


def problem_finding(problem: Mapping[str, Any]) -> Finding:
    """Return what a worker told of a model as a finding, for a file that the caller names."""
    return Finding.error(file="", **problem_fields(problem))


def copy_files(source: Source, names: Mapping[str, int], folder: Path) -> None:
    """Copy a submission's files to a private folder, so that they stay as they are while they are looked at.

    Args:
        source: the submission's files.
        names: those to copy; names were checked by the source's scan.
        folder: where to; it must not exist yet.

    Raises:
        EvaluatorError: a file cannot be read, or all together are too large.
    """
    left = _TOTAL_LIMIT
    folder.mkdir()
    for name in names:
        if "__pycache__" in name.split("/"):
            continue  # it could hold other code than what lies beside it, and is not part of the digest
        try:
            data = source.read(name, min(_FILE_LIMIT, left))
        except TooLarge:
            finding = Finding.error(
                "too-large", name, f"at most {_TOTAL_LIMIT >> 30} GiB in all", "more than that", "Send the model only."
            )
            raise EvaluatorError(f"{source.path} is too large.", [finding]) from None
        except OSError as error:
            finding = Finding.error("unreadable", name, "a readable file", str(error), "Send the file again.")
            raise EvaluatorError(f"{source.path} cannot be read.", [finding]) from None
        left -= len(data)
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            fix = "Rename it; or make room on this machine, if that is what is missing."
            finding = Finding.error("unreadable", name, "a file that can be copied", str(error.strerror), fix)
            raise EvaluatorError(f"{source.path} cannot be copied.", [finding]) from None
    open_to_workers(folder)


def open_to_workers(path: Path) -> None:
    """Let every user read a file, or a folder and all in it: workers may run as another one."""
    for inner in (path, *path.rglob("*")):
        inner.chmod(0o755 if inner.is_dir() else 0o444)


def digest(folder: Path) -> str:
    """Return the sha256 over a folder's files, by name."""
    whole = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        name = file.relative_to(folder).as_posix()
        whole.update(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()
