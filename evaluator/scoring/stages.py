"""Where the time of a run goes: seconds by stage."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["references", "outputs", "models", "metrics", "looks"]
STAGES: dict[Stage, str] = {
    "references": "read and prepare references",
    "outputs": "read and decode outputs",
    "models": "run models",
    "metrics": "metrics",
    "looks": "compare outputs with inputs and references",
}


class _Clock:  # a generator in its place takes three times as long, four times a case
    __slots__ = ("_begin", "_seconds", "_stage")

    def __init__(self, seconds: dict[Stage, float], stage: Stage) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] += time.perf_counter() - self._begin


@dataclass
class Stages:
    """Seconds of one worker by stage; stages do not lie in each other."""

    seconds: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def of(self, stage: Stage) -> _Clock:
        """Return a context whose time is counted."""
        return _Clock(self.seconds, stage)

    def add(self, other: Stages) -> None:
        """Add another's seconds."""
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())
