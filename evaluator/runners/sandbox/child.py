"""Start a child, watch over it, and end it with all it has started."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Self

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox.command import Command, Request, bubblewrap, confined, plain, processes
from evaluator.runners.sandbox.levels import Isolation, Level, Limits
from evaluator.runners.sandbox.roots import covering, refuse_hidden
from evaluator.runners.sandbox.usage import short_of, usage

_TICK_S = 0.1
_START_S = 20.0
_END_S = 30.0
_UIDS = range(64900, 65000)  # given to no package of the usual distributions
_SIGXCPU = 24

_lock = threading.Lock()
_uids_taken: set[int] = set()
_spawners: dict[int, ThreadPoolExecutor] = {}
_children: weakref.WeakSet[Child] = weakref.WeakSet()


class Child:
    """A running child. End it with `stop` or by leaving its `with` block; nothing of it is left then."""

    stdin: IO[bytes]
    """Raw and unbuffered: a write may be short, and raises BrokenPipeError once the child has ended."""
    stdout: IO[bytes]
    """Raw and unbuffered: a read may be short, and gives nothing once the child has ended."""

    def __init__(self, process: subprocess.Popen[bytes], root: int, request: Request, scratch: Path | None) -> None:
        """Take over a process that was just started; `launch` makes these."""
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        self.stdin, self.stdout = process.stdin, process.stdout
        self._process, self._root, self._request, self._scratch = process, root, request, scratch
        self._level = request.level
        self._owner = os.getpid()
        self._stopped: str | None = None
        self._closing = False
        self._log = bytearray()
        self._peak = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._pidfd = os.pidfd_open(root) if sys.platform == "linux" else None
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._drain, self._watch)]
        _children.add(self)

    def _begin(self) -> None:
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
        if self._level is Level.NONE or self._pidfd is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        elif self._level in (Level.A, Level.B):
            # The first process of the namespace, not its parent outside: the kernel ends all others before this one.
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)  # its keeper ends the descendants, then itself

    def _look(self) -> str | None:
        """Return the name of a limit that is passed now, if any."""
        used = usage(self._root, own=self._level is Level.NONE)
        self._peak = max(self._peak, used.peak)
        if used.resident > self._request.limits.memory:
            return "memory"
        if used.threads > processes(self._request.limits):
            return "processes"
        return short_of(str(self._scratch) if self._scratch else None)

    def _watch(self) -> None:
        limits, begin = self._request.limits, time.monotonic()
        while not self._gone():
            late = limits.total_s is not None and time.monotonic() - begin > limits.total_s
            passed = "time" if late else self._look()
            if passed is not None and not self._closing:
                self.stop(passed)
        status = self._process.wait()
        self._threads[0].join(1)
        with self._lock:
            if not self._closing:
                self._stopped = _name(status)
            if self._request.uid is not None:
                with _lock:
                    _uids_taken.discard(self._request.uid)
            if self._scratch is not None:
                _remove(self._scratch)
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


def launch(
    arguments: Sequence[str],
    *,
    isolation: Isolation,
    limits: Limits,
    readable: Sequence[Path] = (),
    descriptors: Sequence[int] = (),
    mounts: Mapping[Path, str] | None = None,
    hidden: Sequence[Path] = (),
    threads: int = 1,
) -> Child:
    """Start a child process; its first argument is the path of a program.

    Args:
        arguments: the command line; nothing secret in it.
        isolation: what `isolation()` returned.
        limits: what it may use.
        readable: files and folders it sees under their own paths, besides those of the system.
        descriptors: open descriptors it gets, under the same numbers.
        mounts: folders it sees, each with its path inside; `Isolation.inside` gives the path to tell the child.
        hidden: folders that nothing readable may lie around, such as data sets and results.
        threads: for the thread pools of numeric libraries.

    Raises:
        EvaluatorError: it cannot be started, or would see a hidden folder.
    """
    mounts = dict(mounts or {})
    roots = covering(readable)
    level = isolation.level
    if level in (Level.A, Level.B, Level.C):
        refuse_hidden([*roots, *mounts, Path("/usr")], hidden)
    owner = getattr(os, "geteuid", lambda: 1)()
    uid = _take_uid() if owner == 0 and level in (Level.A, Level.B, Level.C) else None
    scratch = None if level is Level.A else Path(tempfile.mkdtemp(prefix="evaluator-"))
    try:
        if scratch is not None and uid is not None:
            os.chown(scratch, uid, uid)
        inside = str(scratch) if scratch else "/tmp"
        request = Request(level, arguments, limits, roots, mounts, descriptors, threads, inside, uid)
        child = _start(request, scratch)
    except BaseException:
        if scratch is not None:
            _remove(scratch)
        if uid is not None:
            with _lock:
                _uids_taken.discard(uid)
        raise
    child._begin()
    return child


def _start(request: Request, scratch: Path | None) -> Child:
    if request.level is Level.NONE:
        process = _spawn(plain(request), request)
        return Child(process, process.pid, request, scratch)
    told, info = os.pipe()
    go, release = os.pipe()
    try:
        build = bubblewrap if request.level is Level.A else confined
        try:
            process = _spawn(build(request, info, go), request)
        finally:
            os.close(info)
            os.close(go)
        root = _first_process(told)
        if root is None:
            process.kill()
            said = process.communicate()[1].decode("utf-8", errors="backslashreplace").strip()
            raise EvaluatorError(said or f"the sandbox ended with status {process.returncode} before the child began")
        child = Child(process, root, request, scratch)
        os.write(release, b"x")  # it is held by now: its number cannot have become another process's
        return child
    finally:
        os.close(told)
        os.close(release)


def _spawn(command: Command, request: Request) -> subprocess.Popen[bytes]:
    """Start the command from a thread that lives as long as the harness, for the child dies with its parent's thread."""
    with _lock:
        spawner = _spawners.setdefault(os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="sandbox"))

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=command.environment,
            cwd=request.scratch if request.level is Level.NONE else "/",
            pass_fds=[*command.descriptors, *request.descriptors],
            start_new_session=request.level is Level.NONE,
        )

    try:
        return spawner.submit(start).result()
    except OSError as error:
        raise EvaluatorError(f"{command.arguments[0]} cannot be started: {error}") from error
    finally:
        for handle in command.owned:
            os.close(handle)


def _first_process(told: int) -> int | None:
    """Return the id, on the host, of the process that holds all others; None if it never came to that."""
    text, deadline = b"", time.monotonic() + _START_S
    while select.select([told], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(told, 4096)
        text += piece
        if not piece:
            break
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return None


def _take_uid() -> int:
    """Return a user id that no process and no other child has."""
    alive = set()
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                alive.add(os.stat(f"/proc/{name}").st_uid)
    with _lock:
        start = os.getpid() % len(_UIDS)  # two harnesses at once seldom choose the same
        for uid in (*_UIDS[start:], *_UIDS[:start]):
            if uid not in alive and uid not in _uids_taken:
                _uids_taken.add(uid)
                return uid
    raise EvaluatorError(f"all user ids from {_UIDS[0]} to {_UIDS[-1]} are in use: too many sandboxes at once")


def _name(status: int) -> str | None:
    """Return what an exit status says: None for success."""
    number = -status if status < 0 else status - 128 if status > 128 else 0
    if number:
        return "time" if number == _SIGXCPU else f"crash: signal {number}"
    return f"exit: status {status}" if status else None


def _remove(scratch: Path) -> None:
    """Delete a scratch folder, even one whose folders were closed by the child."""

    def opened(function: object, path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            Path(path).parent.chmod(0o700)
            if not Path(path).is_symlink() and Path(path).is_dir():
                Path(path).chmod(0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()

    shutil.rmtree(scratch, onerror=opened)


@atexit.register
def _close_all() -> None:
    for child in list(_children):
        with contextlib.suppress(RuntimeError):
            child.close()
