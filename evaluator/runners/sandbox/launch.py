"""Start a child at the level that was proved."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox.child import Child
from evaluator.runners.sandbox.command import Command, Request, bubblewrap, confined, plain, users
from evaluator.runners.sandbox.levels import Isolation, Level, Limits
from evaluator.runners.sandbox.roots import covering, refuse_hidden

_START_S = 20.0
_UIDS = range(64900, 65000)  # given to no package of the usual distributions
_USER_POWERS = 1 << 0 | 1 << 6 | 1 << 7  # CAP_CHOWN, CAP_SETGID, CAP_SETUID, by capability.h
_SCRATCH_INSIDE = "/tmp"  # noqa: S108

_lock = threading.Lock()
_uids_taken: set[int | None] = set()
_spawners: dict[int, ThreadPoolExecutor] = {}


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
    uid = _take_uid() if _may_change_users() and level in (Level.A, Level.B, Level.C) else None
    scratch = None if level is Level.A else Path(tempfile.mkdtemp(prefix="evaluator-"))

    def release() -> None:
        if scratch is not None:
            _remove(scratch)
        with _lock:
            _uids_taken.discard(uid)

    try:
        if scratch is not None and uid is not None:
            os.chown(scratch, uid, uid)
        inside = str(scratch) if scratch else _SCRATCH_INSIDE
        child = _start(Request(level, arguments, limits, roots, mounts, descriptors, threads, inside, uid), release)
    except BaseException:
        release()
        raise
    child.watch()
    return child


def _may_change_users() -> bool:
    """Tell whether this process is root, and not one whose powers were taken away, as in many containers."""
    if getattr(os, "geteuid", lambda: 1)() != 0:
        return False
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        held = int(status.partition("CapEff:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return True
    return held & _USER_POWERS == _USER_POWERS


def _start(request: Request, release: Callable[[], None]) -> Child:
    if request.level is Level.NONE:
        process = _spawn(plain(request), request)
        return Child(process, process.pid, request, release)
    told, info = os.pipe()
    go, gate = os.pipe()
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
        try:
            child = Child(process, root, request, release)
        except OSError as error:
            process.kill()
            process.communicate()
            raise EvaluatorError(f"no handle on a process can be had: {error}") from error
        with contextlib.suppress(OSError):  # if the host runs out of memory, this is what should go
            Path(f"/proc/{root}/oom_score_adj").write_text("800", encoding="ascii")
        os.write(gate, b"x")  # it is held by now: its number cannot have become another process's
        return child
    finally:
        os.close(told)
        os.close(gate)


def _spawn(command: Command, request: Request) -> subprocess.Popen[bytes]:
    """Start the command from a thread that lives as long as the harness: a child dies with the thread it came from."""
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
        number = json.loads(text)["child-pid"]
    except (ValueError, KeyError):
        return None
    return number if isinstance(number, int) else None


def _take_uid() -> int:
    """Return a user id that no process and no other child has."""
    alive = {user for user, _ in users()}
    with _lock:
        start = os.getpid() % len(_UIDS)  # two harnesses at once seldom choose the same
        for step in range(len(_UIDS)):
            uid = _UIDS[(start + step) % len(_UIDS)]
            if uid not in alive and uid not in _uids_taken:
                _uids_taken.add(uid)
                return uid
    raise EvaluatorError(f"all user ids from {_UIDS[0]} to {_UIDS[-1]} are in use: too many sandboxes at once")


def _remove(scratch: Path) -> None:
    """Delete a scratch folder, even one with folders that the child has closed."""
    for folder, names, _ in os.walk(scratch):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)  # before the walk enters it
    shutil.rmtree(scratch, ignore_errors=True)
