"""The harness's side of the workers: start them, ask, hold the clock."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import evaluator
from evaluator.findings import EvaluatorError
from evaluator.runners import sandbox
from evaluator.runners.frames import Channel, Closed, FrameError, Limits, Payload, Timeout, share
from evaluator.runners.sandbox import Child, Isolation
from evaluator.runners.told import shown

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
LISTING = 1 << 26
_START_S = 60.0
_END_S = 5.0
_STOPS = 5


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
    """The workers of one submission: at most as many as threads ask at a time. Cheap to pickle.

    They share nothing with those of other submissions. Further ones are started once those at work were waited for as
    long as a start takes. A worker that was stopped is started again for the next case; after five stops no
    more cases are tried.
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
        self._lock = threading.Condition()
        self._started: list[_Connection] = []
        self._idle: list[_Connection] = []
        self._launching = 0
        self._start_s = 0.0  # that the last start took
        self._waited_s = 0.0  # for one that was at work, since then
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
                ask = partial(connection.ask, opening, (), Limits(text=LISTING))
                text = _check(self._timed(seconds, ask)).text
                if "problem" in text:
                    raise Refused(text["problem"])
                connection.prepared.add(key)

    def _guarded(self, action: Callable[[_Connection], T]) -> T:
        """Do something with a worker that nobody else asks; if it is stopped, note it and never use it again."""
        connection = self._take() or self._start()
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
                self._lock.notify_all()  # there may be none left to wait for
            raise
        self._free(connection)
        return result

    def _take(self) -> _Connection | None:
        """Return a worker that nobody asks, or None where a new one is worth its start."""
        with self._lock:
            self._give_up()
            self._lock.wait_for(lambda: self._idle or self._start_s or not self._launching, _START_S)  # for the first
            begin, patience = time.monotonic(), max(0.0, self._start_s - self._waited_s)
            self._lock.wait_for(lambda: self._idle or not (self._started or self._launching), patience)
            self._waited_s += time.monotonic() - begin
            self._give_up()
            if self._idle:
                return self._idle.pop()
            self._launching += 1
            return None

    def _give_up(self) -> None:
        if len(self.stops) >= _STOPS:
            raise Stopped("given-up", f"given up after {_STOPS} stops; the first: {self.stops[0]}")

    def _start(self) -> _Connection:
        begin = time.monotonic()
        try:
            connection = _Connection(self.isolation, self.limits, self._mounts, self._hidden, hdf5=self._hdf5)
            with self._lock:
                self._started.append(connection)
                self._start_s, self._waited_s = time.monotonic() - begin, 0.0
        finally:
            with self._lock:
                self._launching -= 1
                self._lock.notify_all()
        return connection

    def _free(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)
            self._lock.notify()

    def resident(self) -> tuple[int, int]:
        """Return the resident memory of all workers now, and the most that they had, in bytes; 0 outside Linux."""
        with self._lock:
            seen = [connection.resident() for connection in self._started]
        return sum(now for now, _ in seen), sum(peak for _, peak in seen)

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

    def forget_peak(self) -> None:
        self._child.forget_peak()

    def close(self) -> None:
        self._child.close()
        if self._shared is not None:
            with contextlib.suppress(BufferError):
                self._shared.close()  # else its pages, which the worker may all have filled, stay
