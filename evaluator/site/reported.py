"""What papers report for a task: the quality numbers of published tables, as printed, for a table of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from evaluator.results import PublishedTable, load_papers, load_published
from evaluator.results.published import CellState, Entry

_QUANTITIES = ("psnr", "ssim", "ms_ssim", "lpips", "niqe", "mae", "rmse_rel", "map", "mos")
_NAMES = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lpips": "LPIPS", "map": "mAP", "mos": "MOS"}

_WHO = ("method", "team")
"""Columns of labels that say whose numbers a row holds."""


@dataclass(frozen=True)
class ReportedColumn:
    """A kind of number."""

    head: str
    known: bool
    """Whether the harness's variant of the metric is known to be the paper's."""
    scale: float
    """What a printed number is multiplied by, to be in the unit of the metric."""


@dataclass(frozen=True)
class ReportedRow:
    """A method of a table."""

    name: str
    split: str
    """The set that the paper names; empty where it names none."""
    table: str
    paper: str
    number: int
    year: int
    cells: Mapping[ReportedColumn, str]


@dataclass(frozen=True)
class Reported:
    """The table."""

    columns: tuple[ReportedColumn, ...]
    rows: tuple[ReportedRow, ...]


@cache
def reported(task: str, split: str) -> Reported | None:
    """Return what published tables print for a task; None where they print nothing. Rows of the split come first.

    Args:
        task: the task's id.
        split: the split's name.
    """
    rows: list[ReportedRow] = []
    for table in load_published():
        rows += _rows(table, task)
    columns = dict.fromkeys(column for row in rows for column in row.cells)
    ordered = sorted(rows, key=lambda row: row.split != split)
    return Reported(tuple(sorted(columns, key=lambda c: not c.known)), tuple(ordered)) if rows else None


def _rows(table: PublishedTable, task: str) -> list[ReportedRow]:
    columns = {column.id: column for column in table.columns}
    found: dict[tuple[str, str, int], dict[ReportedColumn, str]] = {}
    for entry in table.entries():
        if entry.task != task or entry.quantity not in _QUANTITIES or entry.printed.state is CellState.MERGED:
            continue
        across = columns[entry.column].quantity is None  # methods stand in columns
        name = columns[entry.column].title if across else entry.label
        head = _head(entry)
        if not (across or table.columns[0].id in _WHO) or not any(c.isalpha() for c in name):
            continue  # a row is a setting of one network: no entry that a leaderboard would have
        number = 0
        # A method may have several numbers of a kind, under other settings: each on a line of its own.
        while head in found.get((name, entry.split or "", number), {}):
            number += 1
        found.setdefault((name, entry.split or "", number), {})[head] = entry.printed.text
    year = load_papers()[table.paper].year
    return [
        ReportedRow(name, split, table.id, table.paper, table.number, year, cells)
        for (name, split, _), cells in found.items()
    ]


def _head(entry: Entry) -> ReportedColumn:
    return ReportedColumn(
        entry.metric or _NAMES.get(entry.quantity, entry.quantity), entry.metric is not None, entry.scale
    )
