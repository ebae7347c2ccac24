"""What the page of published tables shows: papers, their tables as printed, remarks, and measured numbers beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluator.ranking import Kind, Pair, Remark, Verdict, audit, beside
from evaluator.results import PublishedTable, Scorecard, load_papers, load_published
from evaluator.results.published import CellState, Paper

_STATES = {
    CellState.AT_MOST: "at most: a bound, not a value",
    CellState.NOT_AVAILABLE: "not available",
    CellState.NONE: "no value is given",
    CellState.FAILED: "failed",
    CellState.MERGED: "printed once for all rows of this method",
    CellState.YES: "yes",
    CellState.NO: "no",
}
_LABELS = {CellState.TEXT: "", CellState.SIZE: "", CellState.NUMBER: "number"}


@dataclass(frozen=True)
class CellView:
    """A cell as printed."""

    text: str
    style: str
    meaning: str
    """What a mark means; empty for numbers and words."""


@dataclass(frozen=True)
class RowView:
    """A row with what the audit says about it."""

    label: str
    cells: tuple[CellView, ...]
    remarks: tuple[Remark, ...]
    """Those that do not simply agree."""
    agreeing: int
    """How many checks it passed."""

    @property
    def verdicts(self) -> list[str]:
        """What the audit says of it, without what agrees; each once."""
        return sorted({remark.verdict.value for remark in self.remarks})


@dataclass(frozen=True)
class TableView:
    """A table with everything around it."""

    table: PublishedTable
    over: tuple[tuple[tuple[str, int], ...], ...]
    """Lines of heads above the columns' own: text and the number of columns it is over."""
    rows: tuple[RowView, ...]
    remarks: tuple[Remark, ...]
    """On whole columns."""
    pairs: tuple[Pair, ...]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many checks of its rows and columns came to which verdict."""
        found = [r.verdict for row in self.rows for r in row.remarks] + [r.verdict for r in self.remarks]
        agreeing = sum(row.agreeing for row in self.rows) + found.count(Verdict.AGREES)
        return {v.value: agreeing if v is Verdict.AGREES else found.count(v) for v in Verdict}

    @property
    def kinds(self) -> dict[str, int]:
        """How many of its numbers stand in which way to a measured one; those that none does are left out."""
        found = [pair.kind for pair in self.pairs]
        return {kind.value: count for kind in Kind if (count := found.count(kind))}


@dataclass(frozen=True)
class PaperView:
    """A paper and its tables."""

    paper: Paper
    tables: tuple[TableView, ...]


def paper_views(cards: Sequence[Scorecard]) -> list[PaperView]:
    """Return what the page shows.

    Args:
        cards: scorecards whose numbers may be set beside the reported ones.
    """
    tables = load_published()
    remarks = audit(tables)
    views = [_table(t, [r for r in remarks if r.table == t.id], tuple(beside([t], cards))) for t in tables]
    grouped = groupby(views, key=lambda view: view.table.paper)
    return [PaperView(load_papers()[paper], tuple(group)) for paper, group in grouped]


def _table(table: PublishedTable, remarks: Sequence[Remark], pairs: tuple[Pair, ...]) -> TableView:
    printed: dict[int, list[CellView]] = {}
    for entry in table.entries():
        state = entry.printed.state
        style = _LABELS.get(state, "state")
        printed.setdefault(entry.row, []).append(CellView(entry.printed.text, style, _STATES.get(state, "")))
    rows = []
    for number, row in enumerate(table.rows):
        own = [r for r in remarks if r.row == number]
        doubtful = tuple(r for r in own if r.verdict is not Verdict.AGREES)
        rows.append(RowView(row.cells[0], tuple(printed[number]), doubtful, len(own) - len(doubtful)))
    whole = tuple(r for r in remarks if r.row is None)
    return TableView(table, _over(table), tuple(rows), whole, pairs)


def _over(table: PublishedTable) -> tuple[tuple[tuple[str, int], ...], ...]:
    depth = max(len(column.group) for column in table.columns)
    lines = []
    for level in range(depth):
        groups = groupby(table.columns, key=lambda column: column.group[: level + 1])
        lines.append(tuple((key[level] if len(key) > level else "", len(list(group))) for key, group in groups))
    return tuple(lines)
