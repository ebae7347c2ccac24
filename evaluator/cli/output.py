"""What the verbs print with: tables and JSON on standard output, messages and progress on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from evaluator.text import safe

if TYPE_CHECKING:
    from evaluator.findings import Finding
    from evaluator.ranking import Board, Table

_FILES_LISTED = 8
_LOG_EVERY_S = 10.0


def say(text: str) -> None:
    """Print a message for people to standard error."""
    click.echo(safe(text), err=True)


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print one JSON value to standard output, in ASCII: no name can steer the terminal or break its encoding."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, text: Collection[int] = (0,), title: str = ""
) -> None:
    """Print a table to standard output.

    Args:
        header: the columns' heads.
        rows: the cells.
        text: the columns that hold text, by number; the others hold numbers and are aligned to the right.
        title: a line above.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A table is never cut or folded to a width: a number broken over two lines is worse than a long line.
    console = Console(highlight=False, width=10_000)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, head in enumerate(header):
        table.add_column(Text(head), justify="left" if number in text else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    if title:
        console.print(Text(safe(title)), style="bold")
    console.print(table)


def print_findings(findings: Sequence[Finding], *, rest: str = "--format json lists all") -> None:
    """Print findings to standard error: one line a kind, with the files it was found in; `rest` says where all are."""
    groups: dict[tuple[str, str, str, str, str], list[str]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.code, finding.expected, finding.got, finding.fix), []).append(
            finding.file
        )
    # Missing files differ only in the case's name: one line for all of them.
    merged: dict[tuple[str, str], list[tuple[tuple[str, str, str, str, str], list[str]]]] = {}
    for key, files in groups.items():
        merged.setdefault(key[:2], []).append((key, files))
    for (severity, code), members in merged.items():
        for (_, _, expected, got, fix), files in members[:_FILES_LISTED]:
            say(f"  {severity} [{code}] {_some(files, rest)}: expected {expected}; got {got}. {fix}")
        hidden = members[_FILES_LISTED:]
        if hidden:
            names = [name for _, files in hidden for name in files]
            say(f"  {severity} [{code}] {_some(names, rest)}: more of this kind")


def _some(files: Sequence[str], rest: str) -> str:
    more = len(files) - _FILES_LISTED
    return ", ".join(files[:_FILES_LISTED]) + (f" and {more} more ({rest})" if more > 0 else "")


def print_board(board: Board) -> None:
    """Print a ranked board, with the rule below it."""
    from evaluator.ranking import board_table

    print_whole(board_table(board))


def print_whole(table: Table) -> None:
    """Print a table with its title and notes."""
    text = [number for number, numeric in enumerate(table.numeric) if not numeric]
    print_table(table.heads, table.texts(), text=text, title=table.title)
    for note in table.notes:
        click.echo(safe(note))


class RunProgress:
    """A progress bar on a terminal, a plain line now and then in a log; on standard error."""

    def __init__(self, label: str, unit: str = "case scores") -> None:
        self._label, self._unit = label, unit
        self._bar: Any = None
        self._total = self._done = self._resumed = 0
        self._begun = self._last = 0.0

    def begin(self, total: int, resumed: int) -> None:
        """See `evaluator.scoring.Progress`."""
        self._total, self._done, self._resumed = total, resumed, resumed
        self._begun = self._last = time.monotonic()
        if resumed:
            say(f"{self._label}: going on with {resumed} of {total} {self._unit} from a run that was stopped.")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._bar.add_task(self._label, total=total, completed=resumed)

    def advance(self, count: int) -> None:
        """See `evaluator.scoring.Progress`."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif time.monotonic() - self._last > _LOG_EVERY_S:
            self._last = time.monotonic()
            say(f"{self._label}: {self._done} of {self._total} {self._unit}, {self._left()} left")

    def _left(self) -> str:
        """Return the time that the rest takes at the pace so far, as h:mm:ss."""
        done = max(self._done - self._resumed, 1)
        return str(timedelta(seconds=round((self._last - self._begun) / done * (self._total - self._done))))

    def end(self) -> None:
        """See `evaluator.scoring.Progress`."""
        if self._bar is not None:
            self._bar.stop()
