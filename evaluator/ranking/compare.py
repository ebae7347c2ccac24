"""Compare two results of one task and split, an old and a new one: what got worse, and is that more than is allowed?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from evaluator import metrics
from evaluator.efficiency import Cost, Timing
from evaluator.findings import EvaluatorError, did_you_mean, some
from evaluator.metrics import Contract, Score, State
from evaluator.ranking.significance import wilcoxon
from evaluator.results import Result, Scorecard
from evaluator.tasks.costs import size_text

COSTS: Mapping[str, Literal["higher", "lower"]] = MappingProxyType(
    {
        "cost.parameters": "lower",
        "cost.size_bytes": "lower",
        "cost.macs": "lower",
        "measured.runtime_ratio": "higher",
        "measured.memory_mb": "lower",
        "run.s_per_megapixel": "lower",
    }
)
"""The costs that are compared, and which way is better. The last is the wall time of the scoring run itself."""
DEFAULT_COST_LIMITS: Mapping[str, float] = MappingProxyType({"cost.parameters": 0.0, "cost.macs": 0.0})
"""Percent. What is counted is the same every time, so any growth counts; what is measured varies, and is only shown."""
_SLACK = 1e-9
"""Share of a limit that a difference may be beyond it: the last bits of a subtraction."""
_HAS = (State.OK, State.INFINITE)


@dataclass(frozen=True)
class Limits:
    """How much worse the new result may be; what is not named has its default."""

    drop: Mapping[str, float] = field(default_factory=dict)
    """Metric → how far the mean may move in its bad direction; a unit of its last printed digit by default."""
    case_drop: Mapping[str, float] = field(default_factory=dict)
    """Metric → how far any single case may; as far as it likes by default."""
    cost: Mapping[str, float] = field(default_factory=dict)
    """Cost → by how many percent it may get worse; see `DEFAULT_COST_LIMITS`."""


@dataclass(frozen=True)
class CaseDrop:
    """The case that got worse by most."""

    case: str
    old: float
    new: float
    drop: float
    """How far it moved in the metric's bad direction; above 0."""


@dataclass(frozen=True)
class MetricChange:
    """One metric, old and new."""

    metric: str
    direction: Literal["higher", "lower"]
    unit: str
    decimals: int
    old: float | None
    """The scorecard's number; None if it has none."""
    new: float | None
    old_state: State
    new_state: State
    gain: float | None
    """How far the aggregate moved in the good direction (a drop is negative), over the cases with a value in both."""
    paired: int
    """How many cases these are."""
    differing: int
    """How many of them differ."""
    p: float | None
    """Of Wilcoxon's signed-rank test of these, two-sided; None where none differs."""
    largest: CaseDrop | None
    """None where no case got worse."""
    lost: tuple[str, ...]
    """Cases that had a score and have none now."""
    won: tuple[str, ...]
    """Cases that had no score and have one now."""
    identical_before: tuple[str, ...]
    """Cases whose output was identical to the reference, and is not any more; no mean shows it."""
    limit: float
    case_limit: float | None
    problems: tuple[str, ...]
    """What is worse than allowed, in words; empty if nothing is."""

    def number(self, value: float | None, state: State) -> str:
        """Return a value with the metric's digits, or the state in its place."""
        return state.value.replace("_", " ") if value is None else f"{value:.{self.decimals}f}"


@dataclass(frozen=True)
class CostChange:
    """One cost, old and new."""

    cost: str
    at: str
    """The input size, and what it ran on; empty where it does not depend on that."""
    old: float
    new: float | None
    worse: float | None
    """By how many percent it got worse; negative if it got better; None where there is no new value."""
    limit: float | None
    """In percent; None: it is only shown."""
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The cost and what it is for."""
        return f"{self.cost} at {self.at}" if self.at else self.cost


@dataclass(frozen=True)
class Comparison:
    """All that changed between two results."""

    task: str
    split: str
    old: str
    """The old submission's id."""
    new: str
    metrics: tuple[MetricChange, ...]
    costs: tuple[CostChange, ...]
    notes: tuple[str, ...]
    """What could not be compared, and why."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is worse than allowed, in words; empty: no regression."""
        return tuple(
            [f"{m.metric}: {p}" for m in self.metrics for p in m.problems]
            + [f"{c.name}: {p}" for c in self.costs for p in c.problems]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain data for `json.dumps(..., allow_nan=False)`."""
        return asdict(self) | {"regression": bool(self.problems), "problems": list(self.problems)}


def compare(old: Result, new: Result, limits: Limits | None = None) -> Comparison:
    """Compare two results case by case.

    Args:
        old: what is there.
        new: what is to take its place; by the same rules, on the same data.
        limits: how much worse it may be.

    Raises:
        EvaluatorError: they cannot be compared, or a limit names no metric or cost of theirs.
    """
    limits = limits or Limits()
    _check_comparable(old, new)
    shared = [m for m in old.card.metrics if m in new.card.metrics]
    _check_names((*limits.drop, *limits.case_drop), shared, "metric")
    _check_names(limits.cost, COSTS, "cost")
    costs, notes = _costs(old, new, limits)
    return Comparison(
        task=new.card.task,
        split=new.card.split,
        old=old.card.submission.id,
        new=new.card.submission.id,
        metrics=tuple(_metric(m, old, new, limits) for m in shared),
        costs=tuple(costs),
        notes=tuple(notes),
    )


def _check_names(
    given: Sequence[str] | Mapping[str, float], known: Sequence[str] | Mapping[str, Any], what: str
) -> None:
    for name in given:
        if name not in known:
            raise EvaluatorError(
                f"A limit names {name!r}, which is no {what} of these results.{did_you_mean(name, known)} "
                f"They have: {', '.join(known)}."
            )


def _check_comparable(old: Result, new: Result) -> None:
    a, b = old.card, new.card
    differ = []
    if (a.task, a.split) != (b.task, b.split):
        differ.append(f"the old one is of {a.task}/{a.split}, the new one of {b.task}/{b.split}")
    else:
        if a.dataset.digest != b.dataset.digest:
            differ.append("they were scored on other data (the digests of the data set differ)")
        if a.rules_digest != b.rules_digest:
            differ.append(f"they were scored by other rules ({'; '.join(_rules_apart(a, b))})")
        mine, yours = ({row.case for row in result.cases} for result in (old, new))
        if mine != yours:
            differ.append(f"they have other cases ({some(sorted(mine ^ yours))} in one of them only)")
    if differ:
        raise EvaluatorError(
            f"The two results cannot be compared: {'; '.join(differ)}. Score both with the same harness on the same "
            "data, or score the old one again from its kept outputs: evaluate rescore"
        )


def _rules_apart(a: Scorecard, b: Scorecard) -> list[str]:
    words = [f"protocol: {name}" for name in sorted({*a.protocol, *b.protocol} - {"notes"}) if _differ(name, a, b)]
    words += [f"{m} in one of them only" for m in sorted({*a.metrics} ^ {*b.metrics})]
    for m in a.metrics:
        if m in b.metrics:
            one, other = (c.metrics[m].contract.get("version") for c in (a, b))
            if one != other:
                words.append(f"{m} version {one} and {other}")
    return words or ["another order of metrics"]


def _differ(name: str, a: Scorecard, b: Scorecard) -> bool:
    return bool(a.protocol.get(name) != b.protocol.get(name))


def _metric(metric: str, old: Result, new: Result, limits: Limits) -> MetricChange:
    contract = _contract(metric, new.card)
    before, after = ({row.case: row.scores[metric] for row in result.cases} for result in (old, new))
    sign = 1 if contract.direction == "higher" else -1
    pairs = {case: (x, after[case]) for case, x in before.items() if _valued(x) and _valued(after[case])}
    gains = {case: sign * (_value(y) - _value(x)) for case, (x, y) in pairs.items()}
    gain = _gain(contract, list(pairs.values()), sign)
    lost = tuple(case for case, x in before.items() if x.state in _HAS and after[case].state not in _HAS)
    won = tuple(case for case, x in before.items() if x.state not in _HAS and after[case].state in _HAS)
    infinite = tuple(c for c, x in before.items() if x.state is State.INFINITE and after[c].state is State.OK)
    worst = min(gains, key=lambda case: gains[case], default=None)
    largest = None
    if worst is not None and gains[worst] < 0:
        x, y = pairs[worst]
        largest = CaseDrop(worst, _value(x), _value(y), -gains[worst])
    limit = limits.drop.get(metric, 10.0**-contract.decimals)
    case_limit = limits.case_drop.get(metric)
    problems = []
    if gain is not None and _beyond(-gain, limit):
        problems.append(f"the mean got worse by {-gain:.{contract.decimals + 1}f}; {limit:g} is allowed")
    if lost:
        problems.append(f"{len(lost)} case{'s' if len(lost) > 1 else ''} had a score and have none now: {some(lost)}")
    if infinite:
        problems.append(f"{len(infinite)} identical to the reference before, and not now: {some(infinite)}")
    if largest and case_limit is not None and _beyond(largest.drop, case_limit):
        problems.append(
            f"case {largest.case} got worse by {largest.drop:.{contract.decimals + 1}f}; {case_limit:g} is allowed"
        )
    one, other = old.card.metrics[metric], new.card.metrics[metric]
    return MetricChange(
        metric=metric,
        direction=contract.direction,
        unit=contract.unit,
        decimals=contract.decimals,
        old=one.value,
        new=other.value,
        old_state=one.state,
        new_state=other.state,
        gain=gain,
        paired=len(pairs),
        differing=sum(g != 0 for g in gains.values()),
        p=_wilcoxon([g for g in gains.values() if g != 0]),
        largest=largest,
        lost=lost,
        won=won,
        identical_before=infinite,
        limit=limit,
        case_limit=case_limit,
        problems=tuple(problems),
    )


def _contract(metric: str, card: Scorecard) -> Contract:
    """Return the contract that was kept; a scorecard names all of it, so that no package of the metric is needed."""
    try:
        return Contract(**card.metrics[metric].contract)
    except TypeError:  # it was written by a harness whose contracts said more, or less
        return metrics.get(metric).contract


def _valued(score: Score) -> bool:
    return score.state is State.OK


def _value(score: Score) -> float:
    assert score.value is not None  # noqa: S101 - asked only of scores that are ok
    return score.value


def _gain(contract: Contract, pairs: Sequence[tuple[Score, Score]], sign: int) -> float | None:
    if not pairs:
        return None
    before, after = (metrics.aggregate(contract, side, "unranked").value for side in zip(*pairs, strict=True))
    return None if before is None or after is None else sign * (after - before)


def _wilcoxon(differences: Sequence[float]) -> float | None:
    return wilcoxon(np.asarray(differences), np.zeros(len(differences)))[0] if differences else None


def _beyond(amount: float, limit: float) -> bool:
    return amount > limit * (1 + _SLACK) + 1e-12


def _costs(old: Result, new: Result, limits: Limits) -> tuple[list[CostChange], list[str]]:
    allowed = {**DEFAULT_COST_LIMITS, **limits.cost}
    notes = []
    known = {}
    for name, result in (("old", old), ("new", new)):
        cost = result.cost
        of_others = cost is not None and cost.version not in ("", result.card.submission.digest)
        if cost is not None and of_others and result.card.submission.kind != "outputs":
            notes.append(f"The costs of the {name} result were measured on another version of its model: left out.")
            cost = None
        known[name] = cost
    before = dict(_values(known["old"], old.card))
    after = dict(_values(known["new"], new.card))
    incomplete = _incomplete(known["old"]) | _incomplete(known["new"])
    if any(key in incomplete for key in before):
        notes.append("MACs are lower bounds in one of the results, and not compared: see its record of costs.")
    changes = []
    for (name, at), value in before.items():
        if (name, at) in incomplete:
            continue
        limit = allowed.get(name)
        if (name, at) not in after and (limit is None or (known["new"] is None and name not in limits.cost)):
            notes.append(f"{name}{f' at {at}' if at else ''} is not known of the new result.")
            continue
        changes.append(_cost(name, at, value, after.get((name, at)), limit))
    for name in limits.cost:
        if not any(known_name == name for known_name, _ in before):
            notes.append(f"{name} is not known of the old result: its limit says nothing.")
    return changes, notes


def _cost(name: str, at: str, old: float, new: float | None, limit: float | None) -> CostChange:
    problems: list[str] = []
    worse = None
    if new is None:
        problems.append("it was known of the old result, and is not of the new one")
    else:
        up = 100 * (new - old) / old if old else (0.0 if new == old else 100.0)
        # Of a ratio of speeds, the time is its inverse: half as fast is 100 % slower.
        worse = up if COSTS[name] == "lower" else 100 * (old / new - 1)
        if limit is not None and _beyond(worse, limit):
            problems.append(f"{worse:.3g} % worse; {limit:g} % is allowed")
    return CostChange(name, at, old, new, worse, limit, tuple(problems))


def _values(cost: Cost | None, card: Scorecard) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield what a result costs, by name and by what it is for."""
    if cost is not None:
        if cost.parameters is not None:
            yield ("cost.parameters", ""), float(cost.parameters)
        if cost.size_bytes is not None:
            yield ("cost.size_bytes", ""), float(cost.size_bytes)
        for count in cost.counts:
            yield ("cost.macs", size_text(count.input)), float(count.macs)
        for timing in reversed(cost.timings):  # of several alike the first counts: it comes last
            if timing.ratio is not None:
                yield ("measured.runtime_ratio", f"{_conditions(timing)} beside {timing.reference}"), timing.ratio
            if timing.memory_mb is not None:
                yield ("measured.memory_mb", _conditions(timing)), timing.memory_mb
    if card.runtime is not None:
        yield ("run.s_per_megapixel", ""), card.runtime.s_per_megapixel


def _conditions(timing: Timing) -> str:
    threads = f", {timing.threads} threads" if timing.threads else ""
    return f"{size_text(timing.input)} on the {timing.device.upper()}{threads}, {timing.precision}"


def _incomplete(cost: Cost | None) -> set[tuple[str, str]]:
    return {("cost.macs", size_text(c.input)) for c in cost.counts if not c.complete} if cost else set()
