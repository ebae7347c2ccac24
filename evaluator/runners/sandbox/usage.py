"""What the processes of a child use, read from /proc."""

from __future__ import annotations

import contextlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from evaluator.runners.sandbox.levels import MIB


@dataclass(frozen=True)
class Usage:
    """Of all processes of a child at one moment."""

    resident: int
    """Resident memory of all of them together, bytes; what two of them share counts twice."""
    peak: int
    """The most that one of them has ever had resident, or the sum if that is more, bytes."""
    threads: int
    """Processes and threads."""


def usage(pid: int, *, own: bool) -> Usage:
    """Add up what the descendants of a process use, and with `own` the process itself; nothing outside Linux."""
    resident = peak = threads = 0
    for number in _family(pid, own=own):
        try:
            text = Path(f"/proc/{number}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has just ended
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        resident += _kib(fields.get("VmRSS"))
        peak = max(peak, _kib(fields.get("VmHWM")))
        threads += int(fields.get("Threads", "0"))
    return Usage(resident, max(peak, resident), threads)


def forget_peaks(pid: int, *, own: bool) -> None:
    """Have the system begin anew with the peaks of the processes that `usage` looks at, where it is allowed."""
    for number in _family(pid, own=own):
        with contextlib.suppress(OSError):
            Path(f"/proc/{number}/clear_refs").write_text("5", encoding="ascii")


def _family(pid: int, *, own: bool) -> list[int]:
    if sys.platform != "linux":
        return []
    from evaluator.runners.sandbox.confine import descendants

    return [*([pid] if own else []), *descendants(pid)]


def _kib(value: str | None) -> int:
    return int(value.split()[0]) * 1024 if value else 0


def short_of(scratch: str | None) -> str | None:
    """Return `memory` or `disk` if the host is about to run out of it, else None."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:") and int(line.split()[1]) * 1024 < 256 * MIB:
                return "memory"
    except OSError:
        pass  # no Linux
    if scratch is not None and shutil.disk_usage(scratch).free < 512 * MIB:
        return "disk"
    return None
