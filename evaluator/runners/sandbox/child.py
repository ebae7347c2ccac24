"""A running child: watched over, and ended with all it has started."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import IO, Self

from evaluator.runners.sandbox.command import Request, processes
from evaluator.runners.sandbox.levels import Level
from evaluator.runners.sandbox.usage import forget_peaks, short_of, usage

_TICK_S = 0.1
_END_S = 30.0
_SIGXCPU = 24

_children: weakref.WeakSet[Child] = weakref.WeakSet()


class Child:
    """A running child. End it with `stop` or by leaving its `with` block; nothing of it is left then."""

    stdin: IO[bytes]
    """Raw and unbuffered: a write may be short, and raises BrokenPipeError once the child has ended."""
    stdout: IO[bytes]
    """Raw and unbuffered: a read may be short, and gives nothing once the child has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], root: int, request: Request, release: Callable[[], None]
    ) -> None:
        """Hold a process that was just started; `launch` makes these.

        Args:
            process: the direct child of the harness.
            root: the process that all others come from; at level none the process itself.
            request: what was asked for.
            release: called once nothing of it is left.
        """
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        self.stdin, self.stdout = process.stdin, process.stdout
        self._process, self._root, self._request, self._release = process, root, request, release
        self._level = request.level
        self._owner = os.getpid()
        self._stopped: str | None = None
        self._closing = False
        self._log = bytearray()
        self._peak = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._pidfd = _hold(root)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._drain, self._watch)]
        _children.add(self)

    def watch(self) -> None:
        """Begin to watch over it, and to keep its log."""
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether anything of it may still run."""
        return not self._ended.is_set()

    @property
    def stopped(self) -> str | None:
        """Why it ended before its time.

        The name of a limit (`time`, `memory`, `processes`, `log`, `disk`, or what `stop` was given), `crash: signal N`,
        or `exit: status N`; None while it runs, after an exit with status 0, and after `close`.
        """
        return self._stopped

    @property
    def uid(self) -> int | None:
        """The user id on the host that was given to this child alone; None if it has the harness's."""
        return self._request.uid

    @property
    def scratch(self) -> str:
        """The only folder it can write in, as it sees it."""
        return self._request.scratch

    @property
    def resident_peak(self) -> int:
        """The most memory it had resident, in bytes, as far as it was seen: looked at ten times a second, and now."""
        if self.running:
            self._look()
        return self._peak

    @property
    def resident(self) -> int:
        """The memory that it has resident now, in bytes."""
        return usage(self._root, own=self._level is Level.NONE).resident

    def forget_peak(self) -> None:
        """Begin to look for the peak of its memory anew, as far as the system allows; else the old one stays."""
        forget_peaks(self._root, own=self._level is Level.NONE)
        self._peak = 0

    def log(self) -> str:
        """Return what it wrote to standard error so far, fit for printing: whatever is not plain text is escaped."""
        text = bytes(self._log).decode("utf-8", errors="backslashreplace")
        return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)

    def stop(self, reason: str) -> None:
        """End it and all it has started, and wait until nothing is left. The first reason counts.

        Raises:
            RuntimeError: something of it is still there after half a minute.
        """
        with self._lock:
            if not self._closing and self.running:
                self._closing = True
                self._stopped = reason
        self._end()

    def close(self) -> None:
        """End it as `stop` does, but as a matter of course: `stopped` stays as it is. Closes its pipes."""
        with self._lock:
            self._closing = True
        self._end()
        for pipe in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it to end by itself; return whether it has, within so many seconds."""
        return self._ended.wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        if os.getpid() != self._owner:
            return  # a fork of the harness does not own it
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._kill()
        if threading.current_thread() not in self._threads and not self._ended.wait(_END_S):
            raise RuntimeError(f"process {self._root} and what it started could not be ended within {_END_S:.0f} s")

    def _kill(self) -> None:
        if self._pidfd is None or self._level is Level.NONE:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        elif self._level in (Level.A, Level.B):
            # The first process of the namespace, not its parent outside: the kernel ends all others before this one.
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)  # its keeper ends the descendants, then itself

    def _look(self) -> str | None:
        """Return the name of a limit that is passed now, if any."""
        used = usage(self._root, own=self._level is Level.NONE)
        self._peak = max(self._peak, used.peak)
        if used.threads > processes(self._request.limits):
            return "processes"  # before memory, which a flood of them takes too
        if used.resident > self._request.limits.memory:
            return "memory"
        return short_of(None if self._level is Level.A else self._request.scratch)

    def _watch(self) -> None:
        limits, begin = self._request.limits, time.monotonic()
        while not self._gone():
            late = limits.total_s is not None and time.monotonic() - begin > limits.total_s
            try:
                passed = "time" if late else self._look()
            except Exception as error:  # unwatched it must not run
                passed = f"crash: watchdog: {error}"
            if passed is not None and not self._closing:
                self.stop(passed)
        status = self._process.wait()
        self._threads[0].join(1)
        with self._lock:
            if not self._closing:
                self._stopped = _name(status)
            self._release()
            if self._pidfd is not None:
                os.close(self._pidfd)
            self._ended.set()

    def _gone(self) -> bool:
        """Wait for a tick; return whether the process has ended meanwhile."""
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return bool(poll.poll(_TICK_S * 1000))
        try:
            self._process.wait(_TICK_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _drain(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        room = self._request.limits.log
        with self._process.stderr as pipe:
            while piece := pipe.read(65536):
                self._log += piece[:room]
                room -= len(piece)
                if room < 0:
                    self.stop("log")
                    room = 0


def _hold(pid: int) -> int | None:
    """Return a handle on a process that no other process can come to bear; None outside Linux."""
    return os.pidfd_open(pid) if sys.platform == "linux" else None


def _name(status: int) -> str | None:
    """Return what an exit status says: None for success."""
    number = -status if status < 0 else status - 128 if status > 128 else 0
    if number:
        return "time" if number == _SIGXCPU else f"crash: signal {number}"
    return f"exit: status {status}" if status else None


@atexit.register
def _close_all() -> None:
    for child in list(_children):
        with contextlib.suppress(RuntimeError):
            child.close()
