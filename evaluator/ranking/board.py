"""A board: the ranked rows of one task and split. Every table and page is made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from evaluator import metrics
from evaluator.efficiency import Cost
from evaluator.metrics import State
from evaluator.ranking import costs as costing
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.formula import evaluate_formula
from evaluator.ranking.opinions import opinion_cells
from evaluator.results import MetricResult, Opinions, Scorecard
from evaluator.tasks import Task
from evaluator.tasks.costs import MEASURED_RUNTIME_RATIO, is_cost
from evaluator.tasks.spec import OPINIONS, REPORTED_RUNTIME_RATIO, Derived


@dataclass(frozen=True)
class Row:
    """One submission."""

    submission: str
    card: Scorecard
    cells: dict[str, Cell]
    """Of metrics, scores and costs."""
    cost: Cost | None = None
    """What its model costs, if that was measured."""
    rank: int | None = None
    rank_text: str = "–"
    """`3`, or `2–3` where a rank is shared, or `–`."""
    reason: str = ""
    """Why it has no rank."""

    @property
    def stale(self) -> bool:
        """Whether it has no number to show, being scored by other rules or on other data than the board."""
        return all(cell.state is State.UNAVAILABLE for name, cell in self.cells.items() if not is_cost(name))


@dataclass(frozen=True)
class Board:
    """The ranked rows of one task and split, best first, unranked last."""

    task: Task
    split: str
    metric_columns: tuple[Column, ...]
    score_columns: tuple[Column, ...]
    rows: tuple[Row, ...] = field(default=())
    all_cost_columns: tuple[Column, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table: the metrics, then those scores and costs that at least one row has."""
        scores = (c for c in self.score_columns if any(r.cells[c.id].value is not None for r in self.rows))
        return (*self.metric_columns, *scores, *self.cost_columns)

    @property
    def cost_columns(self) -> tuple[Column, ...]:
        """The costs that are shown and that at least one row has, or failed at."""
        return tuple(c for c in self.all_cost_columns if c.id in self._had_costs)

    @cached_property
    def _had_costs(self) -> set[str]:
        had = {
            name for row in self.rows for name, cell in row.cells.items() if cell.value is not None or cell.sign == "×"
        }
        return {name for name in had if costing.is_shown(name)}

    def cost_notes(self) -> list[str]:
        """Return sentences on the costs: size, convention, machines, failures; none where there are no costs."""
        if not self.cost_columns:
            return []
        rows = [(row.submission, row.cells, row.cost) for row in self.rows]
        return costing.notes(self.task.spec.cost, self.cost_columns, rows)

    def missing_scores(self) -> str:
        """Return a sentence on the scores that no row has, or an empty string."""
        left_out = [c.id for c in self.score_columns if c not in self.columns]
        details = sorted({r.cells[i].detail for r in self.rows for i in left_out if not r.reason} - {""})
        return f"Not computed for any row: {', '.join(left_out)} ({'; '.join(details)})." if details else ""

    def infinite_cases(self) -> str:
        """Return a sentence on the cases that means leave out for being infinite, or an empty string."""
        counts = [
            f"{row.submission} {max(c.infinite for c in row.cells.values())} of {row.card.dataset.cases}"
            for row in self.rows
            if any(c.infinite and c.value is not None for c in row.cells.values())
        ]
        if not counts:
            return ""
        left_out = "Cases identical to their reference have an infinite score and are left out of the mean"
        return f"{left_out}: {', '.join(counts)}."

    def uses_reported(self) -> bool:
        """Tell whether a number on the board rests on what a team reported."""
        return any(c.reported and c.value is not None for row in self.rows for c in row.cells.values())

    def to_json(self) -> dict[str, Any]:
        """Return the board as plain data for `json.dumps(..., allow_nan=False)`."""
        return {
            "task": self.task.id,
            "split": self.split,
            "rule": self.task.spec.ranking.sentences(),
            "rows": [
                {
                    "submission": row.submission,
                    "team": row.card.submission.team,
                    "method": row.card.submission.method,
                    "baseline": row.card.submission.baseline,
                    "rank": row.rank,
                    "rank_text": row.rank_text,
                    "reason": row.reason,
                    "metrics": {c.id: row.cells[c.id].to_json() for c in self.metric_columns},
                    "scores": {c.id: row.cells[c.id].to_json() for c in self.score_columns},
                    "costs": {
                        "at": self.task.spec.cost.at,
                        "columns": {c.id: row.cells[c.id].to_json() for c in self.all_cost_columns},
                        "record": row.cost.model_dump(mode="json") if row.cost else None,
                    },
                }
                for row in self.rows
            ],
        }


def rank(
    task: Task,
    split: str,
    cards: Sequence[Scorecard],
    costs: Mapping[str, Cost] = MappingProxyType({}),
    opinions: Opinions | None = None,
) -> Board:
    """Rank scorecards by the task's rule.

    Rows that print the same digits in every metric of the rule share a rank. Rows that were scored on other data, by
    another protocol or with other metric versions than the task has now are shown without numbers and without rank;
    so are the costs of a model whose files have changed since.

    Args:
        task: the task; its rule as it is now.
        split: the split's name.
        cards: the scorecards of that split.
        costs: what the models cost, by submission; see `Store.read_costs`.
        opinions: what people said, for scores that use it; see `Store.read_opinions`.
    """
    spec = task.spec
    metric_columns = tuple(
        Column(c.id, c.title, c.direction, c.unit, c.decimals) for c in (metrics.get(m).contract for m in spec.metrics)
    )
    score_columns = tuple(Column(d.id, d.title, d.direction, "", d.decimals) for d in spec.scores)
    named = {c.submission.id for c in cards}
    cost_columns = costing.columns(spec.cost, [cost for name, cost in costs.items() if name in named])
    current = _current_dataset(task, split, cards)
    ranked: list[tuple[tuple[float, ...], Row]] = []
    unranked: list[Row] = []
    for card in sorted(cards, key=lambda c: c.submission.id):
        cost = costs.get(card.submission.id)
        costly = {c.id: costing.cell(c.id, card, cost, spec.cost) for c in cost_columns}
        stale = _stale(task, card, current)
        if stale:
            cells = {c.id: Cell(State.UNAVAILABLE, detail=stale) for c in (*metric_columns, *score_columns)}
            unranked.append(Row(card.submission.id, card, cells | costly, cost, reason=stale))
            continue
        cells = {m: _cell(card.metrics[m]) for m in spec.metrics}
        judged = opinion_cells(opinions, card.submission.id)
        cells |= {d.id: _derived(d, cells | judged, card, cost, task) for d in spec.scores}
        row = Row(card.submission.id, card, cells | costly, cost)
        blocking = next((m for m in spec.ranking.by if _unrankable(cells[m])), None)
        reason = _why(blocking, cells[blocking]) if blocking else costing.over_the_limit(card, cost, spec.cost)
        if reason:
            unranked.append(replace(row, reason=reason))
        else:
            ranked.append((tuple(_sort_value(m, cells[m]) for m in spec.ranking.by), row))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    rows = []
    for key, row in ranked:
        first = next(i for i, (other, _) in enumerate(ranked) if other == key)
        last = max(i for i, (other, _) in enumerate(ranked) if other == key)
        text = str(first + 1) if first == last else f"{first + 1}–{last + 1}"
        rows.append(replace(row, rank=first + 1, rank_text=text))
    return Board(task, split, metric_columns, score_columns, (*rows, *unranked), cost_columns)


def _current_dataset(task: Task, split: str, cards: Sequence[Scorecard]) -> str:
    """Return the digest of the split's data as pinned now, or that of the newest scorecard where nothing is pinned."""
    from evaluator.tasks.manifests import manifest_digest

    manifest = task.manifest(task.split_spec(split))
    if manifest is not None:
        return manifest_digest(manifest)
    return max(cards, key=lambda c: (c.started, c.submission.id)).dataset.digest if cards else ""


def _stale(task: Task, card: Scorecard, dataset: str) -> str:
    if card.rules_digest != task.rules_digest() or not set(task.spec.metrics) <= set(card.metrics):
        return "scored by another protocol or with other metric versions: score it again"
    if card.dataset.digest != dataset:
        return "scored on other data than the rest of the board: score it again"
    return ""


def _cell(result: MetricResult) -> Cell:
    return Cell(result.state, result.value, result.infinite, result.lost, result.cases, result.detail)


def _derived(score: Derived, cells: dict[str, Cell], card: Scorecard, cost: Cost | None, task: Task) -> Cell:
    names: dict[str, float] = {}
    reported = False
    for name, target in score.where.items():
        if target == REPORTED_RUNTIME_RATIO:
            found = _reported(card, "needs the runtime ratio, which submission.toml may state as")
        elif target == MEASURED_RUNTIME_RATIO:
            found = costing.cell(target, card, cost, task.spec.cost)
            if found.sign == costing.NOT_MEASURED:
                found = _reported(
                    card, "needs the runtime ratio: measure it (evaluate profile), or let submission.toml state"
                )
        elif is_cost(target):
            found = costing.cell(target, card, cost, task.spec.cost)
        elif target in OPINIONS:
            found = cells[target]
        else:
            found = cells[target]
            if found.value is None:
                found = Cell(State.UNAVAILABLE, detail=f"{target} has no value")
        if found.value is None or found.at_least:
            return Cell(State.UNAVAILABLE, detail=_of_cost(target, found))
        names[name] = found.value
        reported |= found.reported
    try:
        return Cell(State.OK, evaluate_formula(score.formula, names), reported=reported)
    except ValueError as error:
        return Cell(State.FAILED, detail=str(error))


def _of_cost(target: str, cell: Cell) -> str:
    named = is_cost(target) or target in OPINIONS
    return f"{target}: {cell.detail}" if named and not cell.reported else cell.detail


def _reported(card: Scorecard, words: str) -> Cell:
    value = card.submission.reported.get("runtime_ratio")
    state = State.OK if value is not None else State.UNAVAILABLE
    return Cell(state, value, detail=f"{words} {REPORTED_RUNTIME_RATIO}", reported=True)


def _unrankable(cell: Cell) -> bool:
    return cell.value is None and cell.state is not State.INFINITE


def _why(metric: str, cell: Cell) -> str:
    if cell.state is State.INCOMPLETE:
        return f"{cell.lost} of {cell.cases} cases have no score"
    return f"{metric}: {cell.state.value.replace('_', ' ')}" + (f" ({cell.detail})" if cell.detail else "")


def _sort_value(metric: str, cell: Cell) -> float:
    contract = metrics.get(metric).contract
    if cell.value is None:
        return float("inf")  # identical everywhere: better than any number
    value = round(cell.value, contract.decimals)
    return value if contract.direction == "higher" else -value
