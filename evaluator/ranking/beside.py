"""Reported beside measured: where a method of a published table has a scorecard on the same task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evaluator import metrics
from evaluator.results import PublishedTable, Scorecard
from evaluator.results.published import CellState, Entry


class Kind(StrEnum):
    """How a measured number stands to a printed one."""

    AGREES = "agrees"
    """In the printed digits."""
    DIFFERS = "differs"
    OTHER_IMAGES = "other images"
    """Measured on another set than the paper's: a difference says nothing of either."""


@dataclass(frozen=True)
class Pair:
    """A printed number and the one that the harness measured for the same method, metric and task."""

    entry: Entry
    card: Scorecard
    measured: float
    """In the scale of the printed number."""
    kind: Kind
    reason: str
    """What the difference is likely to come from."""

    @property
    def decimals(self) -> int:
        """As many as are printed."""
        return len(self.entry.printed.text.partition(".")[2])

    @property
    def difference(self) -> float:
        """Measured less reported, in the scale of the printed number."""
        return self.measured - (self.entry.printed.value or 0.0) / self.entry.scale


def beside(tables: Iterable[PublishedTable], cards: Sequence[Scorecard]) -> Iterator[Pair]:
    """Yield every printed number for which there is a measured one, in the order of tables, rows and cards.

    A row is matched by its method's id, which is the id of the submission or baseline, and by the task; a number by
    the id of its metric. Nothing is matched where the paper's variant of a metric is not known.
    """
    for table in tables:
        for entry in table.entries():
            if entry.printed.state is not CellState.NUMBER or entry.metric is None or entry.method is None:
                continue
            for card in cards:
                if (card.task, card.submission.id) != (entry.task, entry.method):
                    continue
                result = card.metrics.get(entry.metric)
                if result is not None and result.value is not None:
                    value = result.value / entry.scale
                    yield Pair(entry, card, value, *_why(entry, card, result.value))


def _why(entry: Entry, card: Scorecard, value: float) -> tuple[Kind, str]:
    printed = entry.printed.rounded
    if card.split != entry.split:
        there = f"on the {entry.split} set" if entry.split else "on a set that the paper does not name"
        measured = f"{card.task}/{card.split} ({card.dataset.cases} cases)"
        return Kind.OTHER_IMAGES, f"Other images: measured on {measured}, reported {there}."
    if printed.low <= value <= printed.high:
        return Kind.AGREES, "The printed digits agree."
    if entry.method == "identity":
        why = "The input itself, on the same images: the paper's variant of the metric, or its decoding, is another."
        return Kind.DIFFERS, why
    contract = metrics.get(entry.metric or "").contract
    return Kind.DIFFERS, (
        f"The same images by {contract.id}: another implementation, other parameters or weights of the method, or "
        "outputs rounded at another place."
    )
