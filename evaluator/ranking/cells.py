"""The columns and cells of a board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from evaluator.metrics import State


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    id: str
    title: str
    direction: Literal["higher", "lower"]
    unit: str
    decimals: int
    label: str = ""
    """Its head; the id if there is none."""
    scale: float = 1
    """What a value is divided by before it is shown in `unit`."""
    digits: int | None = None
    """Significant digits, in place of `decimals`; for quantities that differ by orders of magnitude."""

    @property
    def arrow(self) -> str:
        """The direction as a sign."""
        return "↑" if self.direction == "higher" else "↓"

    @property
    def head(self) -> str:
        """What stands above it."""
        return self.label or self.id

    def number(self, value: float) -> str:
        """Return a value as it is shown."""
        shown = value / self.scale
        if self.digits is None:
            return f"{shown:.{self.decimals}f}"
        return significant(shown, self.digits)


@dataclass(frozen=True)
class Cell:
    """One number of a row, or the state that stands in its place."""

    state: State
    value: float | None = None
    infinite: int = 0
    """Cases whose score was infinite and left out of the mean."""
    lost: int = 0
    cases: int = 0
    detail: str = ""
    reported: bool = False
    """Whether a number that the team reported went into it."""
    at_least: bool = False
    """Whether it is a lower bound; `detail` says why."""
    sign: str = ""
    """What is shown in place of the state: × where a model failed, – where nothing was measured."""

    def text(self, column: Column) -> str:
        """Return the number with the column's digits, or the state in words."""
        if self.value is None:
            return self.sign or ("∞" if self.state is State.INFINITE else self.state.value.replace("_", " "))
        return ("≥ " if self.at_least else "") + column.number(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return the cell as plain data."""
        values: dict[str, Any] = {"state": self.state.value, "value": self.value, "cases": self.cases}
        optional = {
            "infinite": self.infinite,
            "lost": self.lost,
            "detail": self.detail,
            "reported": self.reported,
            "at_least": self.at_least,
        }
        return values | {name: value for name, value in optional.items() if value}


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, none of them before the point left out: 0.113, 12.3, 20462."""
    if value == 0:
        return "0"
    places = digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(places, 0)}f}"
