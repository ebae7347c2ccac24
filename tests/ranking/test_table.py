"""A board as a table: the same cells in every format, and whatever a team calls itself shown as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexMacroNode, LatexNode, LatexSpecialsNode, LatexWalker

from evaluator.metrics import Aggregate, State
from evaluator.ranking import Board, board_table, rank, sensitivity, uncertainty
from evaluator.ranking.table import Table, TableRow
from evaluator.results import CaseRow, Scorecard
from evaluator.tasks import load_task
from evaluator.text import safe
from support import ruled_task

MakeCard = Callable[..., Scorecard]
MakeBoard = Callable[..., tuple[Board, dict[str, list[CaseRow]]]]
FIRST, SECOND = "psnr.f64", "ssim.basicsr"

NASTY = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "a|b\\|c",
    "one\ntwo\r\nthree",
    "\u202eevil\u2066x\u2069\u200f",
    "**bold** _it_ `code` [a](http://x.y) ![i](j) &lt; $x$ ~~s~~",
    "https://evil.example www.evil.example",
    "\\input{/etc/passwd} 100% #1 {x} ^ ~ a--b ---",
    "[2ex] * \\\\",
    "x" * 5000,
    " = 1",
    "Équipe – 图 ∞",
    "\\",
    "`",
)
TEXT = st.sampled_from(NASTY) | st.text(max_size=30) | st.text("\\|`*_[]<>&$#~^{}%-=+@'\"\n\t ", max_size=12)


def table_of(*rows: tuple[str, ...]) -> Table:
    width = len(rows[0])
    return Table(
        rows[0][0],
        rows[0],
        tuple(i == width - 1 for i in range(width)),
        tuple(TableRow(row, ("",) * width, row[0]) for row in rows[1:]),
        (rows[-1][-1],),
    )


TABLES = st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[TEXT] * n), min_size=2, max_size=4))


def folded(text: str) -> str:
    """What Markdown and LaTeX leave of white space."""
    return " ".join(safe(text).split())


def markdown_cells(text: str) -> list[list[str]]:
    """Parse the only table of a document; a cell that is anything but text is an error."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        in_cell = token.type == "inline" and rows and token.level > 3
        if in_cell:
            assert {child.type for child in token.children or []} <= {"text", "text_special"}, token.children
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


@given(TABLES)
def test_markdown_parses_back_to_the_same_cells(rows: list[tuple[str, ...]]) -> None:
    found = markdown_cells(table_of(*rows).markdown())
    assert [[folded(cell) for cell in row] for row in found] == [[folded(cell) for cell in row] for row in rows]


@given(TABLES)
def test_csv_parses_back_to_the_same_cells_and_none_is_a_formula(rows: list[tuple[str, ...]]) -> None:
    found = list(csv.reader(io.StringIO(table_of(*rows).csv(), newline="")))
    assert found[0] == [*map(safe, rows[0]), "remark"]
    for row, cells in zip(rows[1:], found[1:], strict=True):
        assert [cell.removeprefix("'") for cell in cells] == [safe(c) for c in (*row, row[0])]
        for cell in cells:
            assert not cell.startswith(("=", "@", "\t", "\r"))
            assert not cell.startswith(("+", "-")) or float(cell) is not None


def latex_cells(text: str) -> list[list[str]]:
    """Parse the only tabular of a document; a macro that is none of ours is an error."""
    nodes, _, _ = LatexWalker(text).get_latex_nodes()
    (table,) = (n for n in nodes if isinstance(n, LatexEnvironmentNode))
    (tabular,) = (n for n in table.nodelist if isinstance(n, LatexEnvironmentNode))
    rows: list[list[list[LatexNode]]] = [[[]]]
    for node in tabular.nodelist:
        if isinstance(node, LatexMacroNode) and node.macroname in ("toprule", "midrule", "bottomrule"):
            continue
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            rows.append([[]])
        elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            rows[-1].append([])
        else:
            assert not isinstance(node, LatexMacroNode) or node.macroname.startswith("text") or len(node.macroname) == 1
            rows[-1][-1].append(node)
    known = get_default_latex_context_db()
    known.add_context_category("kernel", [MacroTextSpec(f"text{n}", c) for n, c in KERNEL.items()], prepend=True)
    shown = LatexNodes2Text(known, math_mode="text", strict_latex_spaces=True)
    return [[shown.nodelist_to_text(cell).strip() for cell in row] for row in rows[:-1]]


# Source: LaTeX's kernel (the former package textcomp): macros that pylatexenc does not know, or not all of them.
KERNEL = {
    "less": "<",
    "greater": ">",
    "bar": "|",
    "quotedbl": '"',
    "asciigrave": "`",
    "asciitilde": "~",
    "asciicircum": "^",
    "backslash": "\\",
    "endash": "–",
    "dagger": "†",
    "periodcentered": "·",
}


@given(TABLES)
def test_latex_parses_back_to_the_same_cells(rows: list[tuple[str, ...]]) -> None:
    found = latex_cells(table_of(*rows).latex())
    assert [[folded(cell) for cell in row] for row in found] == [[folded(cell) for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("psnr ↑", r"psnr $\uparrow$"),
        ("2–3", r"2\textendash{}3"),
        ("[x] *", "{[}x{]} {*}"),
        ("a--b ''", "a-{}-b '{}'"),
        ("\u202ex", r"\textbackslash{}u202ex"),
    ],
)
def test_latex_shows_signs_as_they_are(text: str, wanted: str) -> None:
    from evaluator.ranking import latex_text

    assert latex_text(text) == wanted


def named(card: Scorecard, **fields: Any) -> Scorecard:
    return card.model_copy(update={"submission": card.submission.model_copy(update=fields)})


def test_teams_and_methods_are_columns_and_shown_as_text(make_card: MakeCard) -> None:
    task = ruled_task()
    cards = [named(make_card(task, f"t{n:02}", {FIRST: 30.0 - n}), team=name) for n, name in enumerate(NASTY)]
    found = board_table(rank(task, "five", cards))
    assert found.heads[:4] == ("rank", "submission", "team", "psnr.f64 ↑")
    assert [row.cells[2] for row in found.rows] == list(NASTY)
    assert [row[2] for row in markdown_cells(found.markdown())[1:]] == [folded(name) for name in NASTY]
    assert "<script>" not in found.markdown()
    assert "\n=cmd" not in found.csv()
    assert all(",=" not in line for line in found.csv().splitlines())
    both = found.markdown() + found.csv() + found.latex()
    assert not {c for c in both if not c.isprintable()} - {"\n"}


def test_csv_has_bare_numbers_and_says_in_a_remark_what_marks_say(make_card: MakeCard) -> None:
    task = load_task("dped")
    some = Aggregate(State.OK, 17.3, 400, 400, infinite=4)
    cards = [make_card(task, "a", {"psnr.pirm": some, "ms_ssim.pirm": 0.1}, runtime_ratio=1.0)]
    cards.append(make_card(task, "b", {"psnr.pirm": Aggregate(State.INCOMPLETE, None, 400, 397, lost=3)}))
    board = rank(task, "pirm2018", cards)
    found = board_table(board)
    assert any(cell == "17.3000*" for cell in found.texts()[0])
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(found.csv()))}
    assert float(rows["a"]["psnr.pirm ↑"]) == 17.3
    assert float(rows["a"]["score_b ↑"]) < 0, "a negative number is no formula"
    assert "psnr.pirm: 4 identical cases are left out" in rows["a"]["remark"]
    assert "score_a: uses a runtime ratio that the team reported" in rows["a"]["remark"]
    assert rows["b"]["remark"] == "no rank: 3 of 400 cases have no score"
    assert any(note == "b has no rank: 3 of 400 cases have no score." for note in found.notes)


def test_intervals_are_columns_of_what_the_rule_ranks_by(make_board: MakeBoard) -> None:
    values = {
        "a": {FIRST: [30.0, 32.0, 34.0]},
        "b": {FIRST: [30.0, 31.0, 34.0]},
        "lost": {FIRST: [1.0, State.MISSING, 2.0]},
    }
    board, cases = make_board(ruled_task(), values)
    sure = uncertainty(board, cases)
    found = board_table(board, sure, sensitivity(board, cases))
    assert found.heads[:5] == ("rank", "rank 95 %", "submission", "psnr.f64 ↑", "psnr.f64 95 %")
    assert not any("ssim.basicsr 95" in head for head in found.heads)
    span = sure.rows[0].spans[FIRST]
    assert found.rows[0].cells[4] == f"[{span.low:.4f}, {span.high:.4f}]"
    assert (found.rows[2].cells[1], found.rows[2].cells[4]) == ("–", "–")
    assert "Not told apart: (a, b)." in found.notes
    assert any(note.startswith("Intervals are of 95 %, over 2,000 resamples of the 3 cases") for note in found.notes)
    assert any(note.startswith("By other metrics: ") for note in found.notes)
