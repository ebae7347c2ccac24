"""The harness's side of the workers: start them, ask, hold the clock, check what comes back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

import evaluator
from evaluator.findings import EvaluatorError, Finding
from evaluator.images import Header, ImageProblem, Pixels, peak_of
from evaluator.ingest.reader import Expected, Reading, fetch
from evaluator.ingest.sources import Source, TooLarge
from evaluator.runners import sandbox
from evaluator.runners.frames import Array, Channel, Closed, FrameError, Limits, Payload, Timeout, share
from evaluator.runners.sandbox import Child, Isolation
from evaluator.text import safe

# This very package, wherever it lies: a sandbox may read its folder, but not list the one around it to find it there.
_BEGIN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("evaluator", sys.argv.pop(1))
sys.modules["evaluator"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from evaluator.runners.worker import main
main()
"""
_SHARED = 1 << 28  # bytes of shared memory; larger payloads go through the pipe
_LISTING = 1 << 26
_START_S = 60.0
_END_S = 5.0
_STOPS = 5
_TEXT_LIMIT = 2000
_SHA256 = re.compile("[0-9a-f]{64}")
_CODE = re.compile("[a-z0-9-]{1,40}")
_HEADER = TypeAdapter(Header)


class Stopped(Exception):
    """The worker was ended before it answered.

    `limit` is a name for programs (`time`, `memory`, `processes`, `log`, `disk`, `answer`, `crash`, `exit`,
    `given-up`), the message is for people.
    """

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class Failed(Exception):
    """The worker could not do what was asked; the message says why."""


class Refused(Exception):
    """The worker would not open what it was given; `problem` holds code, expected, got and fix."""

    def __init__(self, problem: object) -> None:
        super().__init__("refused")
        self.problem: Mapping[str, Any] = problem if isinstance(problem, dict) else {}


class Answer(NamedTuple):
    """What a worker sent back; nothing of it can be believed."""

    text: dict[str, Any]
    payloads: list[Payload]
    seconds: float
    """From the request to the answer, by this process's clock."""


T = TypeVar("T")


class Workers:
    """The workers of one submission: as many as threads ask at a time, started when they are needed. Cheap to pickle.

    They share nothing with those of other submissions. A worker that was stopped is started again for the next case;
    after five stops no more cases are tried.
    """

    def __init__(
        self,
        isolation: Isolation,
        limits: sandbox.Limits,
        *,
        mounts: Mapping[Path, str] | None = None,
        hidden: Sequence[Path] = (),
        hdf5: bool = True,
    ) -> None:
        """Prepare to start workers.

        Args:
            isolation: the level that was proved on this machine.
            limits: of each worker; `case_s` is the time for one answer, `total_s` that for all answers of all workers.
            mounts: what they may read: path → name inside.
            hidden: folders that must stay out of sight (data sets, results).
            hdf5: whether they may open HDF5 files.
        """
        self.isolation, self.limits = isolation, limits
        self._mounts, self._hidden, self._hdf5 = dict(mounts or {}), tuple(hidden), hdf5
        self._key = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._started: list[_Connection] = []
        self._idle: list[_Connection] = []
        self._spent = 0.0  # seconds that answers took: waiting for other submissions counts for none
        self.stops: list[str] = []
        """What was stopped, in words."""

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {"isolation": self.isolation, "limits": self.limits, "mounts": self._mounts, "hidden": self._hidden}
        return _here, (self._key, {**arguments, "hdf5": self._hdf5})

    def inside(self, path: Path) -> str:
        """Return where a worker finds a mounted path."""
        return self.isolation.inside(path, self._mounts[path])

    def ask(
        self,
        request: Mapping[str, Any],
        payloads: Sequence[Payload] = (),
        *,
        answer: Limits,
        first: Sequence[Mapping[str, Any]] = (),
        meanwhile: Callable[[], None] | None = None,
    ) -> Answer:
        """Send a request to a worker and return its answer.

        Args:
            request: the job and its arguments.
            payloads: its arrays or bytes.
            answer: what the answer may hold at most.
            first: requests that a fresh worker is sent before (to open an archive, to load a model).
            meanwhile: what to do while the worker is at work.

        Raises:
            Stopped: it was stopped, or died.
            Failed: it said that it could not.
            Refused: it will not open what it was given first.
            EvaluatorError: no worker can be started.
        """

        def action(connection: _Connection) -> Answer:
            self._open(connection, first)
            return _check(
                self._timed(self.limits.case_s, lambda left: connection.ask(request, payloads, answer, left, meanwhile))
            )

        return self._guarded(action)

    def prepare(self, *openings: Mapping[str, Any]) -> None:
        """Send requests that a fresh worker needs, unless it had them.

        Raises:
            Stopped, Failed: as for `ask`.
            Refused: it will not open what it was given.
        """
        self._guarded(lambda connection: self._open(connection, openings))

    def _timed(self, seconds: float, ask: Callable[[float], Answer]) -> Answer:
        """Ask within the seconds given, or what is left of those for all."""
        total = self.limits.total_s
        left = math.inf if total is None else total - self._spent
        begin = time.monotonic()
        try:
            if left > 0:
                return ask(min(seconds, left))
        except Stopped as stop:
            if stop.limit != "time" or seconds < left:
                raise
        finally:
            with self._lock:
                self._spent += time.monotonic() - begin
        raise Stopped("time", f"stopped: all cases together took {total:g} s")

    def _open(self, connection: _Connection, openings: Sequence[Mapping[str, Any]]) -> None:
        for opening in openings:
            key = json.dumps(opening, sort_keys=True)
            if key not in connection.prepared:
                seconds = max(_START_S, self.limits.case_s)
                ask = partial(connection.ask, opening, (), Limits(text=_LISTING))
                text = _check(self._timed(seconds, ask)).text
                if "problem" in text:
                    raise Refused(text["problem"])
                connection.prepared.add(key)

    def _guarded(self, action: Callable[[_Connection], T]) -> T:
        """Do something with a worker that nobody else asks; if it is stopped, note it and never use it again."""
        if len(self.stops) >= _STOPS:
            raise Stopped("given-up", f"given up after {_STOPS} stops; the first: {self.stops[0]}")
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._start()
        try:
            result = action(connection)
        except (Failed, Refused):
            self._free(connection)
            raise
        except BaseException as error:  # an answer may still be on its way, to be taken for another's
            connection.close()
            with self._lock:
                self._started.remove(connection)
                if isinstance(error, Stopped):
                    self.stops.append(str(error))
            raise
        self._free(connection)
        return result

    def _start(self) -> _Connection:
        connection = _Connection(self.isolation, self.limits, self._mounts, self._hidden, hdf5=self._hdf5)
        with self._lock:
            self._started.append(connection)
        return connection

    def _free(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def resident(self) -> tuple[int, int]:
        """Return the resident memory of all workers now, and the most that they had, in bytes; 0 outside Linux."""
        with self._lock:
            seen = [connection.resident() for connection in self._started]
        return sum(now for now, _ in seen), sum(peak for _, peak in seen)

    def pin(self, processors: Collection[int]) -> None:
        """Have them run on some processors only, as far as the system allows."""
        with self._lock:
            for connection in self._started:
                connection.pin(processors)

    def forget_peak(self) -> None:
        """Begin to look for the peak of their memory anew."""
        with self._lock:
            for connection in self._started:
                connection.forget_peak()

    def close(self) -> None:
        """End all workers; nobody may be asking one."""
        with self._lock:
            for connection in self._started:
                connection.close()
            self._started.clear()
            self._idle.clear()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_ELSEWHERE: dict[tuple[int, str], Workers] = {}
_KEPT = 16


def _here(key: str, arguments: dict[str, Any]) -> Workers:
    """Return the workers that a process to which jobs are sent has for a submission, so that jobs share them."""
    own = (os.getpid(), key)  # a fork must not talk to the workers of the process that it came from
    if own not in _ELSEWHERE:
        while len(_ELSEWHERE) >= _KEPT:
            _ELSEWHERE.pop(next(iter(_ELSEWHERE))).close()
        _ELSEWHERE[own] = Workers(**arguments)
    return _ELSEWHERE[own]


def _check(answer: Answer) -> Answer:
    if "failed" in answer.text:
        raise Failed(shown(str(answer.text["failed"])))
    return answer


class _Connection:
    """One running worker."""

    def __init__(
        self,
        isolation: Isolation,
        limits: sandbox.Limits,
        mounts: Mapping[Path, str],
        hidden: Sequence[Path],
        *,
        hdf5: bool,
    ) -> None:
        self.prepared: set[str] = set()
        shared = share(_SHARED)
        arguments = [sys.executable, "-I", "-c", _BEGIN, evaluator.__file__, "hdf5" if hdf5 else "no-hdf5"]
        descriptors = []
        if shared:
            arguments += [str(shared[0]), str(_SHARED)]
            descriptors = [shared[0]]
        try:
            self._child: Child = sandbox.launch(
                arguments,
                isolation=isolation,
                limits=replace(limits, total_s=None),  # held here
                readable=sandbox.python_roots(),
                hidden=hidden,
                mounts=mounts,
                descriptors=descriptors,
            )
        finally:
            if shared:
                os.close(shared[0])
        self._limits = limits
        self._shared = shared[1] if shared else None
        self._channel = Channel(self._child.stdout.fileno(), self._child.stdin.fileno(), self._shared)
        try:
            self.ask({"job": "ping"}, (), Limits(), _START_S)
        except Stopped as stop:  # nothing of the submission was opened yet: it is not to blame
            self.close()
            raise EvaluatorError(f"No process can be started to read submissions in: {stop}") from None
        except BaseException:
            self.close()
            raise

    def ask(
        self,
        request: Mapping[str, Any],
        payloads: Sequence[Payload],
        answer: Limits,
        seconds: float,
        meanwhile: Callable[[], None] | None = None,
    ) -> Answer:
        begin = time.perf_counter()
        try:
            if self._channel.spoke():
                raise FrameError("it came before it was asked for")
            self._channel.send(request, payloads, seconds=seconds)
            if meanwhile is not None:
                meanwhile()
            text, arrays = self._channel.receive(answer, seconds=seconds)
            return Answer(text, arrays, time.perf_counter() - begin)
        except Timeout:
            self._child.stop("time")
            raise Stopped("time", f"stopped after {seconds:g} s without an answer") from None
        except FrameError as error:
            self._child.stop("answer")
            raise Stopped("answer", f"stopped: its answer breaks the protocol ({error})") from None
        except Closed:
            ended = self._child.wait(_END_S)
            reason = self._child.stopped or ("crash: ended" if ended else "crash: closed")
            raise Stopped(reason.partition(":")[0], self._words(reason)) from None

    def _words(self, reason: str) -> str:
        limits = self._limits
        words = {
            "memory": f"stopped: more than {limits.memory / 2**30:g} GiB of memory",
            "processes": "stopped: too many processes",
            "log": f"stopped: more than {limits.log / 2**20:g} MiB of messages",
            "crash: ended": "it ended without an answer",
            "crash: closed": "it closed its side without an answer",
        }
        log = self._child.log().strip().splitlines()
        said = f"; its last words: {log[-1][:200]}" if log else ""
        return words.get(reason, f"it died ({reason})") + said

    def resident(self) -> tuple[int, int]:
        return self._child.resident, self._child.resident_peak

    def pin(self, processors: Collection[int]) -> None:
        self._child.pin(processors)

    def forget_peak(self) -> None:
        self._child.forget_peak()

    def close(self) -> None:
        self._child.close()
        if self._shared is not None:
            with contextlib.suppress(BufferError):
                self._shared.close()  # else its pages, which the worker may all have filled, stay


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
        self._open = {"job": "scan", "path": workers.inside(copy), "cases": list(cases)}

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `evaluator.ingest.sources.Source`.

        Raises:
            EvaluatorError: it is no archive that can be used.
        """
        try:
            text = self.workers.ask(self._open, answer=Limits(text=_LISTING)).text
        except (Stopped, Failed) as reason:
            finding = Finding.error(
                "archive", self.path.name, "an archive that can be listed", str(reason), "Make the archive again."
            )
            raise EvaluatorError(f"{self.path} cannot be opened.", [finding]) from None
        findings = findings_of(text)
        if "error" in text:
            raise EvaluatorError(shown(str(text["error"])), findings)
        names = text.get("names")
        sound = isinstance(names, dict) and all(
            _leads_inside(n) and type(size) is int and size >= 0 for n, size in names.items()
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
    protocol = expected.protocol.model_dump_json()
    return {
        "job": "output",
        "file": name,
        "expected": {"height": expected.height, "width": expected.width, "protocol": protocol},
    }


def _digest(given: object) -> str:
    """Return a worker's sha256 if it has the form of one."""
    return given if isinstance(given, str) and _SHA256.fullmatch(given) else ""


def _output_limits(expected: Expected) -> Limits:
    size = expected.height * expected.width * expected.protocol.channels * 8
    return Limits(text=1 << 20, payloads=1, payload=size)


def _pixels(array: Array, expected: Expected) -> Pixels | None:
    """Return finite pixels of the shape that the case must have, in a peak that follows from their type; else None."""
    if array.shape != (expected.height, expected.width, expected.protocol.channels):
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


def findings_of(text: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the findings in a worker's answer, with nothing in them that could steer a terminal."""
    given = text.get("findings")
    found = []
    for item in given if isinstance(given, list) else ():
        try:
            finding = Finding.model_validate(item)
        except ValidationError:
            continue
        cleaned = {name: shown(getattr(finding, name)) for name in ("file", "expected", "got", "fix")}
        found.append(finding.model_copy(update={**cleaned, "code": _code_of(finding.code)}))
    return tuple(found)


def problem_fields(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return code, expected, got and fix as a worker told them, with nothing in them that could steer a terminal."""
    told = {name: shown(str(problem.get(name, ""))) for name in ("code", "expected", "got", "fix")}
    return {**told, "code": _code_of(told["code"])}


def _code_of(told: str) -> str:
    """Return a finding's code as a worker told it, if it can be one."""
    return told if _CODE.fullmatch(told) else "run-failed"


def _leads_inside(name: object) -> bool:
    """Tell whether a name that a worker gave can be that of a file in a folder of its own."""
    if not isinstance(name, str) or not name.isprintable():
        return False
    return not any(part in ("", ".", "..") for part in name.split("/"))


def shown(text: str) -> str:
    """Return a worker's words as one line without control characters, cut to a length."""
    line = safe(text.strip())
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"
