"""The page of published tables: as printed, marked as reported, with remarks, and measured numbers apart."""

from __future__ import annotations

import html
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evaluator.ranking import Verdict, audit
from evaluator.results import load_published
from evaluator.site import build_site

CARDS = Path(__file__).parents[2] / "leaderboards" / "sidd"


class Tables(HTMLParser):
    """The tables of a page: class, and the text of every cell, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[list[str]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.found.append((dict(attrs).get("class") or "", []))
        elif tag == "tr":
            self.found[-1][1].append([])
        elif tag in ("td", "th"):
            self.found[-1][1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][1] and self.found[-1][1][-1]:
            self.found[-1][1][-1][-1] += data


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of a site of the shipped scorecards."""
    shutil.copytree(CARDS, tmp_path / "boards" / "sidd")
    index = build_site(tmp_path / "boards")
    assert 'href="published.html"' in index.read_text(encoding="utf-8")
    return (index.parent / "published.html").read_text(encoding="utf-8")


def test_every_cell_of_every_table_is_shown_as_printed(page: str) -> None:
    shown = [rows for style, rows in Tables(page).found if style == "reported"]
    tables = load_published()
    assert len(shown) == len(tables)
    for table, rows in zip(tables, shown, strict=True):
        body = [row[:-1] for row in rows[-len(table.rows) :]]
        assert body == [list(row.cells) for row in table.rows], table.id
        heads = rows[-len(table.rows) - 1][:-1]
        assert heads == [column.title for column in table.columns]
    for mark in ("n/a", "×", "≤ 66", "✓"):
        assert any(mark in row for rows in shown for row in rows)


def test_every_table_is_marked_as_reported(page: str) -> None:
    heads = re.findall(r"<h3[^>]*>(.*?)</h3>", page)
    assert len(heads) == len(load_published())
    assert all('class="badge reported"' in head for head in heads)


def test_remarks_stand_in_the_rows_that_they_are_about(page: str) -> None:
    shown = [rows for style, rows in Tables(page).found if style == "reported"]
    remarks = audit()
    for table, rows in zip(load_published(), shown, strict=True):
        for number, row in enumerate(rows[-len(table.rows) :]):
            about = [r for r in remarks if (r.table, r.row) == (table.id, number)]
            for remark in about:
                assert (remark.reason in row[-1]) == (remark.verdict is not Verdict.AGREES), remark
            passed = sum(r.verdict is Verdict.AGREES for r in about)
            assert bool(re.search(rf"\b{passed} checks? passed", row[-1])) == bool(passed)
    for remark in (r for r in remarks if r.row is None):
        assert html.escape(remark.reason) in page


def test_measured_numbers_stand_in_tables_of_their_own(page: str) -> None:
    (rows,) = (rows for style, rows in Tables(page).found if style == "beside")
    found = {(row[0], row[1].strip()): row[2:] for row in rows[1:]}
    noisy = found["Noisysidd/mini/identity", "psnr.f64"]
    # As in the repository's scorecard of the input itself on the made-up mini split.
    assert noisy[:3] == ["23.70", "26.14", "+2.44"]
    assert noisy[3].strip() == "Other images: measured on sidd/mini (16 cases), reported on the server set."
    assert {row[0].split("sidd")[0] for row in rows[1:]} == {"Noisy", "NLM [8]"}
    assert 'href="sidd/mini/identity/index.html"' in page


def test_a_row_that_may_show_no_number_is_not_set_beside(tmp_path: Path) -> None:
    shutil.copytree(CARDS, tmp_path / "boards" / "sidd")
    for name in ("identity", "nlm"):
        card = tmp_path / "boards" / "sidd" / "mini" / name / "scorecard.json"
        text = re.sub(r'"rules_digest": "\w+"', '"rules_digest": "other"', card.read_text(encoding="utf-8"))
        card.write_text(text, encoding="utf-8")
    index = build_site(tmp_path / "boards")
    assert 'class="beside"' not in (index.parent / "published.html").read_text(encoding="utf-8")
