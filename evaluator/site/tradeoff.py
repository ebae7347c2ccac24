"""Plots of one number against another: points, the Pareto front, ticks and labels, laid out for `tradeoff.svg`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from unicodedata import east_asian_width

from evaluator.ranking import Board, Column, Row
from evaluator.ranking.pareto import pareto_front
from evaluator.site.curve import HEIGHT, MARGIN, WIDTH

_AXES = ("cost.macs", "cost.parameters", "measured.runtime_ms")
_DISTORTION = ("psnr", "rmse_mean", "rmse_rel", "mae", "ms_ssim", "ssim")
_PERCEPTION = ("lpips", "niqe")
"""Families of metrics: the first part of an id."""
_LEFT = MARGIN + 8
_RIGHT, _TOP, _BOTTOM = WIDTH - 20, 40, HEIGHT - MARGIN
_STRIP = 96
"""How wide the strip of submissions without the number across is, at the left."""
_RADIUS = 5
_LETTER, _LINE = 7.0, 15
"""Width and height of a letter, about."""
_ROOM = 170
"""How wide a label may be."""


@dataclass(frozen=True)
class Point:
    """A submission in the plot."""

    name: str
    x: float
    y: float
    kind: str
    """`best` on the Pareto front, `other` beside it, `uncounted` without the number across."""
    words: str
    """Its numbers, for those who point at it."""
    label_x: float
    label_y: float
    anchor: str
    """`start`, `middle` or `end`."""
    label: str


@dataclass(frozen=True)
class Plot:
    """A plot of one number of the board against another."""

    x: Column
    y: Column
    logarithmic: bool
    """Whether the horizontal axis is."""
    points: tuple[Point, ...]
    stairs: str
    """The Pareto front as a path."""
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left_out: int
    """Rows without a finite number upwards, or with a lower bound only of that across."""
    divide: float | None
    """Where the strip of those that have no number across ends; None where all have one."""
    right: float = _RIGHT
    left: float = _LEFT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def front(self) -> str:
        """The names on the Pareto front, best in what is across first."""
        return ", ".join(shortened(p.name) for p in self.points if p.kind == "best")

    @property
    def counted(self) -> int:
        """How many points have both numbers."""
        return sum(p.kind != "uncounted" for p in self.points)

    @property
    def unnamed(self) -> int:
        """How many points have no label, for want of room."""
        return sum(not p.label for p in self.points)

    @property
    def name(self) -> str:
        """What makes ids of its parts unique on a page."""
        return f"plot-{self.x.id}-{self.y.id}".replace(".", "-")


def plots(board: Board) -> list[Plot]:
    """Return a plot of the first metric for each cost (MACs, parameters, runtime) that at least two rows have."""
    costs = {c.id: c for c in board.cost_columns}
    found = (_plot(board, costs[axis], board.lead_metric, logarithmic=True) for axis in _AXES if axis in costs)
    return [plot for plot in found if plot]


def planes(board: Board) -> list[Plot]:
    """Return the perception–distortion plane: a plot for each perceptual metric that at least two rows have.

    Distortion is the first metric that the rule ranks by, if it is one of distortion, else the task's first that is.

    Source: Blau, Michaeli: The Perception–Distortion Tradeoff. CVPR 2018.
    """
    families = {c: c.id.partition(".")[0] for c in (board.lead_metric, *board.metric_columns)}
    distortion = next((c for c, family in families.items() if family in _DISTORTION), None)
    if distortion is None:
        return []
    perceptual = [c for c in board.metric_columns if families[c] in _PERCEPTION]
    return [plot for c in perceptual if (plot := _plot(board, distortion, c, logarithmic=False))]


def _plot(board: Board, x: Column, y: Column, *, logarithmic: bool) -> Plot | None:
    rows = [row for row in board.rows if _has(row, x, positive=logarithmic) and _has(row, y, positive=False)]
    if len(rows) < 2:
        return None
    beside = [row for row in board.rows if logarithmic and not row.cells[x.id].value and _has(row, y, positive=False)]
    pairs = [(_value(row, x) / x.scale, _value(row, y) / y.scale) for row in rows]
    levels = [_value(row, y) / y.scale for row in beside]
    widened = _widened_log if logarithmic else _widened
    (low_x, high_x), (low_y, high_y) = widened([x for x, _ in pairs]), _widened([*(y for _, y in pairs), *levels])
    left = _LEFT + (_STRIP if beside else 0)
    turn_x, turn_y = (-1 if x.direction == "higher" else 1), (1 if y.direction == "higher" else -1)
    front = pareto_front([(turn_x * x, turn_y * y) for x, y in pairs])

    def along(value: float) -> float:
        return log10(value) if logarithmic else value

    def place(x: float, y: float) -> tuple[float, float]:
        across = (along(x) - along(low_x)) / (along(high_x) - along(low_x))
        up = (y - low_y) / (high_y - low_y)
        return round(left + (_RIGHT - left) * across, 1), round(_BOTTOM - (_BOTTOM - _TOP) * up, 1)

    places = [place(x, y) for x, y in pairs] + [(_LEFT + 12.0, place(low_x, y)[1]) for y in levels]
    rows = [*rows, *beside]
    names = [shown_name(row) for row in rows]
    end = _RIGHT if turn_x == 1 else left
    order = [*front, *(i for i in range(len(rows)) if i not in front)]
    labels = _labels(
        [places[i] for i in order], _steps([places[i] for i in front], end), [shortened(names[i]) for i in order]
    )
    points = [
        Point(
            *(names[i], *places[i], "best" if i in front else "other" if i < len(pairs) else "uncounted"),
            f"{names[i]}: {y.head} {rows[i].cells[y.id].text(y)}, {x.head} {rows[i].cells[x.id].text(x)}",
            *label,
        )
        for i, label in zip(order, labels, strict=True)
    ]
    stairs = "".join(
        f"M{places[i][0]},{places[i][1]}" if n == 0 else f"H{places[i][0]}V{places[i][1]}" for n, i in enumerate(front)
    )
    x_ticks = [(x, f"{x:g}") for x in log_ticks(low_x, high_x)] if logarithmic else ticks(low_x, high_x)
    return Plot(
        x,
        y,
        logarithmic,
        tuple(points),
        stairs + f"H{end}",
        tuple((place(value, low_y)[0], text) for value, text in x_ticks),
        tuple((place(low_x, value)[1], text) for value, text in ticks(low_y, high_y)),
        sum(not row.stale for row in board.rows) - len(rows),
        left if beside else None,
    )


def shown_name(row: Row) -> str:
    """Return what a row is called in a picture: its method, else its id."""
    return row.card.submission.method or row.submission


def shortened(name: str, room: float = _ROOM) -> str:
    """Return a name that takes so much room at most, cut off with … if it is longer; see `text_width`."""
    if text_width(name) <= room:
        return name
    end = next(i for i in range(len(name)) if text_width(name[: i + 1]) > room - _LETTER)
    return name[:end] + "…"


def text_width(text: str) -> float:
    """Return how wide a text is at most, about: 13 pixels high, in a sans-serif."""
    return sum(
        13.0 if east_asian_width(c) in "WF" else 12.5 if c in "WM@%…" else _LETTER + 2 * c.isupper() for c in text
    )


def _has(row: Row, column: Column, *, positive: bool) -> bool:
    cell = row.cells[column.id]
    # A lower bound of a cost would put a network where it may not be; zero has no place on a logarithmic axis.
    return cell.value is not None and not cell.at_least and not (positive and cell.value <= 0)


def _value(row: Row, column: Column) -> float:
    value = row.cells[column.id].value
    assert value is not None  # noqa: S101 - see `_has`
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


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return about five round numbers between two, with their texts."""
    rough = (high - low) / 5
    power = floor(log10(rough))
    step = next(s for s in (1, 2, 5, 10) if s * 10**power >= rough) * 10**power
    decimals = max(0, -floor(log10(step) + 1e-9))
    return [(k * step, f"{k * step:.{decimals}f}") for k in range(ceil(low / step), floor(high / step) + 1)]


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _steps(front: Sequence[tuple[float, float]], end: float) -> list[Box]:
    """Return the parts of the front's line, as thick as they need to be seen."""
    ends = [x for x, _ in front[1:]] + [end]
    across = [(min(x, to), y - 2, max(x, to), y + 2) for (x, y), to in zip(front, ends, strict=True)]
    up = [(x - 2, min(y, before), x + 2, max(y, before)) for (_, before), (x, y) in pairwise(front)]
    return across + up


def _labels(
    places: Sequence[tuple[float, float]], lines: Sequence[Box], names: Sequence[str]
) -> list[tuple[float, float, str, str]]:
    """Return x, y, anchor and text of each label: beside its point, where it covers least of the front's line.

    A label that would cover a point or another label everywhere is left out: its text is empty.
    """
    taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in places]
    labels = []
    for (x, y), name in zip(places, names, strict=True):
        long = text_width(name)
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
        free = [i for i, box in enumerate(boxes) if _inside(box) and not _covered(box, taken)]
        if not free:
            labels.append((x, y, "start", ""))
            continue
        best = min(free, key=lambda i: (_covered(boxes[i], lines), i))
        taken.append(boxes[best])
        labels.append((round(spots[best][0], 1), round(spots[best][1], 1), spots[best][2], name))
    return labels


def _inside(box: Box) -> bool:
    return box[0] >= _LEFT and box[2] <= WIDTH and box[1] >= _TOP - 12 and box[3] <= _BOTTOM


def _covered(box: Box, others: Sequence[Box]) -> float:
    """Return how much of a box others cover."""
    return sum(
        max(0.0, min(box[2], o[2]) - max(box[0], o[0])) * max(0.0, min(box[3], o[3]) - max(box[1], o[1]))
        for o in others
    )
