"""Where the time of a run goes: seconds by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@dataclass
class Stages:
    """Seconds of one worker by stage; stages do not lie in each other."""

    seconds: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def of(self, stage: Stage) -> Iterator[None]:
        """Count the time inside."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - begin

    def add(self, other: Stages) -> None:
        """Add another's seconds."""
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())
