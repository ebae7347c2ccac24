"""Try to break out, inside a sandbox, and say what was not stopped: a script of its own, run before anything else is.

Reads a JSON object of targets from standard input and writes one of results to standard output: for each attack whether
it was stopped. The last attack leaves a process behind that holds the descriptor named by `held`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
# keyctl(KEYCTL_GET_KEYRING_ID), io_uring_setup(1 entry), unshare(CLONE_NEWUSER), ptrace(PTRACE_TRACEME), memfd_create:
# calls that succeed for any user where nothing forbids them.
CALLS: dict[str, dict[str, tuple[Any, ...]]] = {
    "x86_64": {
        "keyctl": (250, 0, -3, 1),
        "io_uring": (425, 1, ctypes.create_string_buffer(120)),
        "unshare": (272, 0x10000000),
        "ptrace": (101, 0, 0, 0, 0),
        "memfd": (319, b"x", 0),
    },
    "aarch64": {
        "keyctl": (219, 0, -3, 1),
        "io_uring": (425, 1, ctypes.create_string_buffer(120)),
        "unshare": (97, 0x10000000),
        "ptrace": (117, 0, 0, 0, 0),
        "memfd": (279, b"x", 0),
    },
}


def refused(attack: Callable[[], object]) -> bool:
    """Run an attack; return whether the system refused it."""
    try:
        attack()
    except OSError:
        return True
    return False


def call(*arguments: object) -> None:
    """Make a system call; raise OSError if it fails."""
    if LIBC.syscall(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "refused")


def call_apart(*arguments: object) -> bool:
    """Make a system call in a process of its own, for it may change much; return whether it was refused."""
    child = os.fork()
    if child == 0:
        os._exit(1 if refused(lambda: call(*arguments)) else 0)
    return os.waitpid(child, 0)[1] != 0


def read(path: str) -> bytes:
    """Return the start of a file."""
    with open(path, "rb") as file:
        return file.read(65536)


def write(target: dict[str, Any]) -> bool:
    """Make, change, cut, close, rename and remove files of others; return whether all of it was refused.

    A call that reports success is looked at by the harness, from outside.
    """
    folder, file = target["folder"], target["file"]

    def make() -> None:
        with open(f"{folder}/made", "w"):
            pass

    def append() -> None:
        with open(file, "ab") as handle:
            handle.write(b"more")

    with contextlib.suppress(OSError):
        os.chmod(file, 0o600)
    with contextlib.suppress(OSError):
        os.utime(file, (0, 0))
    attacks: list[Callable[[], object]] = [make, append]
    attacks += [lambda: os.truncate(file, 0), lambda: os.rename(file, f"{folder}/moved"), lambda: os.unlink(file)]
    return all([refused(attack) for attack in attacks])


def connect(target: dict[str, Any]) -> bool:
    """Connect to listeners on the loopback device, in the file system and in the abstract name space."""

    def reach(family: int, address: tuple[str, int] | str) -> None:
        with socket.socket(family, socket.SOCK_STREAM) as stream:
            stream.connect(address)

    attacks: list[Callable[[], object]] = [
        lambda: reach(socket.AF_INET, ("127.0.0.1", target["port"])),
        lambda: reach(socket.AF_UNIX, target["socket"]),
        lambda: reach(socket.AF_UNIX, "\0" + target["abstract"]),
    ]
    return all([refused(attack) for attack in attacks])


def secrets(target: dict[str, Any]) -> bool:
    """Look for the secret in the environment of every process in sight; return whether it was not found."""
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and target["secret"].encode() in read(f"/proc/{name}/environ"):
                return False
    return True


def forks(target: dict[str, Any]) -> bool:
    """Start one process after the other; return whether the system ends that before there are too many.

    The limit it was given is lowered first, for the watchdog must not end this before the system does.
    """
    given = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if given == resource.RLIM_INFINITY:
        return False
    resource.setrlimit(resource.RLIMIT_NPROC, (max(1, given - target["lower_by"]), given))
    wait, release = os.pipe()
    children: list[int] = []
    try:
        while len(children) < target["forks"]:
            child = os.fork()
            if child == 0:
                os.close(release)
                os.read(wait, 1)
                os._exit(0)
            children.append(child)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(release)
        for child in children:
            os.waitpid(child, 0)
    return False


def leave_behind(held: int) -> None:
    """Leave a process in a session of its own that ignores what it can and holds a descriptor."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            for handle in (0, 1, 2):
                os.close(handle)
            time.sleep(60)
        os._exit(0)
    os.close(held)
    os.wait()


def main() -> None:
    """Run every attack."""
    target = json.loads(sys.stdin.readline())
    results = {
        "read a file outside": refused(lambda: read(target["sentinel"])),
        "list a folder outside": refused(lambda: os.listdir(target["folder"])),
        "learn that a file exists": refused(lambda: os.stat(target["sentinel"])),
        "change files outside": write(target),
        "reach sockets": connect(target),
        "read the harness's environment": secrets(target),
        "signal the harness": refused(lambda: os.kill(target["harness"], signal.SIGTERM)),
    }
    for name, arguments in CALLS.get(platform.machine(), {}).items():
        results[name] = call_apart(*arguments)
    leave_behind(target["held"])
    results["too many processes"] = forks(target)
    sys.stdout.write(json.dumps(results) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()  # until it is ended


if __name__ == "__main__":
    main()
