"""Published tables: what papers print, cell by cell. Reported numbers, never mixed with measured ones.

A table is a TOML file whose cells are kept as they are printed; what a cell says (a number with its printed precision,
or one of the states of `CellState`) is read from its text and from what its column or row holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from evaluator.findings import EvaluatorError
from evaluator.shipped import shipped_folder
from evaluator.typed_toml import Model, parse_toml

PAPERS = "papers.toml"

Quantity = Literal[
    "label",
    "text",
    "setting",
    "flag",
    "size",
    "psnr",
    "ssim",
    "ssim_difference",
    "ms_ssim",
    "lpips",
    "niqe",
    "mae",
    "rmse_rel",
    "map",
    "mos",
    "parameters",
    "macs",
    "flops",
    "time",
    "memory",
    "ai_score",
]
"""What a column or a row holds. A `setting` is a number where it reads as one, else text."""

Convention = Literal["macs", "flops", "half_macs", "mixed"]
"""What a count of operations counts, where it can be shown: multiply-accumulates, operations (two of them each), half
the multiply-accumulates (a mistake), or not the same in every row."""

_WORDS = ("label", "text")
_NAMING = ("label", "text", "setting", "flag", "size")
_NUMBER = re.compile(r"(?P<bound>≤ ?)?(?P<digits>-?\d+(\.\d+)?)", re.ASCII)
_FLAGS = {"✓": "yes", "×": "no"}
_MARKS = {"n/a": "n/a", "-": "none", "×": "failed"}


class CellState(StrEnum):
    """What a printed cell says."""

    NUMBER = "number"
    AT_MOST = "at_most"
    """`≤`: a bound, not a value."""
    NOT_AVAILABLE = "n/a"
    NONE = "none"
    """A dash: the paper gives no value."""
    FAILED = "failed"
    """`×` in a column of numbers: the run failed."""
    YES = "yes"
    NO = "no"
    MERGED = "merged"
    """Empty: one cell stands for all rows of the method; it is printed in another of them."""
    SIZE = "size"
    TEXT = "text"


@dataclass(frozen=True)
class Interval:
    """A closed range of numbers."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Tell whether the two have a number in common; touching counts, up to the last bits of a float."""
        slack = 1e-12 * max(abs(self.low), abs(self.high), abs(other.low), abs(other.high))
        return self.low <= other.high + slack and other.low <= self.high + slack

    def times(self, factor: float) -> Interval:
        """Return the range with both ends multiplied by a positive factor."""
        return Interval(self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Printed:
    """A cell as it is printed, and what it says."""

    text: str
    state: CellState
    value: float | None = None
    """In the unit that the column names, its scale applied."""
    step: float = 0.0
    """One unit of the last printed digit."""
    size: tuple[int, int] | None = None
    """Width and height."""

    @property
    def rounded(self) -> Interval:
        """The numbers that print as this one when rounded.

        Raises:
            ValueError: it is no number.
        """
        return Interval(self._number - self.step / 2, self._number + self.step / 2)

    @property
    def cut(self) -> Interval:
        """The numbers that print as this one when further digits are cut off.

        Raises:
            ValueError: it is no number.
        """
        return Interval(self._number, self._number + self.step)

    @property
    def _number(self) -> float:
        if self.state is not CellState.NUMBER or self.value is None:
            raise ValueError(f"{self.text!r} is no number")
        return self.value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Paper(_Strict):
    """A paper whose tables are here."""

    title: str
    authors: str
    venue: str
    year: int
    tables: int
    """How many tables of numbers it has: all of them are here."""


class Measured(_Strict):
    """What the cells of a column (or of a row, where methods stand in columns) hold."""

    quantity: Quantity | None = None
    metric: str | None = None
    """The harness's id of the metric, where it is known which variant the paper used."""
    unit: str = ""
    scale: float = 1.0
    """A printed number times this is in `unit`."""
    direction: Literal["higher", "lower"] | None = None
    convention: Convention | None = None
    counter: str | None = None
    """The counter of `counts.toml` that gives the printed counts, where one does."""
    size: tuple[int, int] | None = None
    """Width and height of the image that a count of operations is for, where no column says it."""
    task: str | None = None
    split: str | None = None
    on: str | None = None
    """The machine that times were taken on."""
    against: str | None = None
    """The method that differences are to."""


class Column(Measured):
    """A column of a table."""

    id: str
    title: str
    """As printed, with arrows and units."""
    group: tuple[str, ...] = ()
    """Heads printed above it, over several columns; the outermost first."""
    method: str | None = None
    """Where methods stand in columns: whose numbers these are."""
    merged: bool = False
    """Whether one cell stands for all rows of a method."""


class Row(Measured):
    """A row of a table, its cells as printed, in the order of the columns."""

    cells: tuple[str, ...]
    method: str | None = None
    """An id of the method, the same in every table and in the harness's own leaderboards."""
    note: str = ""


class Footnote(_Strict):
    """A note of a table, word for word; `mark` is the sign that refers to it, if it has one."""

    text: str
    mark: str = ""


class Damage(_Strict):
    """A place where the text of the paper at hand is damaged, and what was read there."""

    found: str
    read: str
    why: str


@dataclass(frozen=True)
class Entry:
    """A cell with everything that its table says about it."""

    table: str
    row: int
    """Its row's number, from 0."""
    label: str
    column: str
    printed: Printed
    quantity: Quantity
    method: str | None
    task: str | None
    split: str | None
    title: str
    """The head of its column, or of its row where methods stand in columns, as printed."""
    unit: str
    scale: float
    metric: str | None
    direction: Literal["higher", "lower"] | None
    convention: str | None
    counter: str | None
    size: tuple[int, int] | None
    on: str | None
    against: str | None

    @property
    def paper(self) -> str:
        """The id of its paper."""
        return self.table.partition("/")[0]


class PublishedTable(_Strict):
    """A table of a paper."""

    paper: str
    number: int
    title: str
    """What it shows, in our words."""
    task: str | None = None
    split: str | None = None
    notes: tuple[str, ...] = ()
    """What one should know to read it, in our words."""
    sizes: dict[str, tuple[int, int]] = {}
    """What the names of image sizes mean: width and height."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[Footnote, ...] = ()
    damage: tuple[Damage, ...] = ()

    @property
    def id(self) -> str:
        """`<paper>/<number>`."""
        return f"{self.paper}/{self.number}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [c.id for c in self.columns]
        if len(set(ids)) != len(ids):
            raise ValueError("two columns have the same id")
        if not self.columns or self.columns[0].quantity != "label":
            raise ValueError("the first column must hold labels")
        for column in self.columns:
            arrow = {"higher": "↑", "lower": "↓", None: ""}[column.direction]
            other = {"↑", "↓"} - {arrow}
            if any(sign in column.title for sign in other):
                raise ValueError(f"the arrow of {column.title!r} is not the direction of column {column.id}")
        for number, row in enumerate(self.rows):
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"row {row.cells[:1]} has {len(row.cells)} cells; there are {len(self.columns)} columns"
                )
            for column, text in zip(self.columns, row.cells, strict=True):
                if (column.quantity is None) == (row.quantity is None) and column.quantity != "label":
                    raise ValueError(f"either column {column.id} or row {number} must say what its numbers are")
                self._read(row, column, text)
        return self

    def _read(self, row: Row, column: Column, text: str) -> Printed:
        """Read a cell.

        Raises:
            ValueError: it is nothing that may stand there.
        """
        held = column if column.quantity else row
        if held.quantity in _WORDS:
            return Printed(text, CellState.TEXT)
        if not text and column.merged:
            return Printed(text, CellState.MERGED)
        if held.quantity == "size":
            found = Printed(text, CellState.SIZE, size=self.sizes[text]) if text in self.sizes else None
        elif held.quantity == "flag":
            found = Printed(text, CellState(_FLAGS[text])) if text in _FLAGS else None
        else:
            found = _number_or_mark(text, held.scale)
            if found is None and held.quantity == "setting":
                found = Printed(text, CellState.TEXT)
        if found is None:
            raise ValueError(f"{text!r} may not stand in column {column.id} (row {row.cells[0]!r})")
        return found

    def entries(self) -> Iterator[Entry]:
        """Yield every cell but the labels, row by row."""
        for number, row in enumerate(self.rows):
            sizes = [self.sizes[t] for c, t in zip(self.columns, row.cells, strict=True) if c.quantity == "size"]
            for column, text in zip(self.columns[1:], row.cells[1:], strict=True):
                held = column if column.quantity else row
                assert held.quantity is not None  # noqa: S101 - validated
                convention = row.convention or column.convention if held.quantity in ("macs", "flops") else None
                yield Entry(
                    table=self.id,
                    row=number,
                    label=self.label(number),
                    column=column.id,
                    printed=self._read(row, column, text),
                    quantity=held.quantity,
                    method=column.method or row.method,
                    task=column.task or row.task or self.task,
                    split=column.split or row.split or self.split,
                    title=column.title if column.quantity else row.cells[0],
                    unit=held.unit,
                    scale=held.scale,
                    metric=held.metric,
                    direction=held.direction,
                    convention=None if convention == "mixed" else convention,
                    counter=row.counter or column.counter,
                    size=sizes[0] if sizes else held.size,
                    on=held.on,
                    against=held.against,
                )

    def label(self, number: int) -> str:
        """Return a name for a row: its first cell, with its settings where several rows begin alike."""
        row = self.rows[number]
        if sum(other.cells[0] == row.cells[0] for other in self.rows) == 1:
            return row.cells[0]
        pairs = zip(self.columns, row.cells, strict=True)
        return ", ".join(text for c, text in pairs if c.quantity in _NAMING)


def _number_or_mark(text: str, scale: float) -> Printed | None:
    if text in _MARKS:
        return Printed(text, CellState(_MARKS[text]))
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = Decimal(match["digits"])
    exponent = digits.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - digits are a plain number
    # By way of Decimal, so that 6.39 × 0.01 is 0.0639 and not its neighbour.
    factor = Decimal(repr(scale))
    state = CellState.AT_MOST if match["bound"] else CellState.NUMBER
    return Printed(text, state, float(digits * factor), float(Decimal(10) ** exponent * factor))


def published_folder() -> Path:
    """Return the folder of the published tables."""
    return shipped_folder("_published", "leaderboards/published")


class _Papers(_Strict):
    papers: dict[str, Paper]


@cache
def load_papers(folder: Path | None = None) -> dict[str, Paper]:
    """Return the papers by id.

    Raises:
        EvaluatorError: their file is damaged.
    """
    return read_shipped(_Papers, (folder or published_folder()) / PAPERS).papers


@cache
def load_published(folder: Path | None = None) -> tuple[PublishedTable, ...]:
    """Return all published tables, in the order of the papers and of their numbers.

    Args:
        folder: where they lie; those that ship with the harness if not given.

    Raises:
        EvaluatorError: a file is damaged, or its name is not that of its table.
    """
    where = folder or published_folder()
    papers = list(load_papers(folder))
    tables = []
    for path in where.glob("*-table-*.toml"):
        table = read_shipped(PublishedTable, path)
        if path.name != f"{table.paper}-table-{table.number}.toml" or table.paper not in papers:
            raise EvaluatorError(f"{path} holds table {table.number} of paper {table.paper!r}: its name does not fit.")
        tables.append(table)
    return tuple(sorted(tables, key=lambda t: (papers.index(t.paper), t.number)))


def read_shipped(model: type[Model], path: Path) -> Model:
    """Read a TOML file that ships with the harness.

    Raises:
        EvaluatorError: it is missing or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvaluatorError(f"{path} cannot be read ({error.strerror}). Install the harness again.") from None
    found, findings = parse_toml(model, data, path.name, "published")
    if found is None:
        raise EvaluatorError(f"{path} is damaged: {'; '.join(f.line() for f in findings)}", findings)
    return found
