"""What the page of moves shows: who stands where since scorecards were scored again by new rules."""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.ranking import Board, Column
from evaluator.results import Change, Move, Moves


@dataclass(frozen=True)
class ChangeView:
    """A metric of one submission, before and after, as text."""

    before: str
    after: str
    difference: str
    """Signed; empty where one of the two is missing."""


@dataclass(frozen=True)
class MoveView:
    """One submission."""

    move: Move
    method: str
    """Empty where the board has no such row any more."""
    changes: dict[str, ChangeView]
    """By metric."""


@dataclass(frozen=True)
class MovesView:
    """What is shown of a record."""

    rules: str
    current: bool
    """Whether the rules that were new then are those of the board."""
    versions: tuple[tuple[str, str, str], ...]
    """Metric, and its version before and after in words."""
    metrics: tuple[str, ...]
    """Those that changed for anyone."""
    rows: tuple[MoveView, ...]
    """By the new rank; those without one last."""

    @property
    def moved(self) -> tuple[MoveView, ...]:
        """Those whose rank is another now."""
        return tuple(row for row in self.rows if row.move.moved)


def moves_view(record: Moves, board: Board) -> MovesView:
    """Return what is shown of a record, beside the board that it is of."""
    columns = {c.id: c for c in board.metric_columns}
    methods = {row.submission: row.card.submission.method or row.submission for row in board.rows}
    rows = [
        MoveView(
            move,
            methods.get(move.submission, ""),
            {m: _change(change, columns.get(m)) for m, change in move.metrics.items()},
        )
        for move in record.moves
    ]
    return MovesView(
        record.rules,
        record.rules == board.task.rules_digest(),
        tuple((m, _version(before), _version(after)) for m, (before, after) in record.versions.items()),
        tuple(sorted({m for move in record.moves for m in move.metrics})),
        tuple(sorted(rows, key=lambda row: (_place(row.move.after), row.move.submission))),
    )


def _place(rank: str) -> float:
    """Return the place that a rank's text begins with; after all others where it is none."""
    first = rank.partition("–")[0]
    return int(first) if first.isdecimal() else float("inf")


def _change(change: Change, column: Column | None) -> ChangeView:
    before, after = (_text(value, column) for value in (change.before, change.after))
    if change.before is None or change.after is None:
        return ChangeView(before, after, "")
    difference = change.after - change.before
    shown = f"{difference:+.{column.decimals}f}" if column else f"{difference:+.2g}"
    # What is below the printed digits is still said.
    return ChangeView(before, after, shown if float(shown) else f"{difference:+.1e}")


def _text(value: float | None, column: Column | None) -> str:
    if value is None:
        return "–"
    return column.number(value) if column else f"{value:.6g}"


def _version(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
