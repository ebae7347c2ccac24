"""Costs on the pages: columns, plots of quality against cost, and the section of a submission."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.efficiency import DeviceCard
from evaluator.ranking import rank
from evaluator.results import Store
from evaluator.site import build_site
from evaluator.site.tradeoff import log_ticks, plots, shown_name
from support import failed_timing, make_cost, make_counts, make_phone_run, make_timing

if TYPE_CHECKING:
    from support import Tiny

Page = Callable[[Path, str], str]
AT = (256, 256)
MARKUP = "<script>alert(1)</script>"


def put(results: Path, submission: str, macs: int, **changes: Any) -> None:
    card = next(c for c in Store(results).read("tiny", "five") if c.submission.id == submission)
    fields = {
        "task": "tiny",
        "version": card.submission.digest if card.submission.kind != "outputs" else "",
        "counts": (make_counts(macs, input=AT),),
        "timings": (make_timing(input=AT),),
    }
    Store(results).write_cost(make_cost(submission, **{**fields, **changes}))


@pytest.fixture
def costly(results: Path) -> Path:
    """The results of the tiny task with costs of four submissions, one of them a lower bound."""
    put(results, "good", 5_000_000_000, parameters=3_000_000)
    put(results, "same", 40_000_000, parameters=10_000)
    device = DeviceCard(id="phone-x", name=MARKUP)
    marked = make_phone_run(device=device, input=AT, backend=MARKUP, mean_ms=7.0)
    put(results, "marked", 900_000_000, phones=(marked,), timings=(failed_timing("out of memory"),))
    put(results, "lost", 1, counts=(make_counts(1, input=AT, complete=False),))
    return results


def pictures(text: str) -> list[ElementTree.Element]:
    found = re.findall(r"<svg class=\"chart tradeoff\".*?</svg>", text, re.DOTALL)
    return [ElementTree.fromstring(svg) for svg in found]  # noqa: S314 - the harness wrote it


def test_a_board_without_costs_shows_none(results: Path, page: Page) -> None:
    text = page(build_site(results), "")
    assert "MACs, G" not in text
    assert "Quality against cost" not in text
    assert "<h2>Costs</h2>" not in page(build_site(results), "good")


def test_the_board_has_cost_columns_marks_and_notes(costly: Path, page: Page) -> None:
    text = page(build_site(costly), "")
    for words in ("MACs, G", "parameters, M", "runtime ratio", "≥ ", "×", "Costs are for inputs of 256×256"):
        assert words in text
    assert MARKUP not in text


def test_there_is_a_plot_for_each_cost_of_at_least_two_rows(costly: Path, tiny: Tiny, page: Page) -> None:
    store = Store(costly)
    board = rank(tiny.task, "five", store.read("tiny", "five"), store.read_costs("tiny"))
    found = {plot.x.id: plot for plot in plots(board)}
    assert list(found) == ["cost.macs", "cost.parameters", "measured.runtime_ms"]
    plot = found["cost.macs"]
    names = {p.name for p in plot.points if p.kind != "uncounted"}
    assert len(names) == plot.counted == 3
    assert "lost" not in {p.name for p in plot.points}, "a lower bound is no point"
    beside = {shown_name(r) for r in board.rows if r.cells["cost.macs"].value is None and r.cells["psnr.f64"].value}
    assert {p.name for p in plot.points if p.kind == "uncounted"} == beside != set()
    assert plot.left_out == len(board.rows) - 3 - len(beside)
    text = page(build_site(costly), "")
    assert len(pictures(text)) == 3
    assert text.count('type="radio"') == 3
    assert text.count(" checked") == 1


def test_a_picture_is_well_formed_and_says_what_it_shows(costly: Path, page: Page) -> None:
    for picture in pictures(page(build_site(costly), "")):
        assert picture.attrib["role"] == "img"
        title, description = picture.find("title"), picture.find("desc")
        assert title is not None
        assert description is not None
        assert picture.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        assert "Pareto front" in (description.text or "")
        assert not [e for e in picture.iter() if "style" in e.attrib or e.tag in ("style", "script")], "against the CSP"


def test_better_stands_higher_and_cheaper_further_left(costly: Path, tiny: Tiny) -> None:
    store = Store(costly)
    board = rank(tiny.task, "five", store.read("tiny", "five"), store.read_costs("tiny"))
    (plot,) = (p for p in plots(board) if p.x.id == "cost.macs")
    rows = {row.card.submission.method or row.submission: row for row in board.rows}
    values: Mapping[str, tuple[float, float]] = {
        p.name: (rows[p.name].cells["cost.macs"].value or 0, rows[p.name].cells["psnr.f64"].value or 0)
        for p in plot.points
    }
    assert plot.divide is not None
    for p in plot.points:
        for q in plot.points:
            if "uncounted" not in (p.kind, q.kind):
                assert (values[p.name][0] < values[q.name][0]) == (p.x < q.x)
            assert (values[p.name][1] > values[q.name][1]) == (p.y < q.y)
        assert (plot.left < p.x < plot.divide) if p.kind == "uncounted" else (plot.divide < p.x < plot.right)
        assert plot.top < p.y < plot.bottom
    assert plot.stairs.startswith("M")


def test_the_page_of_a_submission_has_its_costs(costly: Path, page: Page) -> None:
    index = build_site(costly)
    text = page(index, "good")
    for words in (
        "3,000,000",
        "460,000 bytes (tflite)",
        "Operators without multiply-accumulates",
        "Some CPU, 4 threads",
    ):
        assert words in text
    text = page(index, "marked")
    assert "× out of memory" in text
    assert "not measured here" in text
    assert MARKUP not in text


def test_costs_of_another_version_are_said(results: Path, page: Page) -> None:
    put(results, "identity", 1, version="ab" * 32)
    assert "measured on another version: profile it again" in page(build_site(results), "identity")


@given(st.floats(-9, 9), st.floats(0.1, 12))
def test_ticks_are_a_few_round_numbers_inside(low: float, decades: float) -> None:
    ends = 10**low, 10 ** (low + decades)
    ticks = log_ticks(*ends)
    assert len(ticks) <= 8
    assert ticks == sorted(set(ticks))
    assert all(ends[0] <= tick <= ends[1] for tick in ticks)
    assert ticks or decades < log10(3)
