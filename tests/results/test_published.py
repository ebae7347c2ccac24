"""Published tables: strict files, cells that say what is printed and nothing more."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.results import PublishedTable, load_facts, load_papers, load_published
from evaluator.results.published import CellState, Entry, Interval, published_folder, read_shipped


def entry(table: str, row: int, column: str) -> Entry:
    found = next(t for t in load_published() if t.id == table)
    return next(e for e in found.entries() if (e.row, e.column) == (row, column))


def minimal(cell: str = "1.50", column: str = 'quantity = "rmse_rel", scale = 0.01, direction = "lower"') -> str:
    return f"""
paper = "k3dn"
number = 9
title = "A table."
columns = [{{ id = "method", title = "Method", quantity = "label" }}, {{ id = "x", title = "X", {column} }}]
rows = [{{ method = "m", cells = ["M", "{cell}"] }}]
"""


def load(tmp_path: Path, text: str) -> PublishedTable:
    file = tmp_path / "table.toml"
    file.write_text(text, encoding="utf-8")
    return read_shipped(PublishedTable, file)


def test_every_table_of_the_four_papers_is_there() -> None:
    found = [table.id for table in load_published()]
    assert found == [f"{p}/{n}" for p, paper in load_papers().items() for n in range(1, paper.tables + 1)]
    assert {p: paper.tables for p, paper in load_papers().items()} == {
        "lpienet": 6,
        "lowlight-gan": 2,
        "k3dn": 5,
        "fast-dped": 3,
    }


@pytest.mark.parametrize(
    ("table", "row", "column", "state", "value"),
    [
        ("lpienet/1", 7, "parameters", CellState.NOT_AVAILABLE, None),
        ("lpienet/1", 0, "parameters", CellState.NONE, None),
        ("lpienet/1", 0, "psf", CellState.YES, None),
        ("lpienet/1", 4, "psf", CellState.NO, None),
        ("lpienet/5", 8, "macs", CellState.AT_MOST, 66.0),
        ("lpienet/5", 7, "ssim_difference", CellState.NUMBER, -0.01),
        ("lpienet/6", 0, "phone1_cpu", CellState.FAILED, None),
        ("lpienet/6", 1, "ssim", CellState.MERGED, None),
        ("lpienet/4", 0, "launch", CellState.TEXT, None),
        ("k3dn/1", 0, "rmse_rel", CellState.NUMBER, 0.0639),
        ("k3dn/1", 0, "mae", CellState.NUMBER, 0.0471),
        ("fast-dped/3", 7, "cpu", CellState.NUMBER, 20462.0),
    ],
)
def test_marks_are_states_and_never_numbers(
    table: str, row: int, column: str, state: CellState, value: float | None
) -> None:
    printed = entry(table, row, column).printed
    assert (printed.state, printed.value) == (state, value)


def test_a_number_carries_the_range_that_prints_as_it() -> None:
    printed = entry("k3dn/2", 9, "rmse_rel").printed
    assert printed.text == "1.50"
    assert (printed.rounded.low, printed.rounded.high) == pytest.approx((0.01495, 0.01505))
    assert (printed.cut.low, printed.cut.high) == pytest.approx((0.0150, 0.0151))
    with pytest.raises(ValueError, match="is no number"):
        _ = entry("lpienet/5", 8, "macs").printed.rounded


@given(st.integers(0, 10**7), st.integers(0, 5))
def test_every_number_lies_in_the_range_of_its_own_rounding(whole: int, decimals: int) -> None:
    number = whole / 10**5
    table = PublishedTable.model_validate(
        {
            "paper": "p",
            "number": 1,
            "title": "t",
            "columns": [
                {"id": "m", "title": "M", "quantity": "label"},
                {"id": "x", "title": "X", "quantity": "psnr"},
            ],
            "rows": [{"cells": ["m", f"{number:.{decimals}f}"]}],
        }
    )
    (found,) = table.entries()
    assert found.printed.rounded.overlaps(Interval(number, number))


def test_methods_in_columns_give_the_same_kind_of_entries() -> None:
    found = entry("lowlight-gan/2", 0, "enlightengan")
    assert (found.method, found.quantity, found.metric, found.direction) == (
        "enlightengan",
        "niqe",
        "niqe.live",
        "lower",
    )
    assert found.printed.value == 4.215


def test_sizes_are_width_and_height() -> None:
    assert [entry("lpienet/6", row, "flops").size for row in (1, 2, 10, 11)] == [
        (1920, 1080),
        (800, 800),
        (3840, 2160),
        (2048, 1080),
    ]
    assert entry("k3dn/1", 5, "flops").size == (1680, 1120)


def test_rows_that_begin_alike_have_names_of_their_own() -> None:
    for table in load_published():
        labels = [table.label(number) for number in range(len(table.rows))]
        assert len(set(labels)) == len(labels), table.id


def test_what_the_harness_knows_by_id_it_knows() -> None:
    for table in load_published():
        for found in table.entries():
            if found.metric:
                contract = metrics.get(found.metric).contract
                assert contract.direction == found.direction, (table.id, found.column)
            if found.counter and found.convention:
                assert found.counter in load_facts().counters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (minimal(cell="1.5O"), "may not stand in column x"),
        (minimal(cell=""), "may not stand in column x"),
        (minimal(cell="nan"), "may not stand in column x"),
        (minimal(cell="1e3"), "may not stand in column x"),
        (minimal(cell="١"), "may not stand in column x"),
        (minimal(cell="?", column='quantity = "flag"'), "may not stand in column x"),
        (minimal(cell="9K", column='quantity = "size"'), "may not stand in column x"),
        (minimal(column='metric = "rmse_rel"'), "must say what its numbers are"),
        (minimal(column='quantity = "rmse"'), "quantity"),
        (minimal().replace('"M", "1.50"', '"M"'), "has 1 cells"),
        (minimal().replace('"X"', '"X ↑"'), "the arrow of 'X ↑' is not the direction"),
        (minimal().replace('id = "x"', 'id = "method"'), "two columns have the same id"),
        (minimal().replace('"label"', '"text"'), "the first column must hold labels"),
        (minimal().replace('title = "A table."', 'titel = "A table."'), "Did you mean 'title'"),
    ],
)
def test_what_a_table_may_not_hold_is_said(tmp_path: Path, text: str, said: str) -> None:
    load(tmp_path, minimal())
    with pytest.raises(EvaluatorError, match=r"table\.toml is damaged") as raised:
        load(tmp_path, text)
    assert said in str(raised.value)


def test_a_file_whose_name_is_not_its_tables_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    shutil.copytree(published_folder(), folder)
    (folder / "k3dn-table-5.toml").rename(folder / "k3dn-table-6.toml")
    with pytest.raises(EvaluatorError, match="its name does not fit"):
        load_published(folder)


def test_a_count_by_an_unknown_counter_is_refused(tmp_path: Path) -> None:
    text = (published_folder() / "counts.toml").read_text(encoding="utf-8")
    (tmp_path / "counts.toml").write_text(text.replace('counter = "xla"', 'counter = "xlb"'), encoding="utf-8")
    with pytest.raises(EvaluatorError, match="counters that are not described: xlb"):
        load_facts(tmp_path)
    with pytest.raises(EvaluatorError, match="cannot be read"):
        load_facts(tmp_path / "nowhere")
