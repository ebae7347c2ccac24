"""Find the strongest isolation that holds on this machine, by attacking it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox.child import Child
from evaluator.runners.sandbox.launch import launch
from evaluator.runners.sandbox.levels import ORDER, Isolation, Level, Limits, sentence
from evaluator.runners.sandbox.roots import python_roots

VARIABLE = "EVALUATOR_SANDBOX"
_PROBE = Path(__file__).with_name("probe.py")
LEFT_BEHIND = "leave a process behind"
STAT = "learn that a file exists"
_PROCESSES = 128
_LOWER_BY = 120
_FORKS = 100
_ANSWER_S = 20.0
_LONG = 70
_lock = threading.Lock()


def isolation(strongest: Level | None = None) -> Isolation:
    """Return the strongest isolation whose probe held; tried out once in a process for each argument.

    The variable EVALUATOR_SANDBOX (A, B, C, limits or none) also names the strongest level to try.

    Args:
        strongest: do not try a stronger level than this.

    Raises:
        EvaluatorError: the variable names no level.
    """
    named = os.environ.get(VARIABLE) or Level.A.value
    if named not in list(Level):
        raise EvaluatorError(f"{VARIABLE}={named}: it must be one of {', '.join(Level)}.")
    first = max(ORDER.index(Level(named)), ORDER.index(strongest or Level.A))
    with _lock:
        return _strongest(first, named)


@lru_cache(maxsize=32)
def _strongest(first: int, named: str) -> Isolation:
    asked = f"{VARIABLE}={named}" if ORDER[first].value == named else f"the caller wanted {ORDER[first]}"
    refused = dict.fromkeys(ORDER[:first], f"not asked for: {asked}")
    for level in ORDER[first:]:
        if level is Level.NONE:
            break
        if sys.platform != "linux":
            refused[level] = "not Linux"
            continue
        try:
            found = prove(level)
        except EvaluatorError as error:
            refused[level] = str(error)
            continue
        missed = [name for name in found.failed if level is Level.A or (level is not Level.LIMITS and name != STAT)]
        if missed:
            refused[level] = f"not stopped: {', '.join(missed)}"
            continue
        return _said(found, refused)
    return _said(_unproved(Level.NONE), refused)


def prove(level: Level) -> Isolation:
    """Attack a level; return what held, whether or not that is enough to use it.

    Raises:
        EvaluatorError: no child can be started at this level; says why.
    """
    held, holder = os.pipe()
    try:
        with _targets() as (target, harmed):
            target |= {"held": holder, "forks": _FORKS, "lower_by": _LOWER_BY}
            arguments = [sys.executable, "-I", "-S", str(_PROBE)]
            limits = Limits(processes=_PROCESSES, total_s=_ANSWER_S)
            roots = python_roots()
            with launch(
                arguments, isolation=_unproved(level), limits=limits, readable=roots, descriptors=[holder]
            ) as child:
                os.close(holder)
                results = _asked(child, target)
                uid = child.uid
            results["change files outside"] &= not harmed()
            # The pipe ends when the last process that holds it does.
            results[LEFT_BEHIND] = bool(select.select([held], [], [], 0)[0])
    finally:
        os.close(held)
        with contextlib.suppress(OSError):
            os.close(holder)
    failed = tuple(name for name, stopped in results.items() if not stopped)
    isolated = replace(_unproved(level), passed=len(results) - len(failed), probes=len(results), failed=failed, uid=uid)
    return _said(isolated, {})


def _asked(child: Child, target: Mapping[str, object]) -> dict[str, bool]:
    try:
        os.write(child.stdin.fileno(), json.dumps(target).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n") and (piece := os.read(child.stdout.fileno(), 65536)):
            answer += piece
        results: dict[str, bool] = json.loads(answer)
    except (OSError, ValueError) as error:
        child.wait(1)
        lines = child.log().strip().splitlines()
        said = lines[-1] if lines else child.stopped or "no answer"
        raise EvaluatorError(said) from error
    return results


@contextlib.contextmanager
def _targets() -> Iterator[tuple[dict[str, object], Callable[[], bool]]]:
    """Set up what the probe attacks: files open to every user, listeners, and a process that stands for the harness."""
    token = uuid.uuid4().hex
    # The address of a socket has room for about a hundred bytes.
    place = "/tmp" if len(os.fsencode(tempfile.gettempdir())) > _LONG else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="evaluator-probe-", dir=place) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o777)
        sentinel, file = folder / "sentinel", folder / "file"
        for path in (sentinel, file):
            path.write_text(token)
            path.chmod(0o666)
        before = file.stat()
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        for address in (str(folder / "socket"), f"\0{token}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
            listeners.append(listener)
        (folder / "socket").chmod(0o666)
        harness = subprocess.Popen([shutil.which("sleep") or "/bin/sleep", "60"], env={"SECRET": f"secret-{token}"})  # noqa: S603
        stack.callback(harness.wait)
        stack.callback(harness.kill)

        def harmed() -> bool:
            after = {path.name for path in folder.iterdir()} == {"sentinel", "file", "socket"} and file.stat()
            same = after and (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
            return not same or file.read_text() != token or harness.poll() is not None

        yield (
            {
                "folder": name,
                "sentinel": str(sentinel),
                "file": str(file),
                "port": listeners[0].getsockname()[1],
                "socket": str(folder / "socket"),
                "abstract": token,
                "secret": f"secret-{token}",
                "harness": harness.pid,
            },
            harmed,
        )


def _unproved(level: Level) -> Isolation:
    return Isolation(level, "", 0, 0, (), MappingProxyType({}), MappingProxyType(_versions(level)), None)


def _said(found: Isolation, refused: dict[Level, str]) -> Isolation:
    said = sentence(found.level, found.passed, found.probes, found.versions, refused)
    return replace(found, sentence=said, refused=MappingProxyType(refused))


@lru_cache(maxsize=8)
def _versions(level: Level) -> dict[str, str]:
    """Return the versions of what a level relies on."""
    if level in (Level.LIMITS, Level.NONE):
        return {}
    versions = {"kernel": platform.release()}
    if level is Level.A:
        found = shutil.which("bwrap")
        done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False) if found else None  # noqa: S603
        return {"bubblewrap": done.stdout.split()[-1] if done and done.stdout else "none", **versions}
    from evaluator.runners.sandbox.confine import landlock_abi

    return {"Landlock": str(landlock_abi()), **versions}
