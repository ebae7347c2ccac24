"""The filter of system calls, run by a small machine of our own, so that both architectures are covered anywhere."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox import Level
from evaluator.runners.sandbox.seccomp import NUMBERS, filter_for

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
LEVELS = (Level.A, Level.B, Level.C)
ALLOWED = "allowed"
FATAL = "fatal"


def decide(code: bytes, arch: str, number: int, *arguments: int) -> str:
    """Run a filter as the kernel does; return the verdict, or the name of the errno."""
    data = struct.pack("<iIQ6Q", number, AUDIT[arch], 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    program = list(struct.iter_unpack("<HBBI", code))
    place = value = 0
    while True:
        operation, yes, no, k = program[place]
        place += 1
        if operation == 0x20:
            assert k % 4 == 0
            (value,) = struct.unpack_from("<I", data, k)
        elif operation == 0x06:
            verdict, detail = k & 0xFFFF0000, k & 0xFFFF
            names = {0x7FFF0000: ALLOWED, 0x80000000: FATAL}
            return names.get(verdict) or (errno.errorcode[detail] if detail else "pretended")
        else:
            test = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            place += yes if test else no


HARMLESS = {  # read, write, openat, mmap, futex, exit_group, socketpair, pipe2
    "x86_64": (0, 1, 257, 9, 202, 231, 53, 293),
    "aarch64": (63, 64, 56, 222, 98, 94, 199, 59),
}


@pytest.mark.parametrize("machine", HARMLESS)
@pytest.mark.parametrize("level", LEVELS)
def test_everyday_calls_pass(machine: str, level: Level) -> None:
    code = filter_for(machine, level).code
    assert {decide(code, machine, number) for number in HARMLESS[machine]} == {ALLOWED}


@pytest.mark.parametrize(("machine", "foreign"), [("x86_64", "i386"), ("aarch64", "arm"), ("x86_64", "aarch64")])
def test_another_architecture_is_fatal(machine: str, foreign: str) -> None:
    assert decide(filter_for(machine, Level.A).code, foreign, 1) == FATAL


def test_x32_is_fatal() -> None:
    assert decide(filter_for("x86_64", Level.A).code, "x86_64", 0x40000000 + 1) == FATAL


WANTED = {  # name: (x86_64, aarch64, arguments, level A, level B, level C)
    "ptrace": (101, 117, (), "EPERM", "EPERM", "EPERM"),
    "socket": (41, 198, (1,), "EAFNOSUPPORT", "EAFNOSUPPORT", "EAFNOSUPPORT"),
    "unshare": (272, 97, (), "EPERM", "EPERM", "EPERM"),
    "io_uring_setup": (425, 425, (), "EPERM", "EPERM", "EPERM"),
    "memfd_create": (319, 279, (), "ENOSYS", "ENOSYS", "ENOSYS"),
    "clone3": (435, 435, (), "ENOSYS", "ENOSYS", "ENOSYS"),
    "one beyond the table": (470, 470, (), "ENOSYS", "ENOSYS", "ENOSYS"),
    "fork, a thread": (56, 220, (0x3D0F00,), ALLOWED, ALLOWED, ALLOWED),
    "fork into a user namespace": (56, 220, (0x10000011,), "EPERM", "EPERM", "EPERM"),
    "fork into a network namespace": (56, 220, (0x40000011,), "EPERM", "EPERM", "EPERM"),
    "ioctl TCGETS": (16, 29, (0, 0x5401), ALLOWED, ALLOWED, ALLOWED),
    "ioctl TIOCSTI": (16, 29, (0, 0x5412), "EPERM", "EPERM", "EPERM"),
    "ioctl TIOCSTI, high bits set": (16, 29, (0, 0xFFFF00005412), "EPERM", "EPERM", "EPERM"),
    "ioctl TIOCLINUX": (16, 29, (0, 0x541C), "EPERM", "EPERM", "EPERM"),
    "fcntl F_GETFL": (72, 25, (0, 3), ALLOWED, ALLOWED, ALLOWED),
    "fcntl F_SETOWN_EX": (72, 25, (0, 15), "EPERM", "EPERM", "EPERM"),
    "own limits": (302, 261, (0,), ALLOWED, ALLOWED, ALLOWED),
    "limits of another": (302, 261, (77,), "EPERM", "EPERM", "EPERM"),
    "fchmodat": (268, 53, (), ALLOWED, "pretended", "pretended"),
    "fchownat": (260, 54, (), ALLOWED, "EPERM", "EPERM"),
    "utimensat": (280, 88, (), ALLOWED, "pretended", "pretended"),
    "kill another": (62, 129, (77,), ALLOWED, ALLOWED, "EPERM"),
    "kill all": (62, 129, (2**64 - 1,), ALLOWED, ALLOWED, "EPERM"),
    "tgkill itself": (234, 131, (4242,), ALLOWED, ALLOWED, ALLOWED),
    "pidfd_send_signal": (424, 424, (), ALLOWED, ALLOWED, "EPERM"),
    "sched_setaffinity of itself": (203, 122, (0,), ALLOWED, ALLOWED, ALLOWED),
    "sched_setaffinity of another": (203, 122, (77,), ALLOWED, ALLOWED, "EPERM"),
    "setpriority": (141, 140, (), ALLOWED, ALLOWED, "EPERM"),
}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", WANTED)
def test_each_call_gets_its_verdict(machine: str, name: str) -> None:
    numbers, arguments, wanted = WANTED[name][:2], WANTED[name][2], WANTED[name][3:]
    number = numbers[machine == "aarch64"]
    for level, verdict in zip(LEVELS, wanted, strict=True):
        program = filter_for(machine, level)
        code = bytearray(program.code)
        for offset in program.own_pid_at:
            struct.pack_into("<I", code, offset, 4242)
        assert decide(bytes(code), machine, number, *arguments) == verdict, level


def test_an_unknown_architecture_gets_no_filter() -> None:
    with pytest.raises(EvaluatorError, match="riscv64"):
        filter_for("riscv64", Level.A)


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_the_numbers_are_those_of_the_kernel(column: int, header: str) -> None:
    if not Path(header).is_file():
        pytest.skip(f"{header} (package linux-libc-dev) is not installed")
    text = Path(header).read_text(encoding="utf-8")
    kernel = {name: int(n) for name, n in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, flags=re.MULTILINE)}
    ours = {name: numbers[column] for name, numbers in NUMBERS.items()}
    compared = [name for name in ours if name in kernel]
    assert len(compared) > 80
    assert {name: ours[name] for name in compared} == {name: kernel[name] for name in compared}
    # What an old header does not know must be newer than all it knows, or not exist on this architecture.
    newest = max(n for name, n in kernel.items() if name != "syscalls")
    assert all(number is None or number > newest for name, number in ours.items() if name not in kernel)
