"""Files that workers read and decode: archives, outputs, images of any size."""

from __future__ import annotations

import ctypes
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import Header, ImageProblem, Pixels, peak_of
from evaluator.ingest.reader import Expected, Reading, fetch
from evaluator.ingest.sources import Source, TooLarge
from evaluator.runners.client import LISTING, Answer, Failed, Stopped, Workers
from evaluator.runners.frames import Array, Limits
from evaluator.runners.told import findings_of, leads_inside, problem_fields, shown

_SHA256 = re.compile("[0-9a-f]{64}")
_HEADER = TypeAdapter(Header)
_SCHED_GETCPU = getattr(ctypes.CDLL(None), "sched_getcpu", None) if sys.platform == "linux" else None


class WorkerSource:
    """An archive, or a file of all outputs, that workers list and read."""

    def __init__(self, path: Path, workers: Workers, copy: Path, cases: Sequence[str]) -> None:
        """Name what is read.

        Args:
            path: what the team sent, for messages.
            workers: the submission's.
            copy: what the workers read: a private copy, mounted.
            cases: the ids of the split's cases.
        """
        self.path, self.workers = path, workers
        self._inside = workers.inside(copy)
        self._open = {"job": "scan", "path": self._inside, "cases": list(cases)}

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `evaluator.ingest.sources.Source`.

        Raises:
            EvaluatorError: it is no archive that can be used.
        """
        try:
            text = self.workers.ask(self._open, answer=Limits(text=LISTING)).text
        except (Stopped, Failed) as reason:
            finding = Finding.error(
                "archive", self.path.name, "an archive that can be listed", str(reason), "Make the archive again."
            )
            raise EvaluatorError(f"{self.path} cannot be opened.", [finding]) from None
        findings = findings_of(text)
        if "error" in text:
            # The worker knows it by its path in the sandbox.
            raise EvaluatorError(shown(str(text["error"])).replace(self._inside, str(self.path)), findings)
        names = text.get("names")
        sound = isinstance(names, dict) and all(
            leads_inside(n) and type(size) is int and size >= 0 for n, size in names.items()
        )
        if not sound or not isinstance(names, dict):
            raise EvaluatorError(f"{self.path} cannot be opened: the worker's list of it makes no sense.")
        return names, list(findings)

    def read(self, name: str, limit: int) -> bytes:
        """See `evaluator.ingest.sources.Source`."""
        request = {"job": "read", "file": name, "limit": limit}
        try:
            text, payloads, _ = self.workers.ask(request, answer=Limits(payloads=1, payload=limit), first=[self._open])
        except (Stopped, Failed) as reason:
            raise OSError(str(reason)) from None
        if text.get("too_large"):
            raise TooLarge
        if not payloads or not isinstance(payloads[0], bytes):
            raise OSError(shown(str(text.get("error", "no bytes came"))))
        return payloads[0]

    def read_output(self, name: str, expected: Expected) -> Answer:
        """Ask for one output, read and decoded."""
        return self.workers.ask(_output_request(name, expected), answer=_output_limits(expected), first=[self._open])


def read_output(source: Source, name: str, expected: Expected, workers: Workers) -> Reading:
    """Read one submitted file and have it decoded; never raises for what it holds.

    Args:
        source: the submission's files.
        name: the file's name in it.
        expected: what the case's output must be.
        workers: the submission's.
    """
    whole = hashlib.sha256()
    try:
        if isinstance(source, WorkerSource):
            text, payloads, _ = source.read_output(name, expected)
            digest = _digest(text.get("sha256"))
        else:
            data = fetch(source, name, expected)
            if isinstance(data, Finding):
                return Reading(None, "", (data,))
            request, limits = _output_request(name, expected), _output_limits(expected)
            text, payloads, _ = workers.ask(request, [data], answer=limits, meanwhile=lambda: whole.update(data))
            digest = whole.hexdigest()
    except (Stopped, Failed) as reason:
        return Reading(None, "", (stopped_finding(name, reason),))
    findings = findings_of(text)
    if not payloads:
        return Reading(None, digest, findings or (_senseless(name),))
    array = payloads[0]
    pixels = None if isinstance(array, bytes) else _pixels(array, expected)
    return Reading(pixels, digest, findings if pixels else (*findings, _senseless(name)))


def decode(data: bytes, workers: Workers, *, limit: int = 1 << 31) -> tuple[Pixels, Header]:
    """Have an image of any size decoded; return it and its header.

    Raises:
        ImageProblem: it is none.
        Stopped: the worker was stopped.
        Failed: the worker failed.
    """
    text, payloads, _ = workers.ask({"job": "image"}, [data], answer=Limits(payloads=1, payload=limit))
    problem = text.get("problem")
    if isinstance(problem, dict):
        raise ImageProblem(**problem_fields(problem))
    array = payloads[0] if payloads else b""
    try:
        header = _HEADER.validate_python(text.get("header"))
    except ValidationError:
        raise Failed("its answer makes no sense") from None
    if isinstance(array, bytes) or array.shape != (header.height, header.width, header.channels):
        raise Failed("its answer makes no sense")
    return Pixels(array, peak_of(array.dtype)), header


def _output_request(name: str, expected: Expected) -> dict[str, Any]:
    return {"job": "output", "file": name, "cpu": _this_cpu(), "expected": vars(expected)}


def _this_cpu() -> int | None:
    """Return which processor this thread runs on; None where the system does not tell."""
    cpu = -1 if _SCHED_GETCPU is None else int(_SCHED_GETCPU())
    return cpu if cpu >= 0 else None


def _digest(given: object) -> str:
    """Return a worker's sha256 if it has the form of one."""
    return given if isinstance(given, str) and _SHA256.fullmatch(given) else ""


def _output_limits(expected: Expected) -> Limits:
    size = expected.height * expected.width * expected.channels * 8
    return Limits(text=1 << 20, payloads=1, payload=size)


def _pixels(array: Array, expected: Expected) -> Pixels | None:
    """Return finite pixels of the shape that the case must have, in a peak that follows from their type; else None."""
    if array.shape != (expected.height, expected.width, expected.channels):
        return None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return None
    return Pixels(array, peak_of(array.dtype))


def stopped_finding(name: str, reason: Stopped | Failed) -> Finding:
    """Return what is said of a file or case at which a worker was stopped or failed."""
    return Finding.error(
        "stopped" if isinstance(reason, Stopped) else "unreadable",
        name,
        "an answer within the limits" if isinstance(reason, Stopped) else "a file that can be decoded",
        str(reason),
        "Try it alone with `evaluate check`; the limits are the task's.",
    )


def _senseless(name: str) -> Finding:
    return Finding.error(
        "stopped", name, "pixels of the case's size", "an answer of the worker that makes no sense", "Send it again."
    )
