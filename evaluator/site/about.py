"""What the page about the numbers says: contracts of metrics, and what states do to a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluator import metrics
from evaluator.metrics import State
from evaluator.ranking import Board
from evaluator.ranking.uncertainty import LEVEL, RESAMPLES

_BY_THE_RULE = (
    "By the task's rule: the submission is shown and not ranked, or the case counts the metric's worst value. A task's "
    "page says which."
)
STATES = {
    State.OK: ("There is a number.", "It counts."),
    State.INFINITE: (
        "Output and reference are identical, and the metric has no finite value for that.",
        "Left out of the mean, and how many is shown; pooled metrics count it with an error of 0. Where all cases are "
        "identical the row shows ∞ and stands above all numbers.",
    ),
    State.MISSING: ("There is no output for the case.", _BY_THE_RULE),
    State.INVALID: ("There is an output, but a finding says why it cannot be scored.", _BY_THE_RULE),
    State.FAILED: ("The metric or the model gave no number.", _BY_THE_RULE),
    State.UNAVAILABLE: (
        "Something that the metric needs was not on the machine, or the row is of other rules or data than the board.",
        "No number, and no rank where the rule asks for it.",
    ),
    State.NOT_APPLICABLE: (
        "The metric is not defined for the case, whoever sent the output: an image too small, no reference.",
        "Left out of the mean of every submission alike.",
    ),
    State.INCOMPLETE: (
        "Of a mean: some cases have no score, and the rule gives them none.",
        "No number, and no rank where the rule asks for it.",
    ),
}
"""What a state means, and what it does to a rank."""


@dataclass(frozen=True)
class ContractView:
    """A contract, and the boards that have a column of it."""

    contract: metrics.Contract
    boards: tuple[tuple[str, str], ...]
    """Task and split."""


@dataclass(frozen=True)
class AboutView:
    """What the page says."""

    contracts: tuple[ContractView, ...]
    """In the order in which tables show them."""
    states: tuple[tuple[str, str, str], ...]
    level: float
    """Of intervals, in percent."""
    resamples: int


def about_view(boards: Sequence[Board]) -> AboutView:
    """Return what the page about the numbers of these boards says."""
    known = metrics.ids()
    used = {c.id for board in boards for c in board.metric_columns}
    ordered = [m for m in known if m in used] + sorted(used - set(known))
    views = [
        ContractView(
            metrics.get(m).contract,
            tuple((b.task.id, b.split) for b in boards if any(c.id == m for c in b.metric_columns)),
        )
        for m in ordered
    ]
    states = tuple((state.value.replace("_", " "), *STATES[state]) for state in State)
    return AboutView(tuple(views), states, 100 * LEVEL, RESAMPLES)
