"""A filter of system calls, written as BPF by hand: no library is needed, and the whole list can be read here.

The list names what is refused, for what a model's runtime calls differs between versions; numbers above the newest
known call are refused too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox.levels import Level

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PRETEND = 0
"""An errno of 0: the call does nothing and reports success."""

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEWEST = 469

_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
# TIOCSTI and TIOCLINUX type into the operator's terminal, FIOSETOWN and SIOCSPGRP choose who gets a signal.
_IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902)
# F_SETOWN, F_SETSIG, F_SETOWN_EX: with them a pipe can send any signal to any process of the same user.
_FCNTLS = (8, 10, 15)

# name: (x86_64, aarch64), None where the architecture has no such call
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fcntl": (72, 25),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "lchown": (94, None),
    "listmount": (458, 458),
    "lookup_dcookie": (212, 18),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "statmount": (457, 457),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
    "vhangup": (153, 58),
}

# Modes and times of files are no business of Landlock: a plain user's child could change those of the user's own files.
# Programs copy modes without need, so these calls pretend to succeed.
_OUTSIDE_FILES = {
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "fchmodat2"), PRETEND),
    **dict.fromkeys(("utime", "utimes", "utimensat", "futimesat"), PRETEND),
    **dict.fromkeys(("chown", "lchown", "fchown", "fchownat", "file_setattr"), EPERM),
    **dict.fromkeys(("setxattr", "lsetxattr", "fsetxattr", "setxattrat"), EPERM),
    **dict.fromkeys(("removexattr", "lremovexattr", "fremovexattr", "removexattrat"), EPERM),
}
# Without a pid namespace, processes of the same user could be reached.
_OUTSIDE_PROCESSES = {
    **dict.fromkeys(("sched_setattr", "sched_setparam", "sched_setscheduler", "setpriority", "ioprio_set"), EPERM),
    **dict.fromkeys(("pidfd_send_signal", "migrate_pages", "move_pages"), EPERM),
}
_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
# Memory that no limit counts, objects that other processes of the same user own, and a way around the filter (clone3).
_ABSENT = (
    *("clone3", "memfd_create", "memfd_secret", "inotify_init", "inotify_init1", "mq_open", "mq_unlink"),
    *("shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl"),
)
_CHECKED = ("clone", "ioctl", "fcntl", "prlimit64")


@dataclass(frozen=True)
class Filter:
    """A program for the kernel."""

    code: bytes
    """Instructions of 8 bytes each."""
    own_pid_at: tuple[int, ...]
    """Offsets in bytes of the 32-bit places that must hold the process id of the child."""


def filter_for(machine: str, level: Level) -> Filter:
    """Return the filter of levels A, B or C for an architecture as `platform.machine()` names it.

    Raises:
        EvaluatorError: the architecture is not known; a filter by guess would be none.
    """
    if machine not in AUDIT:
        raise EvaluatorError(f"no system-call filter for {machine} ({', '.join(AUDIT)} only)")
    column = list(AUDIT).index(machine)
    out = _Program()
    out.load(4)
    out.add(0x15, AUDIT[machine], 1, 0)
    out.give(KILL)
    out.load(0)
    if machine == "x86_64":
        out.add(0x35, _X32, 0, 1)
        out.give(KILL)
    out.add(0x35, _NEWEST + 1, 0, 1)
    out.give(ERRNO | ENOSYS)

    for name, error in _refused(level).items():
        number = NUMBERS[name][column]
        if number is not None:
            out.add(0x15, number, 0, 1)
            out.give(ERRNO | error)

    out.check(NUMBERS["clone"][column], 0, (_NEW_NAMESPACES,), jump=0x45)
    out.check(NUMBERS["ioctl"][column], 1, _IOCTLS)
    out.check(NUMBERS["fcntl"][column], 1, _FCNTLS)
    out.only(NUMBERS["prlimit64"][column], 0)
    if level is Level.C:
        out.only(NUMBERS["sched_setaffinity"][column], 0)
        for name in _SIGNALS:
            out.only(NUMBERS[name][column], None)
    out.give(ALLOW)
    return Filter(b"".join(out.code), tuple(out.pids))


def _refused(level: Level) -> dict[str, int]:
    """Return the calls that are refused whatever their arguments, with the errno."""
    elsewhere = {*_OUTSIDE_FILES, *_OUTSIDE_PROCESSES, *_SIGNALS, *_CHECKED, "sched_setaffinity"}
    refused = {name: EPERM for name in NUMBERS if name not in elsewhere}
    refused |= dict.fromkeys(_ABSENT, ENOSYS) | {"socket": EAFNOSUPPORT}
    if level in (Level.B, Level.C):
        refused |= _OUTSIDE_FILES
    if level is Level.C:
        refused |= _OUTSIDE_PROCESSES
    return refused


class _Program:
    def __init__(self) -> None:
        self.code: list[bytes] = []
        self.pids: list[int] = []

    def add(self, operation: int, value: int, yes: int = 0, no: int = 0) -> None:
        self.code.append(struct.pack("<HBBI", operation, yes, no, value))

    def load(self, offset: int) -> None:
        self.add(0x20, offset)

    def give(self, answer: int) -> None:
        self.add(0x06, answer)

    def check(self, number: int | None, argument: int, wrong: tuple[int, ...], *, jump: int = 0x15) -> None:
        """Refuse the call if the low half of an argument equals (or shares a bit with) one of the values."""
        assert number is not None  # noqa: S101
        self.add(0x15, number, 0, 2 * len(wrong) + 2)
        self.load(16 + 8 * argument)
        for value in wrong:
            self.add(jump, value, 0, 1)
            self.give(ERRNO | EPERM)
        self.give(ALLOW)

    def only(self, number: int | None, first: int | None) -> None:
        """Refuse the call unless the low half of its first argument is `first`, or the child's own pid if None."""
        assert number is not None  # noqa: S101
        self.add(0x15, number, 0, 4)
        self.load(16)
        if first is None:
            self.pids.append(8 * len(self.code) + 4)
        self.add(0x15, first or 0, 0, 1)
        self.give(ALLOW)
        self.give(ERRNO | EPERM)
