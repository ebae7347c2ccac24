"""What the verbs print with: tables and JSON on standard output, messages and progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from evaluator.text import safe

if TYPE_CHECKING:
    from evaluator.findings import Finding
    from evaluator.ranking import Board, Table

_FILES_LISTED = 8


_log: dict[str, str] = {"format": "text"}


def log_as(format_: str) -> None:
    """Say what messages are written as from now on: `text`, or `json`, one object a line."""
    _log["format"] = format_


def logs_json() -> bool:
    """Tell whether messages are written as JSON."""
    return _log["format"] == "json"


def say(text: str) -> None:
    """Print a message for people to standard error."""
    if logs_json():
        log("message", message=text)
    else:
        click.echo(safe(text), err=True)


def log(event: str, **facts: object) -> None:
    """Print what happened to standard error as one line of JSON, with the time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    click.echo(json.dumps({"time": now, "event": event, **facts}, allow_nan=False), err=True)


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
