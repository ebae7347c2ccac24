"""A board: the ranked rows of one task and split. Every table and page is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evaluator import metrics
from evaluator.metrics import State
from evaluator.ranking.formula import evaluate_formula
from evaluator.results import MetricResult, Scorecard
from evaluator.tasks import Task
from evaluator.tasks.spec import REPORTED_RUNTIME_RATIO, Derived


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    id: str
    title: str
    direction: Literal["higher", "lower"]
    unit: str
    decimals: int

    @property
    def arrow(self) -> str:
        """The direction as a sign."""
        return "↑" if self.direction == "higher" else "↓"


@dataclass(frozen=True)
class Cell:
    """One number of a row, or the state that stands in its place."""

    state: State
    value: float | None = None
    infinite: int = 0
    """Cases whose score was infinite and left out of the mean."""
    lost: int = 0
    cases: int = 0
    detail: str = ""
    reported: bool = False
    """Whether a number that the team reported went into it."""

    def text(self, column: Column) -> str:
        """Return the number with the column's decimals, or the state in words."""
        if self.value is None:
            return "∞" if self.state is State.INFINITE else self.state.value.replace("_", " ")
        return f"{self.value:.{column.decimals}f}"


@dataclass(frozen=True)
class Row:
    """One submission."""

    submission: str
    card: Scorecard
    cells: dict[str, Cell]
    rank: int | None = None
    rank_text: str = "–"
    """`3`, or `2–3` where a rank is shared, or `–`."""
    reason: str = ""
    """Why it has no rank."""

    @property
    def stale(self) -> bool:
        """Whether it has no number to show, being scored by other rules or on other data than the board."""
        return all(cell.state is State.UNAVAILABLE for cell in self.cells.values())


@dataclass(frozen=True)
class Board:
    """The ranked rows of one task and split, best first, unranked last."""

    task: Task
    split: str
    metric_columns: tuple[Column, ...]
    score_columns: tuple[Column, ...]
    rows: tuple[Row, ...] = field(default=())

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table: the metrics, and those scores that at least one row has."""
        scores = (c for c in self.score_columns if any(r.cells[c.id].value is not None for r in self.rows))
        return (*self.metric_columns, *scores)

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
                    "metrics": {c.id: _cell_json(row.cells[c.id]) for c in self.metric_columns},
                    "scores": {c.id: _cell_json(row.cells[c.id]) for c in self.score_columns},
                }
                for row in self.rows
            ],
        }


def _cell_json(cell: Cell) -> dict[str, Any]:
    values: dict[str, Any] = {"state": cell.state.value, "value": cell.value, "cases": cell.cases}
    if cell.infinite:
        values["infinite"] = cell.infinite
    if cell.lost:
        values["lost"] = cell.lost
    if cell.detail:
        values["detail"] = cell.detail
    if cell.reported:
        values["reported"] = True
    return values


def rank(task: Task, split: str, cards: Sequence[Scorecard]) -> Board:
    """Rank scorecards by the task's rule.

    Rows that print the same digits in every metric of the rule share a rank. Rows that were scored on other data, by
    another protocol or with other metric versions than the task has now are shown without numbers and without rank.

    Args:
        task: the task; its rule as it is now.
        split: the split's name.
        cards: the scorecards of that split.
    """
    spec = task.spec
    metric_columns = tuple(
        Column(c.id, c.title, c.direction, c.unit, c.decimals) for c in (metrics.get(m).contract for m in spec.metrics)
    )
    score_columns = tuple(Column(d.id, d.title, d.direction, "", d.decimals) for d in spec.scores)
    current = _current_dataset(task, split, cards)
    ranked: list[tuple[tuple[float, ...], Row]] = []
    unranked: list[Row] = []
    for card in sorted(cards, key=lambda c: c.submission.id):
        stale = _stale(task, card, current)
        if stale:
            cells = {c.id: Cell(State.UNAVAILABLE, detail=stale) for c in (*metric_columns, *score_columns)}
            unranked.append(Row(card.submission.id, card, cells, reason=stale))
            continue
        cells = {m: _cell(card.metrics[m]) for m in spec.metrics}
        cells |= {d.id: _derived(d, cells, card) for d in spec.scores}
        row = Row(card.submission.id, card, cells)
        blocking = next((m for m in spec.ranking.by if _unrankable(cells[m])), None)
        if blocking is None:
            ranked.append((tuple(_sort_value(m, cells[m]) for m in spec.ranking.by), row))
        else:
            unranked.append(_with(row, reason=_why(blocking, cells[blocking])))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    rows = []
    for key, row in ranked:
        first = next(i for i, (other, _) in enumerate(ranked) if other == key)
        last = max(i for i, (other, _) in enumerate(ranked) if other == key)
        text = str(first + 1) if first == last else f"{first + 1}–{last + 1}"
        rows.append(_with(row, rank=first + 1, rank_text=text))
    return Board(task, split, metric_columns, score_columns, (*rows, *unranked))


def _with(row: Row, *, rank: int | None = None, rank_text: str = "–", reason: str = "") -> Row:
    return Row(row.submission, row.card, row.cells, rank, rank_text, reason)


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


def _derived(score: Derived, cells: dict[str, Cell], card: Scorecard) -> Cell:
    names: dict[str, float] = {}
    reported = False
    for name, target in score.where.items():
        if target == REPORTED_RUNTIME_RATIO:
            value = card.submission.reported.get("runtime_ratio")
            missing = "needs the runtime ratio, which submission.toml may state as reported.runtime_ratio"
            reported = True
        else:
            value, missing = cells[target].value, f"{target} has no value"
        if value is None:
            return Cell(State.UNAVAILABLE, detail=missing)
        names[name] = value
    try:
        return Cell(State.OK, evaluate_formula(score.formula, names), reported=reported)
    except ValueError as error:
        return Cell(State.FAILED, detail=str(error))


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
