"""Scores by formula: what goes into one, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping

from evaluator.efficiency import Cost
from evaluator.metrics import State
from evaluator.ranking import costs as costing
from evaluator.ranking.cells import Cell
from evaluator.ranking.formula import evaluate_formula
from evaluator.results import Scorecard
from evaluator.tasks.costs import MEASURED_RUNTIME_RATIO, CostRules, is_cost
from evaluator.tasks.spec import OPINIONS, REPORTED_RUNTIME_RATIO, Derived


def fixed_input(
    target: str, cells: Mapping[str, Cell], card: Scorecard, cost: Cost | None, rules: CostRules
) -> Cell | None:
    """Return what a formula takes from no image: a cost, what the team reported, opinions; None for a metric."""
    if target in OPINIONS:
        return cells[target]
    if target == REPORTED_RUNTIME_RATIO:
        return _reported(card, "needs the runtime ratio, which submission.toml may state as")
    if not is_cost(target):
        return None
    found = costing.cell(target, card, cost, rules)
    if target == MEASURED_RUNTIME_RATIO and found.sign == costing.NOT_MEASURED:
        return _reported(card, "needs the runtime ratio: measure it (evaluate profile), or let submission.toml state")
    return found


def derived(score: Derived, cells: Mapping[str, Cell], card: Scorecard, cost: Cost | None, rules: CostRules) -> Cell:
    """Return a score of a row, or why there is none.

    Args:
        score: the task's.
        cells: the row's metrics and opinions.
        card: its scorecard.
        cost: what its model costs; None if nothing was measured.
        rules: the task's, of costs.
    """
    names: dict[str, float] = {}
    reported = False
    for name, target in score.where.items():
        found = fixed_input(target, cells, card, cost, rules)
        if found is None:
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
