"""The per-case table: what is written is what is read, to the last bit."""

from __future__ import annotations

import math
import struct
import tempfile
from pathlib import Path

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
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
ROW = st.builds(
    CaseRow,
    case=NAME,
    output=NAME,
    output_sha256=st.sampled_from(["", "ab" * 32]),
    scores=st.fixed_dictionaries(dict.fromkeys(METRICS, SCORE)),
    runtime_s=st.none() | st.integers(0, 10**9).map(lambda microseconds: microseconds / 10**6),
)


def written(rows: list[CaseRow]) -> list[CaseRow]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.csv"
        path.write_text(write_cases(rows, METRICS)[0], encoding="utf-8", newline="")
        return read_cases(path)


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
    text, _ = write_cases([CaseRow("a", "", "", {"mae": Score(state, detail="why")})], ["mae"])
    assert text.splitlines()[1] == f"a,,,{state.value}"


def test_names_with_commas_quotes_and_line_breaks_stay_one_cell() -> None:
    rows = [CaseRow(case, case, "", dict.fromkeys(METRICS, Score(State.OK, 1.0))) for case in ('a,"b', "c\nd", " e ")]
    assert written(rows) == rows


def test_the_digest_does_not_depend_on_times_but_on_all_else() -> None:
    def digest(**changes: object) -> str:
        fields: dict[str, object] = {"case": "a", "output": "a.png", "output_sha256": "00", "runtime_s": 1.0}
        scores = {"mae": Score(State.OK, 0.25)}
        return write_cases([CaseRow(**{"scores": scores, **fields, **changes})], ["mae"])[1]  # type: ignore[arg-type]

    assert digest() == digest(runtime_s=2.0) == digest(runtime_s=None)
    others = [
        digest(case="b"),
        digest(output="b.png"),
        digest(output_sha256="01"),
        digest(scores={"mae": Score(State.OK, math.nextafter(0.25, 1))}),
        digest(scores={"mae": Score(State.MISSING)}),
    ]
    assert len({digest(), *others}) == 6


def test_times_have_a_column_only_if_there_are_any() -> None:
    scores = {"mae": Score(State.OK, 0.25)}
    assert "runtime_s" not in write_cases([CaseRow("a", "", "", scores)], ["mae"])[0]
    text = write_cases([CaseRow("a", "", "", scores, 0.5), CaseRow("b", "", "", scores)], ["mae"])[0]
    assert [line.rpartition(",")[2] for line in text.splitlines()] == ["runtime_s", "0.500000", ""]


def test_columns_are_those_that_were_asked_for_in_that_order() -> None:
    scores = {"mae": Score(State.OK, 0.25), "psnr.f64": Score(State.OK, 30.0)}
    text, _ = write_cases([CaseRow("a", "a.png", "00", scores)], ["psnr.f64", "mae"])
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
