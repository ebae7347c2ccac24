"""What a metric promises (its contract), the states a score can have, and how per-case scores become one number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
"""`(H, W, C)` values from 0 to the peak that is given with them."""


class State(StrEnum):
    """What became of a score. Only `ok` has a value; all others are never numbers."""

    OK = "ok"
    INFINITE = "infinite"
    """Output and reference are identical, and the metric has no finite value for that."""
    MISSING = "missing"
    """There is no output for the case."""
    INVALID = "invalid"
    """There is an output, but a finding says why it cannot be scored."""
    FAILED = "failed"
    """The metric or the model gave no number for this output."""
    UNAVAILABLE = "unavailable"
    """Something the metric needs is not on this machine."""
    NOT_APPLICABLE = "not_applicable"
    """The metric is not defined for this case, whoever sent the output (an image too small, say)."""
    INCOMPLETE = "incomplete"
    """Of an aggregate: some cases have no score, and the task's rule gives them no value."""


MissingRule = Literal["unranked", "worst"]
"""What a case without a score does to the aggregate: leave it without a value, or count the metric's worst value."""

_LOST = (State.MISSING, State.INVALID, State.FAILED)


class NotApplicable(ValueError):
    """The metric is not defined for images of this kind; the message says why."""


class Undefined(ValueError):
    """The metric's formula gives no number for this pair; the message says why."""


@dataclass(frozen=True)
class Score:
    """One metric of one case: a value if the state is `ok`, else what happened in `detail`."""

    state: State
    value: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Aggregate:
    """One metric over a split. `partial` is the mean over the scored cases when the state is `incomplete`."""

    state: State
    value: float | None
    cases: int
    scored: int
    infinite: int = 0
    lost: int = 0
    substituted: int = 0
    not_applicable: int = 0
    partial: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Contract:
    """Everything that changes a metric's number, in words; shown by `evaluate metrics explain`."""

    id: str
    version: int
    title: str
    direction: Literal["higher", "lower"]
    unit: str
    worst: float
    decimals: int
    colour: str
    range: str
    window: str
    border: str
    pooling: str
    aggregation: Literal["mean", "geometric mean"]
    identical: str
    minimum_size: int
    source: str
    used_by: str

    @property
    def arrow(self) -> str:
        """The direction as a sign: `↑` higher is better, `↓` lower is better."""
        return "↑" if self.direction == "higher" else "↓"

    def format(self, value: float) -> str:
        """Return the value with the contract's number of decimals."""
        return f"{value:.{self.decimals}f}"


@dataclass(frozen=True)
class Metric:
    """A contract and the function that keeps it.

    `measure` takes output and reference as float64 `(H, W, C)` images and the peak; it returns a float, `inf` for
    identical images where the contract says so, and raises `NotApplicable` or `Undefined`.
    """

    contract: Contract
    measure: Callable[[Image, Image, float], float]


def aggregate(contract: Contract, scores: Sequence[Score], missing: MissingRule) -> Aggregate:
    """Reduce per-case scores to one number by the contract's aggregation.

    Infinite scores are left out and counted. Cases where the metric is not applicable are left out and counted: that
    depends on the case alone, so it is the same for every submission.

    Args:
        contract: the metric's contract.
        scores: one score a case.
        missing: the task's rule for cases that have no score.
    """
    count = Counter(s.state for s in scores)
    values = [s.value for s in scores if s.state is State.OK and s.value is not None]
    lost = sum(count[state] for state in _LOST)
    tally = {
        "cases": len(scores),
        "scored": len(values) + count[State.INFINITE],
        "infinite": count[State.INFINITE],
        "lost": lost,
        "not_applicable": count[State.NOT_APPLICABLE],
    }
    detail = next((s.detail for s in scores if s.state is not State.OK and s.detail), "")
    if count[State.UNAVAILABLE]:
        return Aggregate(State.UNAVAILABLE, None, **tally, detail=detail)
    if lost and missing == "unranked":
        partial = _mean(contract, values) if values else None
        return Aggregate(State.INCOMPLETE, None, **tally, partial=partial, detail=detail)
    values += [contract.worst] * lost
    if values:
        return Aggregate(State.OK, _mean(contract, values), **tally, substituted=lost, detail=detail)
    state = State.INFINITE if count[State.INFINITE] else State.NOT_APPLICABLE
    return Aggregate(state, None, **tally, detail=detail)


def _mean(contract: Contract, values: Sequence[float]) -> float:
    # fsum is exact, so the result does not depend on the order in which cases were finished.
    if contract.aggregation == "geometric mean":
        return math.exp(math.fsum(math.log(v) for v in values) / len(values))
    return math.fsum(values) / len(values)
