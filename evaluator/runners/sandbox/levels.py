"""What isolation a child process has: the levels, its limits, and the record that goes into a scorecard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

MIB = 1024**2
GIB = 1024**3


class Level(StrEnum):
    """How strongly a child is kept apart, strongest first."""

    A = "A"
    """Its own view of the file system, its own processes, no network, filtered system calls, limits (bubblewrap)."""
    B = "B"
    """As A, but the files of the host keep their names: opening them is refused, asking whether they exist is not."""
    C = "C"
    """As B, but other processes are in sight, and what it leaves behind must be swept up."""
    LIMITS = "limits"
    """Limits on time, memory, processes and files; nothing else."""
    NONE = "none"
    """A plain process with an empty environment."""


ORDER = tuple(Level)
"""All levels, strongest first."""


@dataclass(frozen=True)
class Limits:
    """What one child may use. Sizes in bytes, times in seconds."""

    case_s: float = 60
    """For one case. The caller holds this clock and calls `Child.stop("time")`."""
    total_s: float | None = None
    """From its start to its end; none by default."""
    memory: int = 4 * GIB
    """Private memory of one process, and resident memory of all of them together."""
    processes: int | None = None
    """Processes and threads together; by default 128, or 16 for each core if that is more."""
    file_size: int = 256 * MIB
    """The largest file it may write, and at levels A and B the size of its whole scratch folder."""
    log: int = 8 * MIB
    """What it may write to standard error."""

    def __post_init__(self) -> None:
        sizes = (self.case_s, self.memory, self.file_size, self.log, self.processes or 1, self.total_s or 1)
        if min(sizes) <= 0:
            raise ValueError(f"every limit must be above zero: {self}")


@dataclass(frozen=True)
class Isolation:
    """The isolation that was proved on this machine, in this process, before anything was run in it."""

    level: Level
    sentence: str
    """What it means, for people."""
    passed: int
    probes: int
    failed: tuple[str, ...]
    """Names of the attacks that were not stopped."""
    refused: Mapping[Level, str]
    """Why each stronger level was not taken."""
    versions: Mapping[str, str]
    """Of bubblewrap, the kernel and Landlock, as far as this level relies on them."""
    uid: int | None
    """The user id the probed child had on the host; None if it was the one of the harness."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Views of dictionaries, which others cannot change, cannot be sent to other processes.
        return partial(Isolation, **{**vars(self), "refused": dict(self.refused), "versions": dict(self.versions)}), ()

    def inside(self, host: Path, name: str) -> str:
        """Return the path under which a child sees the folder `host` that is mounted as `name`."""
        return name if self.level is Level.A else str(host)


def sentence(level: Level, passed: int, probes: int, versions: Mapping[str, str], refused: Mapping[Level, str]) -> str:
    """Say for people what a level keeps a submission from, and how sure that is."""
    proof = ", ".join(
        [*(f"{name} {version}" for name, version in versions.items()), f"{passed} of {probes} probes held"]
    )
    match level:
        case Level.A:
            return (
                "Isolated: it sees a file system of its own without your data, no network and no process but its own; "
                f"system calls are filtered and resources limited ({proof})."
            )
        case Level.B:
            return (
                "Isolated, less tightly: it can open no file of yours, reach no network and no other process, but can "
                f"tell which files exist and how large they are ({proof})."
            )
        case Level.C:
            return (
                "Partly isolated: it can neither open nor change files of yours nor reach the network, but sees other "
                f"processes, and what it leaves running has to be swept up ({proof})."
            )
        case Level.LIMITS:
            return f"NOT isolated: only time, memory and processes are limited. {remedy(refused)}"
        case Level.NONE:
            return f"NOT isolated: it runs as any program of yours does. {remedy(refused)}"


def remedy(refused: Mapping[Level, str]) -> str:
    """Say what would have to change for isolation, given why the levels were refused."""
    reason = refused.get(Level.A, "")
    said = f" ({reason})" if reason else ""
    if "not Linux" in reason:
        return "Isolation needs Linux: use a container or a virtual machine."
    if "not installed" in reason:
        return f"Install bubblewrap, version 0.5 or newer{said}."
    if "setting up uid map" in reason:
        return (
            f"Bubblewrap may not make user namespaces{said}: load the AppArmor profile bwrap-userns-restrict, "
            "or set kernel.apparmor_restrict_unprivileged_userns=0."
        )
    if "not asked for" in reason:
        return f"That was asked for ({reason.partition(': ')[2]})."
    return f"Bubblewrap could not be used{said}; let it make namespaces, or use a virtual machine."
