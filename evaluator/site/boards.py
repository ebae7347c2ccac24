"""What the page of a task shows, and the pages of its tracks: the table, how sure it is, charts, reported numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluator.ranking import Agreement, Board, Row, Sensitivity, Uncertainty, rank
from evaluator.ranking.percase import per_case
from evaluator.ranking.sensitivity import sensitivity_of
from evaluator.ranking.uncertainty import uncertainty_of
from evaluator.results import CaseRow, Store
from evaluator.site.matrix import SignificanceMap, significance_map
from evaluator.site.reported import Reported, reported
from evaluator.site.strips import Strips, strips
from evaluator.site.tradeoff import Plot, planes, plots


@dataclass(frozen=True)
class Place:
    """One of the rankings of a task, as a link from another of them."""

    title: str
    href: str
    current: bool


@dataclass(frozen=True)
class BoardView:
    """Everything on a page beside the board itself."""

    up: str
    """The way from the page to the folder of the task and split."""
    places: tuple[Place, ...]
    """The task's rankings: the main one, then its tracks; none where there is only one."""
    sure: Uncertainty
    beside: Sensitivity | None
    """None where fewer than two rows have a rank."""
    bands: Mapping[str, str]
    """Submission → where it stands in a group of several that cannot be told apart: `top`, `middle` or `bottom`."""
    kinds: Mapping[str, int]
    """Kinds of rows that can be left out of the table, and how many there are of each."""
    plots: tuple[Plot, ...]
    planes: tuple[Plot, ...]
    strips: Strips | None
    matrix: SignificanceMap | None
    reported: Reported | None

    @property
    def bracketed(self) -> bool:
        """Whether the table has intervals."""
        return bool(self.sure.rows)

    def groups(self) -> list[str]:
        """Return the groups of several rows, each as its names."""
        return [", ".join(group) for group in self.sure.groups if len(group) > 1]

    def is_new(self, other: Agreement) -> bool:
        """Tell whether none of those who are first on the board is first in another ranking."""
        return self.beside is not None and not set(self.beside.first) & set(other.first)

    def changes(self) -> str:
        """Return a sentence: how many other rankings have another winner."""
        if self.beside is None:
            return ""
        others = [other for other in (*self.beside.metrics, *self.beside.aggregations) if other.first]
        first, own = ", ".join(self.beside.first), set(self.beside.first)
        changed = sum(map(self.is_new, others))
        shared = sum(bool(own & set(other.first)) and own != set(other.first) for other in others)
        if not changed and not shared:
            return f"{first} is first in all {len(others)} other rankings, too."
        parts = [f"in {changed} of {len(others)} other rankings another than {first} is first"] if changed else []
        parts += [f"in {shared} of {len(others)} the first place is shared otherwise"] if shared else []
        sentence = "; ".join(parts)
        return f"{sentence[0].upper()}{sentence[1:]}."


def tracks(store: Store, board: Board) -> list[Board]:
    """Return the boards of a task's tracks, of the same scorecards as its main one.

    Args:
        store: the results, for what people said.
        board: the main one.
    """
    spec = board.task.spec
    opinions = store.read_opinions(board.task.id, board.split) if spec.tracks else None
    cards = [row.card for row in board.rows]
    costs = {row.submission: row.cost for row in board.rows if row.cost}
    return [rank(board.task, board.split, cards, costs, opinions, track=track.id) for track in spec.tracks]


def board_view(board: Board, cases: Mapping[str, Sequence[CaseRow]], main: Board) -> BoardView:
    """Return what a page shows beside a board.

    Charts that do not depend on the rule are on the main page only, unless a track is led by another metric.

    Args:
        board: the board, the main one or that of a track.
        cases: the per-case table of each row, by submission.
        main: the task's main board.

    Raises:
        EvaluatorError: the per-case tables do not fit the board.
    """
    joined = per_case(board, cases)
    sure = uncertainty_of(joined)
    is_main = board.track is None
    own_charts = is_main or board.lead_metric != main.lead_metric
    return BoardView(
        up="" if is_main else "../../",
        places=_places(board),
        sure=sure,
        beside=sensitivity_of(joined) if len(board.ranked) > 1 else None,
        bands=_bands(sure),
        kinds=_kinds(board),
        plots=tuple(plots(board)) if own_charts else (),
        planes=tuple(planes(board)) if own_charts else (),
        strips=strips(joined) if own_charts else None,
        matrix=significance_map(board, sure),
        reported=reported(board.task.id, board.split) if is_main else None,
    )


def kinds_of(row: Row) -> list[str]:
    """Return the kinds of a row: `baseline`, `unranked`, `reported` (a number of it rests on what its team said)."""
    found = {
        "baseline": row.card.submission.baseline,
        "unranked": row.rank is None,
        "reported": any(cell.reported and cell.value is not None for cell in row.cells.values()),
    }
    return [kind for kind, is_so in found.items() if is_so]


def _kinds(board: Board) -> dict[str, int]:
    all_kinds = [kind for row in board.rows for kind in kinds_of(row)]
    counts = {kind: all_kinds.count(kind) for kind in ("baseline", "unranked", "reported")}
    return {kind: count for kind, count in counts.items() if 0 < count < len(board.rows)}


def _places(board: Board) -> tuple[Place, ...]:
    named = board.task.spec.tracks
    if not named:
        return ()
    main = Place("Main ranking", "index.html" if board.track is None else "../../index.html", board.track is None)
    before = "track/" if board.track is None else "../"
    return main, *(Place(t.title, f"{before}{t.id}/index.html", t.id == board.track) for t in named)


def _bands(sure: Uncertainty) -> dict[str, str]:
    found: dict[str, str] = {}
    for group in sure.groups:
        if len(group) > 1:
            found |= dict.fromkeys(group, "middle") | {group[0]: "top", group[-1]: "bottom"}
    return found
