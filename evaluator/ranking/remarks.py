"""What an audit of published tables has to say about one row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from evaluator.results.published import Entry, Interval


class Verdict(StrEnum):
    """How a printed number stands to what it should be."""

    AGREES = "agrees"
    CLOSE = "close"
    """Within 1 %, or digits were cut off instead of rounded."""
    EXPLAINED = "explained"
    """It agrees only if it is read otherwise than the table says."""
    CONTRADICTS = "contradicts"


@dataclass(frozen=True)
class Remark:
    """One check of one row (or of a whole column, where `row` is None)."""

    check: str
    table: str
    row: int | None
    label: str
    columns: tuple[str, ...]
    printed: str
    expected: Interval | None
    """In the scale of the printed number; None where a range says nothing."""
    verdict: Verdict
    reason: str

    @property
    def expected_text(self) -> str:
        """The expected range in four digits."""
        if self.expected is None:
            return ""
        low, high = (_digits(number) for number in (self.expected.low, self.expected.high))
        return low if low == high else f"{low}–{high}"

    def to_json(self) -> dict[str, Any]:
        """Return the remark as plain data."""
        return {
            "check": self.check,
            "table": self.table,
            "row": self.row,
            "label": self.label,
            "columns": list(self.columns),
            "printed": self.printed,
            "expected": None if self.expected is None else [self.expected.low, self.expected.high],
            "verdict": self.verdict.value,
            "reason": self.reason,
        }


def _digits(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def remark(check: str, entry: Entry, expected: Interval, verdict: Verdict, reason: str, *others: Entry) -> Remark:
    """Return a remark on a cell, `expected` in the cell's unit; it rests on `others` of its row, too."""
    cells = (*others, entry)
    return Remark(
        check=check,
        table=entry.table,
        row=entry.row,
        label=entry.label,
        columns=tuple(cell.column for cell in cells),
        printed=", ".join(cell.printed.text for cell in cells),
        expected=expected.times(1 / entry.scale),
        verdict=verdict,
        reason=reason,
    )


def compare(entry: Entry, expected: Interval) -> Verdict:
    """Say how a printed number stands to the range that it should lie in, both with their roundings."""
    if entry.printed.rounded.overlaps(expected):
        return Verdict.AGREES
    return Verdict.CLOSE if entry.printed.cut.overlaps(expected) else Verdict.CONTRADICTS


CUT = "Digits were cut off instead of rounded."
