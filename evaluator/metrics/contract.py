"""What a metric promises (its contract), the states a score can have, and how per-case scores become one number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.strips import Strips

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


class Unavailable(Exception):
    """Something the metric needs is not on this machine; the message says what, and the line to type."""


class Undefined(ValueError):
    """The metric's formula gives no number for this pair; the message says why."""


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one case: a value if the state is `ok`, else what happened in `detail`."""

    state: State
    value: float | None = None
    detail: str = ""
    extra: Mapping[str, float] = field(default_factory=dict)
    """What the metric publishes beside its value, by name (see its contract)."""


@dataclass(frozen=True)
class Measured:
    """What a metric's function may return instead of a plain float."""

    value: float
    extra: Mapping[str, float]


@dataclass(frozen=True)
class Aggregate:
    """One metric over a split. `partial` is the mean over the scored cases when the state is `incomplete`.

    `extra` holds the mean over the scored cases of what the metric publishes beside its value.
    """

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
    extra: Mapping[str, float] = field(default_factory=dict)


_LABELS = (
    ("direction", "direction"),
    ("unit", "unit"),
    ("worst", "worst value"),
    ("colour", "colour"),
    ("range", "range"),
    ("window", "window"),
    ("border", "border"),
    ("pooling", "within an image"),
    ("aggregation", "over images"),
    ("identical", "identical images"),
    ("minimum_size", "minimum size"),
    ("source", "source"),
    ("used_by", "used by"),
    ("version", "version"),
)
_SET_LABELS = (
    ("direction", "direction"),
    ("worst", "worst value"),
    ("takes", "takes"),
    ("overlap", "overlap"),
    ("matching", "matching"),
    ("ignored", "ignored"),
    ("ties", "equal scores"),
    ("curve", "within a class"),
    ("aggregation", "over classes"),
    ("source", "source"),
    ("used_by", "used by"),
    ("verb", "printed by"),
    ("version", "version"),
)


@dataclass(frozen=True)
class Promise:
    """What every number promises, be it of one image or of a whole set."""

    id: str
    version: int
    title: str
    direction: Literal["higher", "lower"]
    unit: str
    worst: float
    decimals: int

    @property
    def arrow(self) -> str:
        """The direction as a sign: `↑` higher is better, `↓` lower is better."""
        return "↑" if self.direction == "higher" else "↓"

    def format(self, value: float) -> str:
        """Return the value with the contract's number of decimals."""
        return f"{value:.{self.decimals}f}"


@dataclass(frozen=True)
class Contract(Promise):
    """Everything that changes a metric's number, in words; shown by `evaluate metrics explain`."""

    colour: str
    range: str
    window: str
    border: str
    pooling: str
    aggregation: Literal["mean", "geometric mean", "pooled"]
    identical: str
    minimum_size: int
    source: str
    used_by: str
    reference: bool = True
    """Whether the metric compares with a reference."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """What is published beside the value: name → what it is."""
    flaw: str = ""
    """What is wrong with a definition that is kept only because published tables rest on it."""

    def facts(self) -> list[tuple[str, str]]:
        """Return everything that changes the number, in words: what it is about, and what holds. `–`: nothing."""
        found = _facts(self, _LABELS)
        if not self.reference:
            found.append(("reference", "none needed"))
        return found + [("published with it", f"{name}: {meaning}") for name, meaning in self.extra.items()]


@dataclass(frozen=True)
class SetContract(Promise):
    """The same for a number that only a whole set of detected boxes has: no image has one, so none is averaged."""

    takes: str
    overlap: str
    matching: str
    ignored: str
    ties: str
    curve: str
    aggregation: str
    verb: str
    """The command that prints it."""
    source: str
    used_by: str
    flaw: str = ""
    """As in `Contract`."""

    def facts(self) -> list[tuple[str, str]]:
        """Return the same as `Contract.facts`."""
        return _facts(self, _SET_LABELS)


def _facts(contract: Promise, labels: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    values = ((label, getattr(contract, name)) for name, label in labels)
    return [(label, str(value) if value != "" else "–") for label, value in values]


Measure = Callable[[Image, Image, float], float | Measured]


@dataclass(frozen=True)
class Metric:
    """A contract and the functions that keep it.

    `measure` takes output and reference as float64 `(H, W, C)` images and the peak; it returns a float or `Measured`,
    `inf` for identical images where the contract says so, and raises `NotApplicable`, `Undefined` or `Unavailable`.
    A metric that needs no reference does not look at it.

    A metric may split the work: `prepare(reference, peak)` returns what depends on the reference alone, and
    `compare(output, prepared, peak)` the value; both together are `measure`. Metrics with the same `prepare` share
    what it returns.
    """

    contract: Contract
    measure: Measure
    prepare: Callable[[Image, float], Any] | None = None
    compare: Callable[[Image, Any, float], float | Measured] | None = None
    in_strips: Callable[[Strips, Strips, float], float | Measured] | None = None
    """The same as `measure` for large images (see `strips`); None if it needs the whole image in float64."""


def aggregate(contract: Contract, scores: Sequence[Score], missing: MissingRule) -> Aggregate:
    """Reduce per-case scores to one number by the contract's aggregation.

    Infinite scores are left out and counted (when pooled, they count with an error of 0). Cases where the metric is
    not applicable are left out and counted: that depends on the case alone, so it is the same for every submission.

    Args:
        contract: the metric's contract.
        scores: one score a case.
        missing: the task's rule for cases that have no score.
    """
    count = Counter(s.state for s in scores)
    values = [s.value for s in scores if s.state is State.OK and s.value is not None]
    lost = sum(count[state] for state in _LOST)
    tally: dict[str, Any] = {
        "cases": len(scores),
        "scored": len(values) + count[State.INFINITE],
        "infinite": count[State.INFINITE],
        "lost": lost,
        "not_applicable": count[State.NOT_APPLICABLE],
        "extra": _mean_extra(contract, scores),
    }
    detail = next((s.detail for s in scores if s.state is not State.OK and s.detail), "")
    if count[State.UNAVAILABLE]:
        return Aggregate(State.UNAVAILABLE, None, **tally, detail=detail)
    if lost and missing == "unranked":
        partial = _mean(contract, values) if values else None
        return Aggregate(State.INCOMPLETE, None, **tally, partial=partial, detail=detail)
    values += [contract.worst] * lost
    if contract.aggregation == "pooled" and values:
        values += [math.inf] * count[State.INFINITE]
        tally["infinite"] = 0  # none is left out
    if values:
        return Aggregate(State.OK, _mean(contract, values), **tally, substituted=lost, detail=detail)
    state = State.INFINITE if count[State.INFINITE] else State.NOT_APPLICABLE
    return Aggregate(state, None, **tally, detail=detail)


def with_worst(contract: Contract, partial: float | None, scored: int, infinite: int, lost: int) -> float:
    """Return an aggregate that counts the worst value for every lost case, from one that left them out.

    Args:
        contract: the metric's contract.
        partial: the aggregate over the scored cases; None if there are none.
        scored: cases with a finite score.
        infinite: cases with an infinite one.
        lost: cases without a score.
    """
    values = [contract.worst] * lost + ([partial] * scored if partial is not None else [])
    return _mean(contract, values + ([math.inf] * infinite if contract.aggregation == "pooled" else []))


def _mean_extra(contract: Contract, scores: Sequence[Score]) -> dict[str, float]:
    found = {name: [s.extra[name] for s in scores if name in s.extra] for name in contract.extra}
    return {name: math.fsum(values) / len(values) for name, values in found.items() if values}


def _mean(contract: Contract, values: Sequence[float]) -> float:
    # fsum is exact, so the result does not depend on the order in which cases were finished.
    if contract.aggregation == "geometric mean":
        return math.exp(math.fsum(math.log(v) for v in values) / len(values))
    if contract.aggregation == "pooled":  # of decibels: the mean of what they are the logarithms of
        return -10 * math.log10(math.fsum(10 ** (-v / 10) for v in values) / len(values))
    return math.fsum(values) / len(values)
