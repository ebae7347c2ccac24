"""What the pages of cases show: pictures, the numbers of every submission, the way to the next case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evaluator.metrics import Score, State
from evaluator.ranking import Board, Column, Row
from evaluator.results import CaseRow
from evaluator.site.choice import COMMON, EXTREMES
from evaluator.site.pictures import INPUT, REFERENCE, ShownCase


@dataclass(frozen=True)
class Shot:
    """One picture of a case."""

    key: str
    """Its name in links, and that of its file without suffix."""
    label: str
    row: Row | None = None
    """Whose output it is."""


@dataclass(frozen=True)
class CaseLine:
    """What one submission reached on a case."""

    row: Row
    key: str
    """Of its picture; empty where there is none."""
    scores: dict[str, Score]


@dataclass(frozen=True)
class CasePage:
    """The page of one case."""

    shown: ShownCase
    shots: tuple[Shot, ...]
    lines: tuple[CaseLine, ...]
    best: dict[str, float]
    """Metric → the best value of the case, as printed; infinite where an output is the reference."""
    notes: tuple[str, ...]
    previous: ShownCase | None
    following: ShownCase | None


def case_pages(board: Board, cases: Mapping[str, Sequence[CaseRow]], shown: Mapping[str, ShownCase]) -> list[CasePage]:
    """Return the pages of the cases that have pictures, in the order of the split.

    Args:
        board: the ranked rows.
        cases: by submission, its per-case table.
        shown: the cases with pictures, by id.
    """
    rows = [row for row in board.rows if not row.stale]
    tables = {row.submission: {c.case: c for c in cases[row.submission]} for row in rows}
    ordered = [shown[case] for case in {c: None for table in tables.values() for c in table} if case in shown]
    pages = []
    for place, one in enumerate(ordered):
        lines = tuple(
            CaseLine(row, one.outputs.get(row.submission, ""), table[one.case].scores if one.case in table else {})
            for row in rows
            for table in [tables[row.submission]]
        )
        shots = [Shot(INPUT, "Input")]
        shots += [Shot(REFERENCE, "Reference")] if one.has_reference else []
        shots += [
            Shot(line.key, line.row.card.submission.method or line.row.submission, line.row)
            for line in lines
            if line.key
        ]
        best = {c.id: value for c in board.metric_columns if (value := _best(lines, c)) is not None}
        before = ordered[place - 1] if place else None
        after = ordered[place + 1] if place + 1 < len(ordered) else None
        pages.append(CasePage(one, tuple(shots), lines, best, tuple(_notes(one)), before, after))
    return pages


def is_best(page: CasePage, score: Score | None, column: Column) -> bool:
    """Tell whether a score prints like the best of its case."""
    value = _number(score, column)
    return value is not None and value == page.best.get(column.id)


def score_cell(score: Score | None, column: Column, best: bool = False) -> Markup:
    """Return the table cell of a score; made here, since a large board has hundreds of thousands of them.

    Args:
        score: of one case; None where it was not taken.
        column: its metric.
        best: whether it is marked.
    """
    style = "number best" if best else "number"
    if score is None:
        return Markup('<td class="state">not scored</td>')
    if score.value is not None:
        shown = f"{score.value:.{column.decimals}f}"
        return Markup(f'<td class="{style}" data-value="{score.value}">{shown}</td>')  # noqa: S704 - numbers
    if score.state is State.INFINITE:
        return Markup(f'<td class="{style}" data-value="Infinity">∞</td>')  # noqa: S704
    return Markup('<td class="state">{}</td>').format(score.state.value.replace("_", " "))


def rule_in_words(board: Board, shown: int) -> str:
    """Return how many of the cases have a page, and which."""
    total = max((row.card.dataset.cases for row in board.rows), default=0)
    if shown == total:
        return f"All {total} cases are shown."
    lead = board.lead_metric.id
    return (
        f"{shown} of {total:,} cases are shown: up to {COMMON} of the hardest and {COMMON} of the easiest by the "
        f"median {lead} of the submissions, {COMMON} of those on which two submissions lie furthest "
        f"apart, and the {EXTREMES} worst and {EXTREMES} best of each submission."
    )


def _number(score: Score | None, column: Column) -> float | None:
    if score is None:
        return None
    if score.state is State.INFINITE:
        return float("inf")
    return None if score.value is None else round(score.value, column.decimals)


def _best(lines: Sequence[CaseLine], column: Column) -> float | None:
    values = [v for line in lines if (v := _number(line.scores.get(column.id), column)) is not None]
    choose = max if column.direction == "higher" else min
    return choose(values) if len(values) > 1 else None


def _notes(shown: ShownCase) -> list[str]:
    """Return sentences on how the pictures differ from the files."""
    found = []
    if shown.kinds:
        kinds = " and ".join(sorted(shown.kinds))
        found.append(
            f"Some of the files hold {kinds} values; all pictures have 8 bit, clipped to what a screen shows, "
            "tone-mapped where the task does so. They are for looking only: scores are taken from the files."
        )
    if shown.reduced > 1:
        width, height = shown.picture_size
        found.append(
            f"The pictures are reduced: each of their pixels is the mean of {shown.reduced} × {shown.reduced} of the "
            f"file's ({shown.width} × {shown.height} became {width} × {height}). Fine detail is lost in them."
        )
    if shown.input_size != (shown.width, shown.height):
        found.append(
            f"The input has {shown.input_size[0]} × {shown.input_size[1]} pixels; it is drawn as large as the outputs."
        )
    if not shown.everyone:
        found.append(
            "Outputs are shown of those submissions only whose worst or best cases this is one of; the pictures of all "
            "would take too much room."
        )
    return found
