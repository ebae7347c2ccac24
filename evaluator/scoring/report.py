"""The report of a run: time by stage, how often a reference served, slowest cases, throughput."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluator.scoring.plan import Done
from evaluator.scoring.stages import STAGES, Stages

_SLOWEST = 10


@dataclass
class Tally:
    """What a run counts as it goes on; its size does not grow with the cases."""

    stages: Stages = field(default_factory=Stages)
    workers: int = 0
    """At the start of the run."""
    references: int = 0
    """References read and prepared."""
    scored: int = 0
    """Case scores computed."""
    retried: list[str] = field(default_factory=list)
    """What was done again, a line each."""
    begun: float = field(default_factory=time.perf_counter)
    _slowest: list[tuple[float, str]] = field(default_factory=list)

    def add(self, done: Done, *, scored: int) -> None:
        """Count what came of a chunk, `scored` case scores among it."""
        self.stages.add(done.stages)
        self.references += len(done.seconds)
        self.scored += scored
        found = [(seconds, case) for case, seconds in done.seconds.items()]
        self._slowest = heapq.nlargest(_SLOWEST, self._slowest + found)

    def report(self) -> Report:
        """Return the report of the run up to now."""
        seconds = time.perf_counter() - self.begun
        slowest = {case: round(s, 4) for s, case in self._slowest}
        return Report(
            seconds=round(seconds, 3),
            workers=self.workers,
            scores=self.scored,
            scores_per_s=round(self.scored / seconds, 3) if seconds else 0.0,
            stages={name: round(s, 4) for name, s in self.stages.seconds.items()},
            references=self.references,
            references_kept=max(0, self.scored - self.references),
            slowest=slowest,
            retried=tuple(self.retried),
        )


@dataclass(frozen=True)
class Report:
    """Where the time of a run went."""

    seconds: float
    """Wall time."""
    workers: int
    scores: int
    """Case scores computed; those that journals had are not among them."""
    scores_per_s: float
    stages: Mapping[str, float]
    """Seconds of all workers together, by stage (see `STAGES`)."""
    references: int
    """References read and prepared."""
    references_kept: int
    """Case scores for which the reference was there already: prepared for another submission."""
    slowest: Mapping[str, float]
    """Seconds of the slowest cases, all their submissions together."""
    retried: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: dict(v) if isinstance(v, Mapping) else v for name, v in vars(self).items()}

    def lines(self) -> list[str]:
        """Return it in words, a line each."""
        busy = sum(self.stages.values())
        lines = [
            f"{self.scores} case scores in {self.seconds:.1f} s: {self.scores_per_s:.1f} a second with "
            f"{self.workers} worker{'s' * (self.workers != 1)}."
        ]
        if busy:
            parts = [f"{STAGES[n]} {s:.1f} s ({s / busy:.0%})" for n, s in self.stages.items() if s >= busy / 1000]  # type: ignore[index]
            lines.append(f"Time of the workers: {'; '.join(parts)}.")
        if self.references:
            lines.append(f"References read: {self.references}; kept for another submission: {self.references_kept}.")
        if self.slowest:
            lines.append(f"Slowest cases: {', '.join(f'{case} {s:.2f} s' for case, s in self.slowest.items())}.")
        return lines + [f"Retried: {line}" for line in self.retried]
