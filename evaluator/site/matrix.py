"""Which submissions are significantly better than which: a map of all pairs, laid out for `matrix.svg`."""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.ranking import Board, Uncertainty
from evaluator.site.strips import MOST
from evaluator.site.tradeoff import shortened, shown_name

_LEFT, _TOP, _CELL = 224, 30, 16


@dataclass(frozen=True)
class MapRow:
    """One submission against the others."""

    place: int
    """On the board, from 1."""
    name: str
    label: str
    y: float
    better: int
    """How many others it is better than, of those shown."""
    worse: int
    alike: tuple[int, ...]
    """Places of those that it cannot be told apart from."""


@dataclass(frozen=True)
class SignificanceMap:
    """The chart."""

    tested: str
    rows: tuple[MapRow, ...]
    heads: tuple[tuple[float, int], ...]
    better: str
    """All cells of pairs whose row is better, as one path; so are the next two."""
    worse: str
    alike: str
    left_out: int
    """Ranked rows beyond the first ones."""
    left: float = _LEFT

    @property
    def width(self) -> float:
        """Of the picture; that of other charts where the map is smaller."""
        return max(640.0, _LEFT + _CELL * len(self.rows) + 8)

    @property
    def bottom(self) -> float:
        """Where the map ends."""
        return _TOP + _CELL * len(self.rows)

    @property
    def height(self) -> float:
        """Of the picture."""
        return self.bottom + 30


def significance_map(board: Board, sure: Uncertainty) -> SignificanceMap | None:
    """Return the tests of a board's first ranked rows against each other; None where there are none.

    Args:
        board: the board.
        sure: what is known of it.
    """
    if sure.pairs is None or len(board.ranked) < 2:
        return None
    shown = board.ranked[:MOST]
    paths: dict[int, list[str]] = {1: [], -1: [], 0: []}
    rows = []
    for i, row in enumerate(shown):
        verdicts = sure.pairs.better[i][: len(shown)]
        for j, verdict in enumerate(verdicts):
            if i != j:
                paths[verdict].append(_mark(verdict, _LEFT + _CELL * j, _TOP + _CELL * i))
        rows.append(
            MapRow(
                i + 1,
                shown_name(row),
                shortened(shown_name(row), _LEFT - 56),
                _TOP + _CELL * (i + 0.5),
                verdicts.count(1),
                verdicts.count(-1),
                tuple(j + 1 for j, verdict in enumerate(verdicts) if not verdict and i != j),
            )
        )
    named = [j for j in range(len(shown)) if len(shown) < 10 or not j or (j + 1) % 5 == 0]  # two digits fill a cell
    heads = tuple((_LEFT + _CELL * (j + 0.5), j + 1) for j in named)
    better, worse, alike = ("".join(paths[verdict]) for verdict in (1, -1, 0))
    return SignificanceMap(sure.tested, tuple(rows), heads, better, worse, alike, len(board.ranked) - len(shown))


def _mark(verdict: int, x: int, y: int) -> str:
    if verdict == 1:
        return f"M{x + 1},{y + 1}h{_CELL - 2}v{_CELL - 2}h{2 - _CELL}z"
    if verdict == -1:
        return f"M{x + 2.5},{y + 2.5}h{_CELL - 5}v{_CELL - 5}h{5 - _CELL}z"
    return f"M{x + _CELL // 2},{y + _CELL // 2}h0"
