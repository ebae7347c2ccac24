"""The pages beside those of boards and submissions: on the numbers, on papers, on other libraries; moves, opinions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluator import metrics
from evaluator.ranking import Board
from evaluator.results import Conformance, Store
from evaluator.site.about import about_view
from evaluator.site.asked import opinions_view
from evaluator.site.moved import moves_view
from evaluator.site.published import paper_views


@dataclass(frozen=True)
class Page:
    """A page that is to be written."""

    path: str
    """Relative to the site."""
    template: str
    title: str
    says: str
    """What is on it, in a sentence."""
    values: dict[str, Any]

    @property
    def root(self) -> str:
        """The way from the page to the site's root."""
        return "../" * self.path.count("/")


def site_pages(store: Store, boards: Sequence[Board]) -> list[Page]:
    """Return the pages that are of no task.

    Raises:
        EvaluatorError: the record of conformance is damaged.
    """
    cards = [row.card for board in boards for row in board.rows if not row.stale]
    pages = [
        Page(
            "about.html",
            "about.html",
            "About the numbers",
            "What every metric here is, what becomes of missing and identical cases, how intervals are made.",
            {"about": about_view(boards)},
        ),
        Page(
            "published.html",
            "published.html",
            "Reported against measured",
            "What papers report, as printed, with what is doubtful in it, and beside it what was measured here.",
            {"papers": paper_views(cards)},
        ),
    ]
    record = store.read_conformance()
    if record is not None:
        pages.append(
            Page(
                "conformance.html",
                "conformance.html",
                "Conformance",
                "Our metrics beside those of other libraries, on the same photographs.",
                {"record": record, "counts": _counts(record), "outdated": _outdated(record)},
            )
        )
    return pages


def board_pages(store: Store, board: Board) -> list[Page]:
    """Return the pages that stand beside a board's.

    Raises:
        EvaluatorError: a record is damaged.
    """
    folder = f"{board.task.id}/{board.split}"
    pages = []
    moves = store.read_moves(board.task.id, board.split)
    if moves is not None:
        says = "Ranks and numbers before and after scorecards were scored again by new rules."
        values = {"board": board, "moves": moves_view(moves, board)}
        pages.append(Page(f"{folder}/moves.html", "moves.html", "Who moved", says, values))
    opinions = store.read_opinions(board.task.id, board.split)
    if opinions is not None:
        says = "Mean opinion scores and choices between two, with how sure they are."
        values = {"board": board, "view": opinions_view(opinions, board)}
        pages.append(Page(f"{folder}/opinions.html", "opinions.html", "What people said", says, values))
    return pages


def _counts(record: Conformance) -> dict[str, int]:
    verdicts = [c.verdict for c in record.comparisons]
    return {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}


def _outdated(record: Conformance) -> dict[str, int]:
    """Return the metrics that are of another version now than they were, with that of now; 0: there is none."""
    now = {
        m: metrics.get(m).contract.version if m in metrics.ids() else 0 for m in {c.metric for c in record.comparisons}
    }
    return {c.metric: now[c.metric] for c in record.comparisons if now[c.metric] != c.version}
