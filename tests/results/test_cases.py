"""The per-case table: what is written is what is read, to the last bit."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.metrics import Score, State
from evaluator.results import CaseRow, case_table, read_cases, write_cases

METRICS = ("psnr.f64", "mae")
SCORE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: Score(State.OK, value)),
    st.sampled_from([s for s in State if s is not State.OK]).map(Score),
)
EXTRA = st.dictionaries(st.sampled_from(["crop", "scale.2"]), st.floats(allow_nan=False))
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
ROW = st.builds(
    CaseRow,
    case=NAME,
    output=NAME,
    output_sha256=st.sampled_from(["", "ab" * 32]),
    scores=st.fixed_dictionaries(dict.fromkeys(METRICS, st.builds(replace, SCORE, extra=EXTRA))),
)


def written(rows: list[CaseRow]) -> list[CaseRow]:
    return read_cases(write_cases(rows, METRICS))


@given(st.lists(ROW, max_size=6))
def test_what_is_written_is_what_is_read(rows: list[CaseRow]) -> None:
    assert written(rows) == rows


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_bit_for_bit(value: float) -> None:
    (row,) = written([CaseRow("a", "a.png", "", dict.fromkeys(METRICS, Score(State.OK, value)))])
    back = row.scores["mae"].value
    assert back is not None
    assert struct.pack("<d", back) == struct.pack("<d", value)


@pytest.mark.parametrize("state", [s for s in State if s is not State.OK])
def test_a_state_stands_in_the_table_by_its_name_and_never_as_a_number(state: State) -> None:
    text = write_cases([CaseRow("a", "", "", {"mae": Score(state, detail="why")})], ["mae"])
    assert text.splitlines()[1] == f"a,,,{state.value}"


def test_names_with_commas_quotes_and_line_breaks_stay_one_cell() -> None:
    rows = [CaseRow(case, case, "", dict.fromkeys(METRICS, Score(State.OK, 1.0))) for case in ('a,"b', "c\nd", " e ")]
    assert written(rows) == rows


@pytest.mark.parametrize("name", ["=1+1/a.png", "+a.png", "-a.png", "@a.png", "'a.png", "''a.png"])
def test_no_name_is_a_formula_in_a_spreadsheet(name: str) -> None:
    rows = [CaseRow("a", name, "", {"mae": Score(State.OK, -1.5)})]
    text = write_cases(rows, ["mae"])
    assert text.splitlines()[1] == f"a,'{name},,-1.5"
    assert read_cases(text) == rows


def test_the_table_changes_with_everything_in_it() -> None:
    def text(**changes: object) -> str:
        fields: dict[str, object] = {"case": "a", "output": "a.png", "output_sha256": "00"}
        scores = {"mae": Score(State.OK, 0.25)}
        return write_cases([CaseRow(**{"scores": scores, **fields, **changes})], ["mae"])  # type: ignore[arg-type]

    others = [
        text(case="b"),
        text(output="b.png"),
        text(output_sha256="01"),
        text(scores={"mae": Score(State.OK, math.nextafter(0.25, 1))}),
        text(scores={"mae": Score(State.MISSING)}),
    ]
    assert len({text(), *others}) == 6


def test_what_is_published_beside_a_value_has_a_column_of_its_own() -> None:
    rows = [
        CaseRow("a", "", "", {"mae": Score(State.OK, 0.25, extra={"crop": 0.5}), "psnr.f64": Score(State.INFINITE)}),
        CaseRow("b", "", "", {"mae": Score(State.MISSING), "psnr.f64": Score(State.OK, 30.0)}),
    ]
    assert write_cases(rows, ["mae", "psnr.f64"]).splitlines() == [
        "case,output,output_sha256,mae,mae:crop,psnr.f64",
        "a,,,0.25,0.5,infinite",
        "b,,,missing,,30.0",
    ]


@pytest.mark.parametrize(
    "text", ["case\na\n", "case,output,output_sha256,mae\na,x,y,abc\n", "case,output,output_sha256,mae\na,x,y\n"]
)
def test_what_is_no_such_table_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_cases(text)


def test_columns_are_those_that_were_asked_for_in_that_order() -> None:
    scores = {"mae": Score(State.OK, 0.25), "psnr.f64": Score(State.OK, 30.0)}
    text = write_cases([CaseRow("a", "a.png", "00", scores)], ["psnr.f64", "mae"])
    assert text == "case,output,output_sha256,psnr.f64,mae\na,a.png,00,30.0,0.25\n"


def test_the_data_frame_has_nan_where_there_is_no_number() -> None:
    rows = [
        CaseRow("a", "a.png", "", {"mae": Score(State.OK, 0.25)}),
        CaseRow("b", "", "", {"mae": Score(State.MISSING)}),
        CaseRow("c", "c.png", "", {"mae": Score(State.INFINITE)}),
    ]
    frame = case_table(rows)
    assert list(frame.index) == ["a", "b", "c"]
    assert list(frame.columns) == ["mae", "mae.state"]
    assert frame.loc["a", "mae"] == 0.25
    assert frame["mae"].isna().tolist() == [False, True, True]
    assert frame["mae.state"].tolist() == ["ok", "missing", "infinite"]
    assert frame["mae"].mean() == 0.25


def test_a_metric_with_the_sign_of_extras_in_its_id_is_read_back() -> None:
    scores = {"pyiqa:vif": Score(State.OK, 0.5), "niqe.ut": Score(State.OK, 3.0, extra={"flat": 0.25})}
    text = write_cases([CaseRow("a", "a.png", "", scores)], list(scores))
    assert read_cases(text)[0].scores == scores
