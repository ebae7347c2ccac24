"""The command that starts a child, for each level."""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox.levels import GIB, MIB, Level, Limits
from evaluator.runners.sandbox.roots import SYSTEM, open_to_others, reached_by_others
from evaluator.runners.sandbox.seccomp import filter_for

_CONFINE = Path(__file__).with_name("confine.py")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_INSIDE_UID = 64999
_SHM = "/dev/shm"  # noqa: S108
_SHARED_MEMORY = 64 * MIB
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ETC = ("/etc/ld.so.cache", "/etc/alternatives")
_SPARE_PROCESSES = (
    16  # between what the watchdog allows and what the kernel does: a flood is named before it is refused
)


@dataclass(frozen=True)
class Request:
    """All that one launch is about."""

    level: Level
    arguments: Sequence[str]
    limits: Limits
    readable: Sequence[Path]
    mounts: Mapping[Path, str]
    descriptors: Sequence[int]
    threads: int
    scratch: str
    """As the child sees it."""
    uid: int | None
    """The user to become, if the harness is root and the level has one."""


@dataclass
class Command:
    """A command, with the descriptors it must inherit and close."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: list[int] = field(default_factory=list)
    owned: list[int] = field(default_factory=list)
    """Made for this command alone: closed here once it has started."""

    def hand(self, text: bytes) -> str:
        """Give the command a descriptor that holds the bytes; return its number."""
        handle = os.memfd_create("sandbox")
        os.write(handle, text)
        os.lseek(handle, 0, os.SEEK_SET)
        self.descriptors.append(handle)
        self.owned.append(handle)
        return str(handle)


def processes(limits: Limits) -> int:
    """Return how many processes and threads a child may have."""
    return limits.processes or max(128, 16 * (os.cpu_count() or 1))


def environment(scratch: str, threads: int) -> dict[str, str]:
    """Return the whole environment of a child."""
    count = str(threads)
    counted = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "USER": "sandbox",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": scratch,
        "HDF5_PLUGIN_PATH": "/dev/null",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        # Large pages: else a process is up to 15 % slower than its twin, all its life, by where its memory came to lie.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        **{f"{library}_NUM_THREADS": count for library in counted},
    }


def rlimits(request: Request) -> dict[str, tuple[int, int]]:
    """Return the kernel's limits by name, soft and hard, none above what the harness itself may give."""
    import resource

    limits = request.limits
    wanted = {
        "DATA": limits.memory,
        "AS": limits.memory + 8 * GIB,
        "FSIZE": limits.file_size,
        "NPROC": processes(limits) + _SPARE_PROCESSES + _other_threads(request),
        "NOFILE": 1024,
        "CORE": 0,
    }
    if limits.total_s is not None:
        wanted["CPU"] = int(limits.total_s * (os.cpu_count() or 1)) + 2
    result = {}
    for name, value in wanted.items():
        most = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1]
        hard = value if most == resource.RLIM_INFINITY else min(value, most)
        result[name] = (hard - 1 if name == "CPU" else hard, hard)
    return result


def _other_threads(request: Request) -> int:
    """Return how many threads the kernel counts for the child's user that are not the child's."""
    if request.uid is not None:
        return 0
    release = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in platform.release().split(".")[:2])
    if request.level in (Level.A, Level.B) and release >= (5, 14):
        return 0  # counted for each user namespace
    return sum(threads for user, threads in users() if user == os.getuid())


def users() -> Iterator[tuple[int, int]]:
    """Give the user id and the number of threads of each process of the host."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield folder.stat().st_uid, len(list((folder / "task").iterdir()))
        except OSError:
            continue  # it has just ended


def plain(request: Request) -> Command:
    """Return the command of level none."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows starts nothing without
    return Command(list(request.arguments), kept | environment(request.scratch, request.threads))


def confined(request: Request, info: int, go: int) -> Command:
    """Return the command of levels B, C and limits: our own script, which confines itself and becomes the child."""
    uses = request.level is not Level.LIMITS
    readable = [*map(str, SYSTEM), *_ETC, "/proc", *map(str, request.readable), *map(str, request.mounts)]
    needed = [*request.readable, *request.mounts, Path(request.scratch).parent]
    program = filter_for(platform.machine(), request.level) if uses else None
    order = {
        "level": request.level.value,
        "parent": os.getpid(),
        "info": info,
        "go": go,
        "confined": uses,
        "uid": request.uid,
        "search": request.uid is not None and not all(map(reached_by_others, needed)),
        "scratch": request.scratch,
        "file_size": request.limits.file_size,
        "rlimits": rlimits(request),
        "readable": readable,
        "devices": _DEVICES,
        "filter": base64.b64encode(program.code).decode() if program else "",
        "own_pid_at": program.own_pid_at if program else (),
        "arguments": list(request.arguments),
        "environment": environment(request.scratch, request.threads),
        "descriptors": list(request.descriptors),
    }
    command = Command([], {}, [info, go])
    handle = command.hand(json.dumps(order).encode())
    command.arguments = [sys.executable, "-I", "-S", str(_CONFINE), handle]
    return command


def bubblewrap(request: Request, info: int, go: int) -> Command:
    """Return the command of level A.

    Raises:
        EvaluatorError: a program it needs is missing, or a folder to be mounted is closed to other users.
    """
    root = request.uid is not None
    tools = {name: _tool(name) for name in ("bwrap", "prlimit", *(["setpriv"] if root else []))}
    for path in (*request.readable, *request.mounts) if root else ():
        if not open_to_others(path):
            raise EvaluatorError(f"{path} cannot be read inside a sandbox: open it to other users (chmod o+rX).")
    command = Command([], {}, [info, go])
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if root:
        # A real other user: root in a user namespace would stay the host's root for files and process limits.
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            options += ["--cap-add", capability]
    else:
        inside = str(_INSIDE_UID)
        options += ["--unshare-user", "--disable-userns", "--uid", inside, "--gid", inside]
    options += _files(request)
    options += ["--chdir", request.scratch, "--clearenv"]
    for name, value in environment(request.scratch, request.threads).items():
        options += ["--setenv", name, value]
    program = filter_for(platform.machine(), Level.A)
    options += ["--seccomp", command.hand(program.code)]
    text = b"".join(option.encode() + b"\0" for option in options)
    command.arguments = [
        tools["bwrap"],
        "--args",
        command.hand(text),
        "--info-fd",
        str(info),
        "--block-fd",
        str(go),
        "--",
    ]
    if root:
        user = str(request.uid)
        command.arguments += [tools["setpriv"], f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        command.arguments += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    bounds = [f"--{name.lower()}={soft}:{hard}" for name, (soft, hard) in rlimits(request).items()]
    command.arguments += [tools["prlimit"], *bounds, *request.arguments]
    return command


def _files(request: Request) -> list[str]:
    """Return the options that make the file system of level A: read-only but for a scratch of limited size."""
    scratch, shared = str(request.limits.file_size), str(_SHARED_MEMORY)
    options = ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", shared, "--tmpfs", _SHM]
    options += ["--perms", "1777", "--size", scratch, "--tmpfs", request.scratch, "--perms", "0755", "--dir", "/etc"]
    for folder in SYSTEM:
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.exists():
            options += ["--ro-bind", str(folder), str(folder)]
    for path in _ETC:
        options += ["--ro-bind-try", path, path]
    binds = {str(path): str(path) for path in request.readable} | {
        inside: str(host) for host, inside in request.mounts.items()
    }
    options += _parents(binds, known={"/", "/etc", "/dev", "/proc", request.scratch})
    for inside, host in binds.items():
        options += ["--ro-bind", host, inside]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/"]


def _parents(paths: Iterable[str], known: set[str]) -> list[str]:
    """Return the options for the folders around mounts, which bubblewrap would close to every other user."""
    folders = {str(folder) for path in paths for folder in Path(path).parents} - known
    return [word for folder in sorted(folders) for word in ("--perms", "0755", "--dir", folder)]


def _tool(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        package = "bubblewrap" if name == "bwrap" else "util-linux"
        raise EvaluatorError(f"{name} is not installed (package {package})")
    return found
