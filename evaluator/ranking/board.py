"""A board: the ranked rows of one task and split. Every table and page is made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from evaluator import metrics
from evaluator.efficiency import Cost
from evaluator.metrics import MissingRule, State
from evaluator.ranking import costs as costing
from evaluator.ranking import order
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.opinions import opinion_cells, opinion_columns
from evaluator.ranking.scores import derived
from evaluator.results import MetricResult, Opinions, Scorecard
from evaluator.tasks import Task, task_ids
from evaluator.tasks.costs import is_cost
from evaluator.tasks.rules import MEAN_RANK, Gate, Ranking
from evaluator.tasks.spec import TaskSpec


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
    """The task's scores; what people said, where they were asked; and the mean of ranks, where the rule is one."""
    rows: tuple[Row, ...] = field(default=())
    all_cost_columns: tuple[Column, ...] = ()
    track: str | None = None
    """Whose rule it is ranked by; None: the task's main one."""

    @property
    def rule(self) -> Ranking:
        """The rule that it is ranked by."""
        return self.task.spec.rule(self.track)

    @property
    def title(self) -> str:
        """The task's title, and the track's."""
        title = next((t.title for t in self.task.spec.tracks if t.id == self.track), "")
        return f"{self.task.spec.title} · {title}" if title else self.task.spec.title

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The rows that have a rank, best first."""
        return tuple(row for row in self.rows if row.rank is not None)

    @property
    def lead(self) -> Column:
        """The first thing that the rule ranks by: a metric, a score or a cost."""
        return self.column(self.rule.by[0])

    @property
    def lead_metric(self) -> Column:
        """The first metric that the rule ranks by; if it names none, the task's first."""
        return self.column(self.task.spec.lead_metric(self.track))

    def column(self, name: str) -> Column:
        """Return the column of a metric, a score or a cost."""
        return next(c for c in (*self.metric_columns, *self.score_columns, *self.all_cost_columns) if c.id == name)

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
        return {name for name in had if costing.is_shown(name) or name in self.rule.names}

    def sentences(self) -> list[str]:
        """Return the rule in words."""
        return self.task.spec.rule_sentences(self.track)

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
            "track": self.track,
            "rule": self.sentences(),
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
    *,
    track: str | None = None,
) -> Board:
    """Rank scorecards by a rule of the task.

    Rows that print the same digits in all that the rule ranks by share a rank. Rows that were scored on other data, by
    another protocol or with other metric versions than the task has now are shown without numbers and without rank;
    so are the costs of a model whose files have changed since.

    Args:
        task: the task; its rules as they are now.
        split: the split's name.
        cards: the scorecards of that split.
        costs: what the models cost, by submission; see `Store.read_costs`.
        opinions: what people said, where they were asked; see `Store.read_opinions`.
        track: the track whose rule it is; None: the task's main rule.

    Raises:
        EvaluatorError: the task has no such track.
    """
    spec, rule = task.spec, task.spec.rule(track)
    metric_columns = tuple(
        Column(c.id, c.title, c.direction, c.unit, c.decimals) for c in (metrics.get(m).contract for m in spec.metrics)
    )
    score_columns = tuple(Column(d.id, d.title, d.direction, "", d.decimals) for d in spec.scores)
    score_columns += opinion_columns(opinions, rule.names)
    if rule.method == MEAN_RANK:
        score_columns += (Column(MEAN_RANK, f"Mean of the ranks by {', '.join(rule.by)}", "lower", "", 2, "mean rank"),)
    named = {c.submission.id for c in cards}
    cost_columns = costing.columns(spec.cost, [cost for name, cost in costs.items() if name in named])
    current = _current_dataset(task, split, cards)
    ranked: list[Row] = []
    unranked: list[Row] = []
    columns = {c.id: c for c in (*metric_columns, *score_columns, *cost_columns)}
    for card in sorted(cards, key=lambda c: c.submission.id):
        cost = costs.get(card.submission.id)
        costly = {c.id: costing.cell(c.id, card, cost, spec.cost) for c in cost_columns}
        stale = _stale(task, card, current)
        if stale:
            cells = {c.id: Cell(State.UNAVAILABLE, detail=stale) for c in (*metric_columns, *score_columns)}
            unranked.append(Row(card.submission.id, card, cells | costly, cost, reason=stale))
            continue
        cells = {m: _cell(m, card.metrics[m], rule.missing) for m in spec.metrics}
        cells |= opinion_cells(opinions, card.submission.id, card.submission.digest)
        cells |= {d.id: derived(d, cells, card, cost, spec.cost) for d in spec.scores}
        row = Row(card.submission.id, card, cells | costly, cost)
        reason = _why_unranked(row, rule, spec, columns)
        (unranked if reason else ranked).append(replace(row, reason=reason))
    if rule.method == MEAN_RANK:
        nothing = Cell(State.NOT_APPLICABLE, detail="it has no rank")
        unranked = [replace(row, cells={MEAN_RANK: nothing} | row.cells) for row in unranked]
    rows = (*_ordered(ranked, rule, columns), *unranked)
    return Board(task, split, metric_columns, score_columns, rows, cost_columns, track)


def _ordered(rows: Sequence[Row], rule: Ranking, columns: Mapping[str, Column]) -> list[Row]:
    """Return rows with their ranks, best first; those that share one by name."""
    if not rows:
        return []
    values = {name: np.array([[_printed(row.cells[name], columns[name]) for row in rows]]) for name in rule.by}
    if rule.method == MEAN_RANK:
        means = order.mean_rank([order.oriented_values(columns[name], values[name]) for name in rule.by])[0]
        rows = [
            replace(row, cells=row.cells | {MEAN_RANK: Cell(State.OK, float(mean))})
            for row, mean in zip(rows, means, strict=True)
        ]
    first = order.places(order.keys(rule, columns, values))[0].tolist()
    found = []
    for place, row in sorted(zip(first, rows, strict=True), key=lambda pair: (pair[0], pair[1].submission)):
        last = place + first.count(place) - 1
        found.append(replace(row, rank=place, rank_text=str(place) if place == last else f"{place}–{last}"))
    return found


def _current_dataset(task: Task, split: str, cards: Sequence[Scorecard]) -> str:
    """Return the digest of the split's data as pinned now, or that of the newest scorecard where nothing is pinned."""
    from evaluator.tasks.manifests import manifest_digest

    manifest = task.manifest(task.split_spec(split))
    if manifest is not None:
        return manifest_digest(manifest)
    return max(cards, key=lambda c: (c.started, c.submission.id)).dataset.digest if cards else ""


def _stale(task: Task, card: Scorecard, dataset: str) -> str:
    if card.rules_digest != task.rules_digest() or not set(task.spec.metrics) <= set(card.metrics):
        name = task.id if task.id in task_ids() else "FILE.toml"
        split = "" if card.split == task.spec.default_split else f" --split {card.split}"
        again = f"evaluate rescore --task {name}{split}"
        return f"scored by another protocol or with other metric versions: score it again with {again}"
    if card.dataset.digest != dataset:
        return "scored on other data than the rest of the board: score it again"
    return ""


def _cell(metric: str, result: MetricResult, missing: MissingRule) -> Cell:
    """Return a metric as the rule counts lost cases, which may be another than it was scored by."""
    state, value, infinite = result.state, result.value, result.infinite
    if result.lost and missing == "unranked" and state is State.OK:
        state, value = State.INCOMPLETE, None
    elif result.lost and missing == "worst" and state is State.INCOMPLETE:
        contract = metrics.get(metric).contract
        scored = result.scored - result.infinite
        value = metrics.with_worst(contract, result.partial, scored, result.infinite, result.lost)
        state = State.OK
        infinite = 0 if contract.aggregation == "pooled" else infinite  # they count, with an error of 0
    return Cell(state, value, infinite, result.lost, result.cases, result.detail)


def _why_unranked(row: Row, rule: Ranking, spec: TaskSpec, columns: Mapping[str, Column]) -> str:
    """Return why a row has no rank, or an empty string."""

    def cell(name: str) -> Cell:
        return row.cells.get(name) or costing.cell(name, row.card, row.cost, spec.cost)

    for name in rule.names:
        score = next((d for d in spec.scores if d.id == name), None)
        sources = [target for target in score.where.values() if target in spec.metrics] if score else []
        for source in (*sources, name):
            found = cell(source)
            if found.value is None and not (found.state is State.INFINITE and source in rule.names):
                return _why(source, found)
            if found.at_least:
                return f"{source}: only a lower bound is known ({found.detail})"
    limit = costing.over_the_limit(row.card, row.cost, spec.cost)
    if limit:
        return limit
    return "; ".join(filter(None, (_behind(gate, cell(gate.metric), columns[gate.metric]) for gate in rule.gates)))


def _why(name: str, cell: Cell) -> str:
    if cell.state is State.INCOMPLETE:
        return f"{cell.lost} of {cell.cases} cases have no score"
    return f"{name}: {cell.state.value.replace('_', ' ')}" + (f" ({cell.detail})" if cell.detail else "")


def _behind(gate: Gate, cell: Cell, column: Column) -> str:
    """Return that a number is on the wrong side of a gate, or an empty string."""
    printed, bound = _printed(cell, column), gate.bound / column.scale
    if printed == float("inf"):  # identical everywhere: as good as can be
        inside = (column.direction == "higher") == (gate.at_least is not None)
    else:
        inside = printed >= bound if gate.at_least is not None else printed <= bound
    unit = f" {column.unit}" if column.unit else ""
    return "" if inside else f"{column.id} {cell.text(column)} is {gate.beyond} {bound:.12g}{unit}: the gate"


def _printed(cell: Cell, column: Column) -> float:
    """Return the number that is printed, in the printed unit; infinite where all is identical."""
    return float("inf") if cell.value is None else float(column.number(cell.value))
