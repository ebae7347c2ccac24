"""How the scores of cases are spread: a box for each submission, laid out for `strips.svg`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluator.ranking import Column
from evaluator.ranking.percase import PerCase
from evaluator.site.curve import WIDTH
from evaluator.site.tradeoff import shortened, shown_name, ticks

MOST = 30
"""Rows of a chart."""
_LEFT, _RIGHT, _TOP, _STEP = 200, WIDTH - 16, 34, 20
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Strip:
    """The scores of one submission."""

    name: str
    label: str
    y: float
    places: tuple[float, ...]
    """Of the least, the quantiles 5, 25, 50, 75 and 95 %, and the greatest, across."""
    texts: tuple[str, ...]
    """The same as numbers."""


@dataclass(frozen=True)
class Strips:
    """The chart."""

    column: Column
    rows: tuple[Strip, ...]
    x_ticks: tuple[tuple[float, str], ...]
    cases: int
    left_out: int
    """Ranked rows beyond the first ones."""
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    width: int = WIDTH

    @property
    def bottom(self) -> float:
        """Where the axis is."""
        return self.top + _STEP * len(self.rows) + 4

    @property
    def height(self) -> float:
        """Of the picture."""
        return self.bottom + 26


def strips(joined: PerCase) -> Strips | None:
    """Return how the scores of a board's first ranked rows by its first metric are spread; None with nothing to show.

    Args:
        joined: the per-case values; infinite and missing ones are left out.
    """
    column = joined.board.lead_metric
    values = joined.values[column.id] / column.scale
    shown = [(row, own[np.isfinite(own)]) for row, own in zip(joined.rows, values.T, strict=True)][:MOST]
    shown = [(row, own) for row, own in shown if len(own) > 1]
    if not shown:
        return None
    ends = [np.quantile(own, _QUANTILES) for _, own in shown]
    low, high = float(min(q[0] for q in ends)), float(max(q[-1] for q in ends))
    if low == high:
        return None
    margin = 0.02 * (high - low)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low), 1)

    rows = tuple(
        Strip(
            shown_name(row),
            shortened(shown_name(row), _LEFT - 24),
            _TOP + _STEP * (number + 0.5),
            tuple(place(float(q)) for q in quantiles),
            tuple(column.number(float(q) * column.scale) for q in quantiles),
        )
        for number, ((row, _), quantiles) in enumerate(zip(shown, ends, strict=True))
    )
    marks = tuple((place(value), text) for value, text in ticks(low, high))
    return Strips(column, rows, marks, len(joined.cases), max(0, len(joined.rows) - MOST))
