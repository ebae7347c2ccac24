"""What the page of opinions shows: means and strengths with how sure they are, best first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluator.ranking import Board
from evaluator.results import MeanOpinion, Opinions, Strength

WIDTH = 160
"""Of a drawn interval, in pixels."""
_EDGE = 6
_NORMAL = 1.96
"""Standard errors to either side of a 95 % interval."""


@dataclass(frozen=True)
class Bar:
    """An interval as drawn: places from 0 to `WIDTH`."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class OpinionsView:
    """What is shown."""

    record: Opinions
    means: tuple[tuple[MeanOpinion, Bar], ...]
    strengths: tuple[tuple[Strength, Bar], ...]
    methods: Mapping[str, str]
    """Submission → its method, of those that the board has."""
    width: int = WIDTH


def opinions_view(record: Opinions, board: Board) -> OpinionsView:
    """Return what is shown of opinions, beside the board that they are of."""
    means = sorted(record.ratings.submissions, key=lambda m: (-m.mos, m.submission)) if record.ratings else []
    strengths = sorted(record.choices.submissions, key=lambda s: (-s.strength, s.submission)) if record.choices else []
    scale = record.ratings.scale if record.ratings else (0.0, 1.0)
    reach = [abs(s.strength) + _NORMAL * s.error for s in strengths]
    both = (-max(reach, default=1.0), max(reach, default=1.0))
    return OpinionsView(
        record,
        tuple(
            (m, _bar(m.mos if m.low is None else m.low, m.mos, m.mos if m.high is None else m.high, scale))
            for m in means
        ),
        tuple(
            (s, _bar(s.strength - _NORMAL * s.error, s.strength, s.strength + _NORMAL * s.error, both))
            for s in strengths
        ),
        {row.submission: row.card.submission.method or row.submission for row in board.rows},
    )


def _bar(low: float, value: float, high: float, scale: tuple[float, float]) -> Bar:
    span = scale[1] - scale[0] or 1.0

    def place(number: float) -> float:
        share = min(max((number - scale[0]) / span, 0.0), 1.0)
        return round(_EDGE + share * (WIDTH - 2 * _EDGE), 1)

    return Bar(place(low), place(value), place(high))
