"""Plots of quality against cost: points, the Pareto front, ticks and labels, laid out for `tradeoff.svg`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

from evaluator.ranking import Board, Column, Row
from evaluator.ranking.pareto import pareto_front
from evaluator.site.curve import HEIGHT, MARGIN, WIDTH

_AXES = ("cost.macs", "cost.parameters", "measured.runtime_ms")
_LEFT = MARGIN + 8
_RIGHT, _TOP, _BOTTOM = WIDTH - 20, 40, HEIGHT - MARGIN
_RADIUS = 5
_LETTER, _LINE = 7.0, 15
"""Width and height of a letter, about."""
_LONGEST = 24
"""Letters of a label."""


@dataclass(frozen=True)
class Point:
    """A submission in the plot."""

    name: str
    x: float
    y: float
    front: bool
    words: str
    """Both of its numbers, for those who point at it."""
    label_x: float
    label_y: float
    anchor: str
    """`start`, `middle` or `end`."""
    label: str


@dataclass(frozen=True)
class Plot:
    """A plot of the board's first metric against one cost."""

    cost: Column
    quality: Column
    points: tuple[Point, ...]
    stairs: str
    """The Pareto front as a path."""
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left_out: int
    """Rows without this cost, with a lower bound of it only, or without a finite metric."""
    right: float = _RIGHT
    left: float = _LEFT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def front(self) -> str:
        """The names on the Pareto front, cheapest first."""
        return ", ".join(p.name for p in self.points if p.front)


def plots(board: Board) -> list[Plot]:
    """Return a plot for each cost (MACs, parameters, runtime) that at least two rows have."""
    quality = board.lead_metric
    costs = {c.id: c for c in board.cost_columns}
    found = (_plot(board, quality, costs[axis]) for axis in _AXES if axis in costs)
    return [plot for plot in found if len(plot.points) > 1]


def _plot(board: Board, quality: Column, cost: Column) -> Plot:
    rows = [row for row in board.rows if _number(row, quality) and _number(row, cost)]
    pairs = [(_value(row, cost) / cost.scale, _value(row, quality) / quality.scale) for row in rows]
    if not pairs:
        return Plot(cost, quality, (), "", (), (), len(board.rows))
    low_x, high_x = _widened_log([x for x, _ in pairs])
    low_y, high_y = _widened([y for _, y in pairs])
    sign = 1 if quality.direction == "higher" else -1
    front = pareto_front([(x, sign * y) for x, y in pairs])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - log10(low_x)) / (log10(high_x) - log10(low_x))
        up = (y - low_y) / (high_y - low_y)
        return round(_LEFT + (_RIGHT - _LEFT) * across, 1), round(_BOTTOM - (_BOTTOM - _TOP) * up, 1)

    places = [place(x, y) for x, y in pairs]
    names = [row.card.submission.method or row.submission for row in rows]
    labels = _labels(
        places,
        _steps([places[i] for i in front]),
        [name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in names],
    )
    points = [
        Point(
            *(names[i], *places[i], i in front),
            f"{names[i]}: {quality.id} {rows[i].cells[quality.id].text(quality)}, "
            f"{cost.head} {rows[i].cells[cost.id].text(cost)}",
            *labels[i],
        )
        for i in range(len(rows))
    ]
    stairs = "".join(
        f"M{places[i][0]},{places[i][1]}" if n == 0 else f"H{places[i][0]}V{places[i][1]}" for n, i in enumerate(front)
    )
    order = [*front, *(i for i in range(len(rows)) if i not in front)]
    return Plot(
        cost,
        quality,
        tuple(points[i] for i in order),
        stairs + f"H{_RIGHT}",
        tuple((place(x, low_y)[0], f"{x:g}") for x in log_ticks(low_x, high_x)),
        tuple((place(low_x, y)[1], text) for y, text in _ticks(low_y, high_y)),
        sum(not row.stale for row in board.rows) - len(rows),
    )


def _number(row: Row, column: Column) -> bool:
    cell = row.cells[column.id]
    # A lower bound of a cost would put a network where it may not be; zero has no place on a logarithmic axis.
    logarithmic = column.id in _AXES
    return cell.value is not None and not cell.at_least and not (logarithmic and cell.value <= 0)


def _value(row: Row, column: Column) -> float:
    value = row.cells[column.id].value
    assert value is not None  # noqa: S101 - see `_number`
    return value


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low or abs(high) or 1.0) * 0.12
    return low - margin, high + margin


def _widened_log(values: Sequence[float]) -> tuple[float, float]:
    low, high = log10(min(values)), log10(max(values))
    margin = max((high - low) * 0.14, 0.2)
    return 10 ** (low - margin), 10 ** (high + margin)


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two positive ones: powers of ten, with twos and fives where there is room."""
    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{step}e{k}") for k in decades for step in steps if low <= float(f"{step}e{k}") <= high]
        if len(ticks) <= 8:
            return ticks
    return ticks[:: ceil(len(ticks) / 8)]


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    rough = (high - low) / 5
    power = floor(log10(rough))
    step = next(s for s in (1, 2, 5, 10) if s * 10**power >= rough) * 10**power
    decimals = max(0, -floor(log10(step) + 1e-9))
    return [(k * step, f"{k * step:.{decimals}f}") for k in range(ceil(low / step), floor(high / step) + 1)]


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _steps(front: Sequence[tuple[float, float]]) -> list[Box]:
    """Return the parts of the front's line, as thick as they need to be seen."""
    ends = [x for x, _ in front[1:]] + [_RIGHT]
    across = [(x, y - 2, end, y + 2) for (x, y), end in zip(front, ends, strict=True)]
    up = [(x - 2, y, x + 2, before) for (_, before), (x, y) in pairwise(front)]
    return across + up


def _labels(
    places: Sequence[tuple[float, float]], lines: Sequence[Box], names: Sequence[str]
) -> list[tuple[float, float, str, str]]:
    """Return x, y, anchor and text of each label: beside its point, where it covers the least."""
    taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in places] + list(lines)
    labels = []
    for (x, y), name in zip(places, names, strict=True):
        long = _LETTER * len(name)
        spots = [
            (x + 9, y + 4, "start", x + 9),
            (x - 9, y + 4, "end", x - 9 - long),
            (x, y - 10, "middle", x - long / 2),
            (x, y + 19, "middle", x - long / 2),
            (x + 7, y - 9, "start", x + 7),
            (x + 7, y + 17, "start", x + 7),
            (x - 7, y - 9, "end", x - 7 - long),
            (x - 7, y + 17, "end", x - 7 - long),
        ]
        boxes = [(left, base - _LINE + 3, left + long, base + 3) for _, base, _, left in spots]
        best = min(range(len(spots)), key=lambda i: (_covered(boxes[i], taken), i))
        taken.append(boxes[best])
        labels.append((round(spots[best][0], 1), round(spots[best][1], 1), spots[best][2], name))
    return labels


def _covered(box: Box, others: Sequence[Box]) -> float:
    """Return how much of a box others cover, or lies outside the plot."""
    outside = max(0.0, _LEFT - box[0]) + max(0.0, box[2] - _RIGHT) + max(0.0, _TOP - 24 - box[1])
    outside += max(0.0, box[3] - _BOTTOM)
    shared = (
        max(0.0, min(box[2], o[2]) - max(box[0], o[0])) * max(0.0, min(box[3], o[3]) - max(box[1], o[1]))
        for o in others
    )
    return outside * _LINE * 4 + sum(shared)
