"""The per-case values of a board's ranked rows, and what its rule makes of tables of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.metrics import Contract, State
from evaluator.ranking import order
from evaluator.ranking.board import Board, Row
from evaluator.ranking.cells import Column
from evaluator.ranking.formula import evaluate_formula_of_arrays
from evaluator.ranking.scores import fixed_input
from evaluator.results import CaseRow
from evaluator.tasks.rules import MEAN_RANK
from evaluator.tasks.spec import Derived

Floats = NDArray[np.float64]
_Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class PerCase:
    """The values of N cases and S ranked rows, in the order of the board."""

    board: Board
    rows: tuple[Row, ...]
    cases: tuple[str, ...]
    values: Mapping[str, Floats]
    """Of each metric, `(N, S)`; infinite where output and reference are identical, NaN where there is no value."""

    @property
    def columns(self) -> dict[str, Column]:
        """The board's columns by id."""
        board = self.board
        return {c.id: c for c in (*board.metric_columns, *board.score_columns, *board.all_cost_columns)}

    def with_scores(self, tables: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return R tables of values of metrics, with the task's scores and the costs of its rule, as computed.

        Args:
            tables: of each metric, `(R, S)`.
        """
        found = dict(tables)
        count = len(next(iter(tables.values())))
        for score in self.board.task.spec.scores:
            found[score.id] = self._score(score, tables, count)
        for name in self.board.rule.by:
            if name not in found:
                cost = [np.nan if (v := row.cells[name].value) is None else v for row in self.rows]
                found[name] = np.broadcast_to(np.array(cost, dtype=np.float64), (count, len(self.rows)))
        return found

    def keys(self, tables: Mapping[str, Floats]) -> list[Floats]:
        """Return what the rule decides by, each `(R, S)`, higher is better; see `order.keys`.

        Args:
            tables: of each metric, `(R, S)`.
        """
        complete, columns = self.with_scores(tables), self.columns
        printed = {name: _printed(columns[name], complete[name]) for name in self.board.rule.by}
        return order.keys(self.board.rule, columns, printed)

    def tested(self) -> tuple[str, Floats] | None:
        """Return what rows are compared by case by case: its name and values, `(N, S)`, higher is better; NaN: none.

        It is the first thing that the rule ranks by; for a rule of mean ranks, the mean of the ranks in that case.
        Infinite is better than any number. None where cases have no value of it: a cost, an opinion.
        """
        rule = self.board.rule
        if rule.method == MEAN_RANK:
            return (MEAN_RANK, self.keys(self.values)[0]) if any(map(self.of_cases, rule.by)) else None
        name = rule.by[0]
        if not self.of_cases(name):
            return None
        found = self.with_scores(self.values)[name]
        return name, np.where(np.isnan(found), np.nan, order.oriented_values(self.columns[name], found))

    def of_cases(self, name: str) -> bool:
        """Tell whether cases have values of it; costs, opinions and what teams reported have none."""
        score = next((d for d in self.board.task.spec.scores if d.id == name), None)
        return name in self.values or (score is not None and bool(set(score.where.values()) & set(self.values)))

    def _score(self, score: Derived, tables: Mapping[str, Floats], count: int) -> Floats:
        names = {}
        for name, target in score.where.items():
            if target in tables:
                names[name] = tables[target]
            else:
                found = [fixed_input(target, r.cells, r.card, r.cost, self.board.task.spec.cost) for r in self.rows]
                known = [np.nan if c is None or c.value is None or c.at_least else c.value for c in found]
                names[name] = np.broadcast_to(np.array(known, dtype=np.float64), (count, len(self.rows)))
        return evaluate_formula_of_arrays(score.formula, names)


def per_case(board: Board, cases: Mapping[str, Sequence[CaseRow]]) -> PerCase:
    """Join the per-case tables of a board's ranked rows.

    Args:
        board: the board.
        cases: the table of each ranked row, by submission; see `Store.read_cases`. Others are not looked at.

    Raises:
        EvaluatorError: a table is missing, or is of other cases or metrics than the board.
    """
    rows, ids = board.ranked, [c.id for c in board.metric_columns]
    names: tuple[str, ...] = ()
    tables: list[Floats] = []
    for row in rows:
        if row.submission not in cases:
            raise EvaluatorError(f"There is no per-case table of {row.submission}, which {board.task.id} ranks.")
        table = {case.case: case for case in cases[row.submission]}
        names = names or tuple(table)
        if set(table) != set(names):
            raise EvaluatorError(
                f"The per-case table of {row.submission} is of other cases than the others: score again."
            )
        lacking = [m for m in ids if any(m not in case.scores for case in table.values())]
        if lacking:
            raise EvaluatorError(f"The per-case table of {row.submission} has no {', '.join(lacking)}: score it again.")
        tables.append(np.array([[_value(table[name], m, board) for m in ids] for name in names], dtype=np.float64))
    joined = np.stack(tables, axis=2) if tables else np.empty((0, len(ids), 0))
    return PerCase(board, rows, names, {m: np.ascontiguousarray(joined[:, i]) for i, m in enumerate(ids)})


def aggregate(contract: Contract, values: Floats, weights: Floats) -> Floats:
    """Return weighted aggregates of a metric, `(R, S)`, as its contract does over cases.

    Cases with an infinite value are left out, but count with an error of 0 where the contract pools; where nothing else
    is left, the aggregate is infinite. NaN where there is nothing at all.

    Args:
        contract: the metric's.
        values: `(N, S)`; see `PerCase.values`.
        weights: `(R, N)`: how often each case counts.
    """
    forth, back = transforms(contract)
    infinite = np.isinf(values)
    counted = np.isfinite(values) | (infinite if contract.aggregation == "pooled" else False)
    with np.errstate(all="ignore"):
        terms = np.where(counted, forth(np.where(counted, values, 1.0)), 0.0)
    total = weights @ terms
    number = weights.sum(axis=1, keepdims=True) if counted.all() else weights @ counted.astype(np.float64)
    with np.errstate(all="ignore"):
        found = back(total / number)
    if counted.all():
        return found
    return np.where(number > 0, found, np.where(weights @ infinite.astype(np.float64) > 0, np.inf, np.nan))


def transforms(contract: Contract) -> tuple[_Function, _Function]:
    """Return what a contract averages in place of the values, as a function, and its inverse."""
    if contract.aggregation == "geometric mean":
        return np.log, np.exp
    if contract.aggregation == "pooled":
        return (lambda v: 10.0 ** (-v / 10)), (lambda v: -10 * np.log10(v))
    return (lambda v: v), (lambda v: v)


def _value(case: CaseRow, metric: str, board: Board) -> float:
    score = case.scores[metric]
    if score.state is State.OK and score.value is not None:
        return score.value
    if score.state is State.INFINITE:
        return float("inf")
    lost = score.state in (State.MISSING, State.INVALID, State.FAILED)
    return metrics.get(metric).contract.worst if lost and board.rule.missing == "worst" else float("nan")


def _printed(column: Column, values: Floats) -> Floats:
    """Return values as far rounded as they are printed."""
    if column.digits is None:
        return np.round(values / column.scale, column.decimals)
    texts = {value: float(column.number(value)) for value in np.unique(values[np.isfinite(values)]).tolist()}
    return np.array([[texts.get(value, value) for value in row] for row in values.tolist()], dtype=np.float64)
