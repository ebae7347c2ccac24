"""Time a model against a reference, run and run about, so that what else the machine does hits both alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Run = Callable[[], float]
"""Runs once and returns the seconds that it took."""

WARM_UP = 2
FEWEST = 6
MOST = 20
BUDGET_S = 5.0
FEWEST_ROUNDS = 3
MOST_ROUNDS = 7
AGREE = 0.04
"""How near the ratios of all rounds must be, over the ratio, for no more rounds to be needed."""
SURE = 0.01
"""Relative half width of the ratio's interval at which enough was measured."""


@dataclass(frozen=True)
class Round:
    """Times of a model and, pair by pair, of the reference beside it, in one process each."""

    seconds: tuple[float, ...]
    reference: tuple[float, ...]
    """Empty without a reference, or where it failed."""

    @property
    def ratio(self) -> float | None:
        """Reference time by model time: the mean of two medians, that over pairs A B and that over pairs B A."""
        return _balanced(_ratios(self.seconds, self.reference))


@dataclass(frozen=True)
class Timed:
    """Times of several rounds, each in processes of its own."""

    rounds: tuple[Round, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of the model, all rounds."""
        return tuple(s for r in self.rounds for s in r.seconds)

    @property
    def reference(self) -> tuple[float, ...]:
        """Of the reference, all rounds."""
        return tuple(s for r in self.rounds for s in r.reference)

    @property
    def median(self) -> float:
        """Of the model, in seconds."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """By nearest rank: at least 95 % of the runs took no longer."""
        return sorted(self.seconds)[math.ceil(0.95 * len(self.seconds)) - 1]

    @property
    def spread(self) -> float:
        """The interquartile range over the median."""
        return _range(self.seconds) / self.median

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the reference: the median over rounds of each one's median over pairs."""
        found = self._ratios()
        return statistics.median(found) if found else None

    @property
    def ratio_spread(self) -> float | None:
        """How far the rounds' ratios lie apart, over the ratio."""
        found = self._ratios()
        return (max(found) - min(found)) / statistics.median(found) if found else None

    @property
    def enough(self) -> bool:
        """Whether no more rounds are needed."""
        if len(self.rounds) < FEWEST_ROUNDS or len(self.rounds) >= MOST_ROUNDS:
            return len(self.rounds) >= MOST_ROUNDS
        return self.ratio_spread is None or self.ratio_spread <= AGREE

    def _ratios(self) -> list[float]:
        return [r.ratio for r in self.rounds if r.ratio is not None]


def interleave(model: Run, reference: Run | None, *, budget_s: float = BUDGET_S) -> Round:
    """Run a model and a reference in turns, in the order A B B A, until their ratio is known well enough.

    Load that lasts longer than a pair slows both and leaves the ratio; a burst that hits one run of a pair is an
    outlier, which a median leaves out; B A after A B cancels what a run gains by coming after one of its own, and a
    machine that grows slower all the time.

    Args:
        model: runs the model once.
        reference: runs the reference once; None: the model alone.
        budget_s: seconds after which no further two pairs are begun once there are six.
    """
    runs = [model, reference] if reference else [model]
    for _ in range(WARM_UP):
        for run in reversed(runs):
            run()
    times: list[list[float]] = [[] for _ in runs]
    end = time.monotonic() + budget_s
    while len(times[0]) < MOST and not (len(times[0]) >= FEWEST and (time.monotonic() > end or _sure(times))):
        order = range(len(runs)) if len(times[0]) % 2 == 0 else reversed(range(len(runs)))
        for i in order:
            times[i].append(runs[i]())
    return Round(tuple(times[0]), tuple(times[1]) if reference else ())


def _sure(times: Sequence[Sequence[float]]) -> bool:
    values = _ratios(times[0], times[1]) if len(times) > 1 else list(times[0])
    # Of a median of n values the standard error is about 0.93 interquartile ranges / sqrt(n).
    halves = (values[::2], values[1::2])
    width = max(2 * 0.93 * _range(half) / math.sqrt(len(half)) / statistics.median(half) for half in halves)
    return len(values) >= 2 * FEWEST and width < SURE


def _balanced(pairs: Sequence[float]) -> float | None:
    return math.sqrt(statistics.median(pairs[::2]) * statistics.median(pairs[1::2])) if pairs else None


def _ratios(seconds: Sequence[float], reference: Sequence[float]) -> list[float]:
    return [b / a for a, b in zip(seconds, reference, strict=True)] if reference else []


def _range(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low
