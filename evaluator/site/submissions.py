"""What the page of a submission shows of its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from evaluator.metrics import State
from evaluator.ranking import Board, Column, Row
from evaluator.results import CaseRow
from evaluator.site.choice import case_values, worst_and_best
from evaluator.site.curve import COLOURS, curve_svg
from evaluator.site.distribution import Distribution, distribution
from evaluator.site.pictures import INPUT, REFERENCE, ShownCase

_SHARP = "sharp_region.area"
_LABEL = 17
"""Letters of a name beside a curve."""


@dataclass(frozen=True)
class Extremes:
    """The worst and the best cases by one metric."""

    column: Column
    worst: list[CaseRow]
    best: list[CaseRow]


@dataclass(frozen=True)
class SubmissionView:
    """What is drawn of a submission."""

    lead: Column
    pictured: list[tuple[str, list[tuple[CaseRow, ShownCase]]]]
    """Worst and best cases by the lead metric that have pictures of this submission."""
    extremes: list[Extremes]
    distribution: Distribution | None
    curve: str
    """Its sharp-region curve beside those of others, as SVG; empty where there is none."""
    links: dict[str, str]
    """Case → its page, where it has one."""


def case_medians(board: Board, cases: Mapping[str, Sequence[CaseRow]]) -> dict[str, float]:
    """Return the median over the cases of the rule's first metric, by submission; only those on a par with the board.

    Args:
        board: the ranked rows.
        cases: by submission, its per-case table.
    """
    lead = board.lead_metric
    found = {r.submission: case_values(cases[r.submission], lead).values() for r in board.rows if not r.stale}
    return {name: median(values) for name, values in found.items() if values}


def submission_view(
    board: Board, row: Row, own: Sequence[CaseRow], shown: Mapping[str, ShownCase], medians: Mapping[str, float]
) -> SubmissionView:
    """Return what the page of a submission shows of its cases.

    Args:
        board: the ranked rows.
        row: the submission's.
        own: its per-case table.
        shown: the cases with pictures, by id.
        medians: see `case_medians`.
    """
    lead = board.lead_metric
    extremes = [Extremes(c, *worst_and_best(own, c)) for c in board.metric_columns]
    first = next(e for e in extremes if e.column is lead)
    pictured = [
        (title, [(c, shown[c.case]) for c in found if c.case in shown and row.submission in shown[c.case].outputs])
        for title, found in (("Worst", first.worst), ("Best", first.best))
    ]
    values = [] if row.stale else list(case_values(own, lead).values())
    infinite = sum((s := c.scores.get(lead.id)) is not None and s.state is State.INFINITE for c in own)
    return SubmissionView(
        lead,
        [(title, found) for title, found in pictured if found],
        [e for e in extremes if e.worst and not row.stale],
        distribution(values, {n: m for n, m in medians.items() if n != row.submission}, lead, infinite),
        _curve(board, row),
        {case: _link(one, row.submission) for case, one in shown.items()},
    )


def _link(one: ShownCase, submission: str) -> str:
    """Return the way from a submission's page to a case, which opens with its output if that is shown."""
    page = f"../cases/{one.folder}/index.html"
    left = REFERENCE if one.has_reference else INPUT
    return f"{page}#left={left}&right={one.outputs[submission]}" if submission in one.outputs else page


def _curve(board: Board, row: Row) -> str:
    """Return the sharp-region curve of a submission beside those of the best others."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for one in [row, *(r for r in board.rows if r is not row and not r.stale)]:
        result = one.card.metrics.get(_SHARP)
        shares = {
            int(k.removeprefix("below_")): v for k, v in (result.extra if result else {}).items() if "below_" in k
        }
        if not shares and one is row:
            return ""
        if shares and len(curves) < len(COLOURS):
            name = one.submission if len(one.submission) <= _LABEL else one.submission[: _LABEL - 1] + "…"
            levels = sorted(shares)
            curves[name] = ([0.0, *(k / 255 for k in levels)], [0.0, *(shares[k] for k in levels)])
    return curve_svg(curves)
