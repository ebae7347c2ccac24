"""The device card of this machine."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Hardware(BaseModel):
    """What a scorecard says of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int
    """Processors that this process may use."""
    memory_gib: float | None
    system: str


def usable_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def this_machine() -> Hardware:
    """Return this machine's device card."""
    return Hardware(
        processor=_processor(),
        cores=usable_cores(),
        memory_gib=_memory_gib(),
        system=f"{platform.system()} {platform.machine()}",
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
