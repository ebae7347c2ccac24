"""How far a ranking depends on its metric and on how cases are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluator import metrics
from evaluator.metrics import Contract, State
from evaluator.ranking import order
from evaluator.ranking.board import Board
from evaluator.ranking.percase import Floats, PerCase, per_case, transforms
from evaluator.ranking.significance import kendall_tau
from evaluator.results import CaseRow
from evaluator.tasks.rules import MEAN_RANK

TRIMMED = 0.1
"""Share of the cases that the trimmed mean leaves out at each end."""


@dataclass(frozen=True)
class Agreement:
    """The board's ranking beside another one of the same rows."""

    name: str
    """What the other ranks by: a metric or a score, or how it puts cases together."""
    tau: float | None
    """Kendall's τ-b of the two; None where there is none: fewer than two rows, or all equal."""
    first: tuple[str, ...]
    """Who stands first in the other."""
    rows: int
    """How many rows both rank."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"name": self.name, "tau": self.tau, "first": list(self.first), "rows": self.rows}


@dataclass(frozen=True)
class Sensitivity:
    """The board's ranking beside others."""

    first: tuple[str, ...]
    """Who stands first on the board."""
    metrics: tuple[Agreement, ...]
    """Beside the ranking by each other metric and score alone."""
    aggregations: tuple[Agreement, ...]
    """Beside the ranking by the same rule, cases put together otherwise."""

    def sentences(self) -> list[str]:
        """Return it in words."""
        heads = (("By other metrics", self.metrics), ("By other ways to put cases together", self.aggregations))
        return [f"{head}: {'; '.join(map(self._said, found))}." for head, found in heads if found]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for `json.dumps(..., allow_nan=False)`."""
        return {
            "first": list(self.first),
            "metrics": [found.to_json() for found in self.metrics],
            "aggregations": [found.to_json() for found in self.aggregations],
        }

    def _said(self, other: Agreement) -> str:
        tau = "–" if other.tau is None else f"{other.tau:.2f}"
        winner = "the same first" if set(other.first) == set(self.first) else f"first {', '.join(other.first)}"
        return f"{other.name} τ {tau}, {winner}"


def sensitivity(board: Board, cases: Mapping[str, Sequence[CaseRow]]) -> Sensitivity:
    """Return how far a board's ranking depends on its metric and on how cases are put together.

    Kendall's τ-b is of the ranks of those rows that both rank. Aggregations are the median, the mean without a tenth of
    the cases at each end, and rank-then-aggregate: rows are ranked by the rule in each case, and by the mean of these
    ranks. Medians and trimmed means leave out identical cases as means do; in the ranks of a case, an identical output
    stands first.

    Args:
        board: a board.
        cases: the per-case table of each ranked row, by submission; see `Store.read_cases`.

    Raises:
        EvaluatorError: a table is missing, or does not fit the board.
    """
    return sensitivity_of(per_case(board, cases))


def sensitivity_of(joined: PerCase) -> Sensitivity:
    """Return the same from per-case tables that are joined already; see `sensitivity`."""
    board = joined.board
    if not joined.rows:
        return Sensitivity((), (), ())
    own = [row.rank or 0 for row in joined.rows]
    names = [row.submission for row in joined.rows]
    by_case = order.mean_rank_of(joined.keys(joined.values)).mean(axis=0, keepdims=True)
    others = {"rank, then aggregate": order.places([np.round(-by_case, 9)])[0].tolist()}
    for title, reduce in (("median", _median), ("trimmed mean", _trimmed_mean)):
        reduced = {
            m: np.array([[reduce(metrics.get(m).contract, column) for column in values.T]])
            for m, values in joined.values.items()
        }
        others[title] = order.places(joined.keys(reduced))[0].tolist()
    return Sensitivity(
        _first(names, own),
        tuple(_by_column(board, name) for name in _others(board)),
        tuple(_agreement(title, names, own, other) for title, other in others.items()),
    )


def _others(board: Board) -> list[str]:
    alone = board.rule.by[0] if board.rule.method != MEAN_RANK else ""
    scores = [d.id for d in board.task.spec.scores if any(r.cells[d.id].value is not None for r in board.ranked)]
    return [name for name in (*board.task.spec.metrics, *scores) if name != alone]


def _by_column(board: Board, name: str) -> Agreement:
    column = board.column(name)
    cells = [(row.submission, row.rank or 0, row.cells[name]) for row in board.ranked]
    both = [c for c in cells if c[2].value is not None or c[2].state is State.INFINITE]
    if not both:
        return Agreement(name, None, (), 0)
    printed = np.array([[np.inf if c.value is None else float(column.number(c.value)) for _, _, c in both]])
    other = order.places([order.oriented_values(column, printed)])[0].tolist()
    return _agreement(name, [submission for submission, _, _ in both], [rank for _, rank, _ in both], other)


def _agreement(name: str, submissions: Sequence[str], own: Sequence[int], other: Sequence[int]) -> Agreement:
    return Agreement(name, kendall_tau(own, other), _first(submissions, other), len(submissions))


def _first(submissions: Sequence[str], ranks: Sequence[int]) -> tuple[str, ...]:
    return tuple(name for name, rank in zip(submissions, ranks, strict=True) if rank == min(ranks))


def _median(_contract: Contract, column: Floats) -> float:
    return _of_finite(column, lambda values: float(np.median(values)))


def _trimmed_mean(contract: Contract, column: Floats) -> float:
    from scipy.stats import trim_mean

    forth, back = transforms(contract)
    return _of_finite(column, lambda values: float(back(np.asarray(trim_mean(forth(values), TRIMMED)))))


def _of_finite(column: Floats, reduce: Callable[[Floats], float]) -> float:
    finite = column[np.isfinite(column)]
    if len(finite):
        return reduce(finite)
    return float("inf") if np.isinf(column).any() else float("nan")
