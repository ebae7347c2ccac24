"""A board as a table of texts, and the formats that it is written in: CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluator.ranking.board import Board, Row
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.sensitivity import Sensitivity
from evaluator.ranking.uncertainty import LEVEL, Uncertainty
from evaluator.text import harmless, safe

IDENTICAL, REPORTED = "*", "†"


@dataclass(frozen=True)
class TableRow:
    """A row of texts."""

    cells: tuple[str, ...]
    marks: tuple[str, ...]
    """What follows each cell where people read: `*`, `†`, or nothing; see the notes."""
    remark: str = ""
    """What the marks and a missing rank mean, in words; a column of its own where there are no notes."""


@dataclass(frozen=True)
class Table:
    """A table of texts with a title and notes; what came from others is in it as it came."""

    title: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    """Whether a column holds numbers, and is aligned to the right."""
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()

    def texts(self) -> list[list[str]]:
        """Return the cells with their marks."""
        return [[cell + mark for cell, mark in zip(row.cells, row.marks, strict=True)] for row in self.rows]

    def csv(self) -> str:
        """Return the table as CSV text: bare numbers, remarks in a last column, no cell that is taken for a formula."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([safe(head) for head in (*self.heads, "remark")])
        for row in self.rows:
            cells = zip((*row.cells, row.remark), (*self.numeric, False), strict=True)
            writer.writerow([safe(c) if numeric and _is_number(c) else harmless(safe(c)) for c, numeric in cells])
        return text.getvalue()

    def markdown(self) -> str:
        """Return the table as Markdown (GitHub's tables), title above, notes below."""
        heads = [markdown_text(head) for head in self.heads]
        rows = ([markdown_text(cell) for cell in row] for row in self.texts())
        lines = [f"**{markdown_text(self.title)}**", "", *markdown_lines(heads, rows, self.numeric)]
        return "\n".join(lines + [line for note in self.notes for line in ("", markdown_text(note))]) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX, for the package booktabs; letters beyond Latin ones need XeLaTeX or LuaLaTeX."""
        align = "".join("r" if numeric else "l" for numeric in self.numeric)
        lines = [
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            f"\\caption{{{latex_text(self.title)}}}",
            f"\\begin{{tabular}}{{{align}}}",
            "\\toprule",
            _latex_row(self.heads),
            "\\midrule",
            *map(_latex_row, self.texts()),
            "\\bottomrule",
            "\\end{tabular}",
            *(f"\\par {latex_text(note)}" for note in self.notes),
            "\\end{table}",
        ]
        return "\n".join(lines) + "\n"


def board_table(board: Board, sure: Uncertainty | None = None, beside: Sensitivity | None = None) -> Table:
    """Return a board as a table.

    Args:
        board: the board.
        sure: adds intervals of the rank and of what the rule ranks by, and the groups below.
        beside: adds notes on other rankings.
    """
    shown = [name for name in board.rule.by if sure and any(name in row.spans for row in sure.rows)]
    of_teams = [row.card.submission for row in board.rows if not row.card.submission.baseline]
    who = [field for field in ("team", "method") if any(getattr(info, field) for info in of_teams)]
    heads = ["rank", *([f"rank {_PERCENT}"] if sure else []), "submission", *who]
    numeric = [False] * len(heads)
    for column in board.columns:
        heads += [f"{column.head} {column.arrow}"] + [f"{column.head} {_PERCENT}"] * (column.id in shown)
        numeric += [True] * (1 + (column.id in shown))
    rows = tuple(_row(row, board.columns, who, shown, sure) for row in board.rows)
    title = f"{board.title} · {board.task.id}/{board.split}"
    return Table(title, tuple(heads), tuple(numeric), rows, tuple(_notes(board, sure, beside)))


_PERCENT = f"{LEVEL * 100:g} %"


def _row(
    row: Row, columns: Iterable[Column], who: Sequence[str], shown: Sequence[str], sure: Uncertainty | None
) -> TableRow:
    info, known = row.card.submission, sure.row(row.submission) if sure else None
    cells = [row.rank_text, *([known.rank_text if known else "–"] if sure else [])]
    cells += [row.submission + (" (baseline)" if info.baseline else ""), *(getattr(info, f) or "–" for f in who)]
    marks = [""] * len(cells)
    remarks = [f"no rank: {row.reason}"] if row.reason else []
    for column in columns:
        cell = row.cells[column.id]
        cells.append(cell.text(column))
        marks.append(_marks(cell))
        if cell.value is not None and cell.infinite:
            remarks.append(f"{column.id}: {cell.infinite} identical cases are left out")
        if cell.value is not None and cell.reported:
            remarks.append(f"{column.id}: uses a runtime ratio that the team reported")
        if column.id in shown:
            span = known.spans.get(column.id) if known else None
            cells.append(f"[{column.number(span.low)}, {column.number(span.high)}]" if span else "–")
            marks.append("")
    return TableRow(tuple(cells), tuple(marks), "; ".join(remarks))


def _marks(cell: Cell) -> str:
    if cell.value is None:
        return ""
    return IDENTICAL * bool(cell.infinite) + REPORTED * cell.reported


def _notes(board: Board, sure: Uncertainty | None, beside: Sensitivity | None) -> list[str]:
    """Return the lines below a board: the rule, what marks mean, why rows have no rank, how sure it is."""
    lines = [" ".join(board.sentences())]
    if board.infinite_cases():
        lines.append(f"{IDENTICAL} {board.infinite_cases()}")
    if board.uses_reported():
        lines.append(f"{REPORTED} Uses a runtime ratio that the team reported; it was not measured here.")
    lines += board.cost_notes()
    lines += [f"{row.submission} has no rank: {row.reason}." for row in board.rows if row.reason]
    lines += [board.missing_scores()] if board.missing_scores() else []
    if sure:
        together = [f"({', '.join(group)})" for group in sure.groups if len(group) > 1]
        lines += [f"Not told apart: {'; '.join(together)}."] if together else []
        lines += sure.notes
    return lines + (beside.sentences() if beside else [])


def markdown_lines(heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Return the lines of a Markdown table of cells that are Markdown already; see `markdown_text`."""
    rule = "".join("---:|" if right else "---|" for right in numeric)
    return [f"| {' | '.join(heads)} |", f"|{rule}", *(f"| {' | '.join(row)} |" for row in rows)]


def markdown_text(text: str) -> str:
    """Return text as Markdown that shows it, in one line: no markup, no cell's end, no link made of an address."""
    escaped = re.sub(r"([\\`*_\[\]<>|~&$!#])", r"\\\1", safe(text))
    escaped = re.sub(r"\b(www)\.", r"\1\\.", escaped, flags=re.IGNORECASE)
    return escaped.replace("://", "\\://").replace("@", "\\@")


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "*": "{*}",  # after the end of a row, * and [ would belong to it
    "[": "{[}",
    "]": "{]}",
    "–": r"\textendash{}",
    "†": r"\textdagger{}",
    "·": r"\textperiodcentered{}",
    "×": r"$\times$",
    "−": "$-$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "τ": r"$\tau$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "\0": "{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}


def latex_text(text: str) -> str:
    """Return text as LaTeX that shows it, in one line."""
    shown = re.sub(r"([-',])(?=\1)", r"\1\0", safe(text))  # two of them in a row would become another sign
    return "".join(_LATEX.get(character, character) for character in shown)


def _latex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(map(latex_text, cells))} \\\\"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
