"""Which cases of a board are shown with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil
from statistics import median

from evaluator.ranking import Board, Column
from evaluator.results import CaseRow

EXTREMES = 3
"""How many of its worst and of its best cases each submission is shown with."""
COMMON = 6
"""How many of the hardest, of the easiest and of the most disputed cases are shown."""
MOST_PIXELS = 100_000_000
"""Pixels of the pictures on pages with everyone's outputs: 1,525 pictures of 256×256. What comes on top of them is
bounded, too: `2 * EXTREMES` cases a submission, of three pictures each."""

HARDEST, EASIEST, DISPUTED = "hardest", "easiest", "most disputed"


@dataclass(frozen=True)
class Choice:
    """A case that is worth a look."""

    case: str
    reasons: tuple[str, ...]
    """Of hardest, easiest, most disputed: for these, everyone's outputs are shown as long as `MOST_PIXELS` allows."""
    extreme_of: tuple[str, ...]
    """The submissions of whose worst or best cases it is one: theirs are shown in any event."""


def choose(board: Board, cases: Mapping[str, Sequence[CaseRow]]) -> list[Choice]:
    """Return the cases to be shown, those that matter to all first; by the rule's first metric.

    Hardest and easiest go by the median over the submissions, most disputed by the largest difference between two of
    them, baselines left out where there are two others. Rows that were scored by other rules choose nothing.

    Args:
        board: the ranked rows.
        cases: by submission, its per-case table.
    """
    column = board.lead_metric
    rows = [row for row in board.rows if not row.stale]
    scores = {row.submission: case_values(cases[row.submission], column) for row in rows}
    handed_in = [row.submission for row in rows if not row.card.submission.baseline]
    rivals = handed_in if len(handed_in) > 1 else list(scores)
    order = {case.case: None for row in rows for case in cases[row.submission]}
    sign = 1 if column.direction == "higher" else -1
    found = {case: [s[case] for s in scores.values() if case in s] for case in order}
    middle = {case: sign * median(values) for case, values in found.items() if values}
    apart = {
        case: values for case in order if len(values := [scores[r][case] for r in rivals if case in scores[r]]) > 1
    }
    spread = {case: max(values) - min(values) for case, values in apart.items() if max(values) > min(values)}
    count = min(COMMON, ceil(len(order) / 3))
    ranked = {
        HARDEST: sorted(middle, key=lambda case: middle[case])[:count],
        EASIEST: sorted(middle, key=lambda case: -middle[case])[:count],
        DISPUTED: sorted(spread, key=lambda case: -spread[case])[:count],
    }
    extremes = {name: list(chain(*worst_and_best(cases[name], column))) for name in scores}
    wanted = dict.fromkeys(
        case for place in range(count) for listed in ranked.values() for case in listed[place : place + 1]
    )
    wanted |= dict.fromkeys(case.case for listed in extremes.values() for case in listed)
    return [
        Choice(
            case,
            tuple(reason for reason, listed in ranked.items() if case in listed),
            tuple(name for name, listed in extremes.items() if any(c.case == case for c in listed)),
        )
        for case in wanted
    ]


def case_values(cases: Sequence[CaseRow], column: Column) -> dict[str, float]:
    """Return the values of one metric by case; a case without a finite number is left out."""
    found = ((c.case, c.scores.get(column.id)) for c in cases)
    return {case: s.value for case, s in found if s is not None and s.value is not None}


def worst_and_best(cases: Sequence[CaseRow], column: Column) -> tuple[list[CaseRow], list[CaseRow]]:
    """Return the worst and the best cases by a metric; those without a number are in neither, and none is in both."""
    sign = 1 if column.direction == "higher" else -1
    values = case_values(cases, column)
    ordered = sorted((c for c in cases if c.case in values), key=lambda c: sign * values[c.case])
    worst = ordered[:EXTREMES]
    return worst, ordered[len(worst) :][: -EXTREMES - 1 : -1]
