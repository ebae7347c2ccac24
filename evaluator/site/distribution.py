"""The distribution of one submission's per-case scores, beside the medians of the others: laid out for an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median

import numpy as np

from evaluator.ranking import Column

_WIDTH, _HEIGHT = 640, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 624, 34, 116
_STRIP = _BOTTOM + 46
"""Where the medians of the others stand."""
_MOST_BINS = 40


@dataclass(frozen=True)
class Distribution:
    """A histogram of per-case scores."""

    column: Column
    words: str
    """What it shows, for those who do not see it."""
    bars: tuple[tuple[float, float, float, float, str], ...]
    """x, y, width, height, words."""
    highest: int
    """Cases of the highest bar."""
    median: tuple[float, str]
    """Of this submission: place and number."""
    others: tuple[tuple[float, str], ...]
    """Of the others: place and words."""
    ticks: tuple[tuple[float, str], ...]
    infinite: int
    """Cases that are identical to their reference, which have no place on the axis."""
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM
    strip: int = _STRIP


def distribution(
    values: Sequence[float], others: Mapping[str, float], column: Column, infinite: int = 0
) -> Distribution | None:
    """Lay out the distribution of a submission's scores; None where there are fewer than two.

    Args:
        values: finite per-case scores of one metric.
        others: by name, the median of each other submission.
        column: the metric.
        infinite: how many cases are left out for being infinite.
    """
    if len(values) < 2:
        return None
    low, high = min(*values, *others.values()), max(*values, *others.values())
    margin = (high - low) / 50 or abs(low) / 50 or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low), 1)

    array = np.asarray(values, np.float64)
    # Freedman and Diaconis's width; numpy's own would allocate as many bins as a tiny one asks for.
    lower, upper = np.quantile(array, (0.25, 0.75))
    width = 2 * float(upper - lower) / len(array) ** (1 / 3)
    wanted = float(array.max() - array.min()) / width if width > 0 else 1.0
    bins = math.ceil(min(max(wanted, 5.0), _MOST_BINS))
    counts, edges = np.histogram(array, bins=bins if array.min() < array.max() else 1)
    highest = int(counts.max())
    bars = []
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        x, tall = place(max(start, low)), round((_BOTTOM - _TOP) * count / highest, 1)
        words = f"{column.number(start)} to {column.number(end)}: {count} {'case' if count == 1 else 'cases'}"
        bars.append((x, round(_BOTTOM - tall, 1), round(max(place(min(end, high)) - x - 1, 1), 1), tall, words))
    middle = median(values)
    quarter, rest = (column.number(float(q)) for q in np.quantile(array, (0.25, 0.75)))
    sentence = (
        f"{len(values)} cases from {column.number(min(values))} to {column.number(max(values))}, "
        f"half of them between {quarter} and {rest}; median {column.number(middle)}."
    )
    if others:
        least, most = min(others.values()), max(others.values())
        span = f"{column.number(least)} to {column.number(most)}" if len(others) > 1 else column.number(least)
        whose = (
            f"Medians of the {len(others)} other submissions" if len(others) > 1 else "Median of the other submission"
        )
        sentence += f" {whose}: {span}."
    return Distribution(
        column,
        sentence,
        tuple(bar for bar in bars if bar[3]),
        highest,
        (place(middle), column.number(middle)),
        tuple((place(value), f"{name}: median {column.number(value)}") for name, value in others.items()),
        tuple((place(tick), text) for tick, text in _ticks(low, high)),
        infinite,
    )


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return about five round numbers within a range, and how they are written."""
    raw = (high - low) / 5
    unit = 10.0 ** floor(log10(raw))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= raw)
    places = max(0, -floor(log10(step)))
    first, last = ceil(low / step), floor(high / step)
    return [(n * step, f"{n * step:.{places}f}") for n in range(first, last + 1)]
