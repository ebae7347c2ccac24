"""Confine this process as told and become the child: a script of its own, for where bubblewrap cannot be used.

Run as `python -I -S confine.py FD`, FD holding a JSON object. It stays as the parent of the child: first process of the
child's pid namespace at level B, else the one that orphans fall to and that ends them. Imports nothing of the package.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

LIBC = ctypes.CDLL(None, use_errno=True)
FAILED = 126
"""Exit status if the child could not be confined; it was not started then."""

CLONE = {"mount": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000, "pid": 0x20000000}
CLONE_NEWNET = 0x40000000
CAP_DAC_READ_SEARCH = 2

# Landlock: rights on files, by the bits of the kernel's interface.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 10, 1 << 11
RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number; raise OSError if it fails."""
    return checked(LIBC.syscall(number, *arguments), f"system call {number}")


def checked(answer: int, what: str) -> int:
    """Return the answer of a C function; raise OSError with the errno if it is -1."""
    if answer == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return answer


def prctl(option: int, *values: int) -> None:
    """Call prctl; raise OSError if it fails."""
    four = [ctypes.c_ulong(v) for v in (*values, 0, 0, 0, 0)[:4]]
    checked(LIBC.prctl(option, *four), f"prctl {option}")


def landlock_abi() -> int:
    """Return the version of Landlock's interface, 0 if the kernel has none."""
    answer: int = LIBC.syscall(444, None, ctypes.c_size_t(0), 1)
    return max(answer, 0)


def landlock(readable: list[str], writable: list[str], devices: list[str]) -> None:
    """Leave only these files and folders, and no signal or abstract socket out of this domain."""
    abi = landlock_abi()
    if abi == 0:
        raise OSError("Landlock is not available in this kernel")
    every = (1 << RIGHTS_BY_ABI.get(abi, 16)) - 1
    attributes = struct.pack("<QQQ", every, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = call(444, attributes, ctypes.c_size_t(size), 0)
    scratch = every & ~(MAKE_CHAR | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | EXECUTE)
    for paths, rights in (
        (readable, EXECUTE | READ_FILE | READ_DIR),
        (writable, scratch | EXECUTE),
        (devices, READ_FILE | WRITE_FILE),
    ):
        for path in paths:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            allowed = rights if os.path.isdir(path) else rights & (EXECUTE | WRITE_FILE | READ_FILE)
            call(445, ruleset, 1, struct.pack("<Qi", allowed, handle), 0)
            os.close(handle)
    call(446, ruleset, 0)
    os.close(ruleset)


def drop(uid: int | None, *, search: bool) -> None:
    """Become another user if one is given, and lose every capability but, if asked, that of passing closed folders."""
    kept = 1 << CAP_DAC_READ_SEARCH if search else 0
    with contextlib.suppress(OSError):  # ends at the first capability unknown to the kernel, or without CAP_SETPCAP
        for capability in range(64):
            if not kept & 1 << capability:
                prctl(24, capability)
    if uid is not None:
        prctl(8, 1)  # keep capabilities over the change of user
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = struct.pack("<Ii", 0x20080522, 0)
    checked(LIBC.capset(header, struct.pack("<6I", kept, kept, kept, 0, 0, 0)), "capset")
    if search:
        prctl(47, 2, CAP_DAC_READ_SEARCH)  # ambient: survives the exec below


def seccomp(code: bytearray, own_pid_at: list[int]) -> None:
    """Install the filter, with this process's id where it asks for it."""
    for offset in own_pid_at:
        struct.pack_into("<I", code, offset, os.getpid())
    instructions = (ctypes.c_char * len(code)).from_buffer(code)
    program = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    buffer = ctypes.create_string_buffer(program, len(program))
    prctl(22, 2, ctypes.addressof(buffer))


def become(order: dict[str, Any]) -> NoReturn:
    """Turn this process into the child. Returns never; ends with status FAILED if a step of the way fails."""
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order["scratch"])
        for name, (soft, hard) in order["rlimits"].items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (soft, hard))
        if order["confined"]:
            drop(order["uid"], search=order["search"])
        prctl(1, signal.SIGKILL)  # after the change of user, which would forget it
        prctl(38, 1)
        if order["confined"]:
            landlock(order["readable"], [order["scratch"]], order["devices"])
            seccomp(bytearray(base64.b64decode(order["filter"])), order["own_pid_at"])
        os.execve(order["arguments"][0], order["arguments"], order["environment"])  # noqa: S606
    except Exception as error:
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(FAILED)


def namespaces(*, user: bool) -> None:
    """Move to new namespaces; the next process forked is the first of its pid namespace."""
    uid, gid = os.getuid(), os.getgid()
    wanted = {n: f for n, f in CLONE.items() if n != "user" or user}
    checked(LIBC.unshare(sum(wanted.values()) | CLONE_NEWNET), "unshare")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system."""
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    options = None if data is None else data.encode()
    checked(LIBC.mount(*texts, ctypes.c_ulong(flags), options), f"mount {target}")


def own_mounts(order: dict[str, Any]) -> None:
    """Show only the processes of this namespace, and give the scratch folder a size."""
    nosuid_nodev = 2 | 4
    mount("none", "/", None, 0x4000 | 0x40000)  # recursive, private
    mount("proc", "/proc", "proc", nosuid_nodev | 8)
    owner = order["uid"] if order["uid"] is not None else os.getuid()
    mount("tmpfs", order["scratch"], "tmpfs", nosuid_nodev, f"size={order['file_size']},mode=0700,uid={owner}")


class Ended(BaseException):
    """The harness asks for the end."""


def descendants(pid: int) -> Iterator[int]:
    """Give the ids of all processes that come from this one, as far as they do not change meanwhile."""
    ids = [pid]
    while ids:
        pid = ids.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                    found = [int(word) for word in file.read().split()]
                yield from found
                ids += found


def sweep() -> None:
    """End all descendants, orphans included, until none is left."""
    while True:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def tend(child: int) -> int:
    """Wait for the child while its orphans come and go; return its exit status, 128 + N if signal N ended it."""
    while True:
        pid, status = os.wait()
        if os.WIFSTOPPED(status):  # it asked to be traced, which no program here does
            os.kill(pid, signal.SIGKILL)
        elif pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def stay(order: dict[str, Any]) -> NoReturn:
    """Start the child and remain its parent to the end."""

    def end(*_: object) -> None:
        if not ending:
            ending.append(True)
            raise Ended

    ending: list[bool] = []
    status = 128 + signal.SIGKILL
    swept = order["level"] != "B"  # there the kernel ends the whole namespace with its first process
    try:
        if swept:
            signal.signal(signal.SIGTERM, end)
        child = os.fork()
        if child == 0:
            become(order)
        for handle in order["descriptors"]:
            os.close(handle)
        for handle in (0, 1):
            os.close(handle)
        status = tend(child)
        ending.append(True)
    except Ended:
        pass
    if swept:
        sweep()
    os._exit(status)


def main() -> NoReturn:
    """Read the order, tell the harness which process to hold, wait for its word, and go."""
    with open(int(sys.argv[1]), encoding="utf-8") as file:
        order = json.load(file)
    os.chdir("/")
    own = order["level"] == "B"
    prctl(1, signal.SIGKILL if own else signal.SIGTERM)  # when the harness dies
    if os.getppid() != order["parent"]:
        os._exit(FAILED)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    first = 0
    if own:
        namespaces(user=order["uid"] is None)
        first = os.fork()
    else:
        prctl(36, 1)  # orphans fall to this process
    if not own or first:
        os.write(order["info"], json.dumps({"child-pid": first or os.getpid()}).encode())
    os.close(order["info"])
    if first:
        for handle in (0, 1, order["go"], *order["descriptors"]):
            os.close(handle)
        os._exit(tend(first))
    if own:
        prctl(1, signal.SIGKILL)
    if not os.read(order["go"], 1):
        os._exit(FAILED)
    os.close(order["go"])
    if own:
        own_mounts(order)
    stay(order)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        os.write(2, f"sandbox: {error}\n".encode())
        os._exit(FAILED)
