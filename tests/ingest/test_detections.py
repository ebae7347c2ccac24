"""`detections.csv`: every line is a box, or a finding with its number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.findings import EvaluatorError
from evaluator.ingest import read_detections
from evaluator.metrics.detection import Detection
from evaluator.tasks import tables

HEADER = "case,class,score,left,top,width,height\n"


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "detections.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_boxes_are_read_as_they_stand(tmp_path: Path) -> None:
    text = HEADER + '2015_1,Cat,0.5,1,2,3.5,4\n"a, b",Dog,-1e-3,-7,.5,+10,2.\n'
    found, findings = read_detections(written(tmp_path, text))
    assert findings == []
    assert found == [
        Detection("2015_1", "Cat", 0.5, 1, 2, 3.5, 4),
        Detection("a, b", "Dog", -0.001, -7, 0.5, 10, 2),
    ]


@pytest.mark.parametrize(
    "change", [str.encode, lambda t: t.replace("\n", "\r\n").encode(), lambda t: t.encode("utf-8-sig")]
)
def test_windows_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path, change: object) -> None:
    text = HEADER + "a,Größe,0.5,1,2,3,4\n"
    found, findings = read_detections(written(tmp_path, change(text)))  # type: ignore[operator]
    assert (found, findings) == ([Detection("a", "Größe", 0.5, 1, 2, 3, 4)], [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a,Cat,0.5,1,2,3", "7 fields"),
        ("a,Cat,0.5,1,2,3,4,5", "7 fields"),
        ("", "7 fields"),
        (",Cat,0.5,1,2,3,4", "a case of"),
        ("a,,0.5,1,2,3,4", "a class of"),
        (" a,Cat,0.5,1,2,3,4", "a case of"),
        ("a,Cat\x1b[2J,0.5,1,2,3,4", "a class of"),
        ('"a\nb",Cat,0.5,1,2,3,4', "a case of"),
        ("a" * 201 + ",Cat,0.5,1,2,3,4", "a case of"),
        ("a,Cat,high,1,2,3,4", "score: a number"),
        ("a,Cat,nan,1,2,3,4", "score: a number"),
        ("a,Cat,inf,1,2,3,4", "score: a number"),
        ("a,Cat,1e999,1,2,3,4", "score: a number"),
        ("a,Cat,1_0,1,2,3,4", "score: a number"),
        ("a,Cat,٣,1,2,3,4", "score: a number"),
        ("a,Cat, 1,1,2,3,4", "score: a number"),
        ("a,Cat,,1,2,3,4", "score: a number"),
        ("a,Cat,0.5,1e7,2,3,4", "left: a number from -1e+06 to 1e+06"),
        ("a,Cat,0.5,1,x,3,4", "top: a number"),
        ("a,Cat,0.5,1,2,0,4", "a width above 0"),
        ("a,Cat,0.5,1,2,3,-4", "height: a number from 0"),
    ],
)
def test_each_wrong_line_is_a_finding_with_its_number_and_the_others_are_read(
    tmp_path: Path, line: str, expected: str
) -> None:
    good = "a,Cat,0.5,1,2,3,4\n"
    file = written(tmp_path, HEADER + good + line + "\n" + good)
    found, (finding,) = read_detections(file)
    assert len(found) == 2
    assert (finding.code, finding.severity, finding.file) == ("detections", "error", f"{file}:3")
    assert finding.expected.startswith(expected)
    assert finding.got.isprintable()
    assert len(finding.got) < 100


@pytest.mark.parametrize(
    ("data", "line", "expected"),
    [
        (b"", 1, "the header case,class,score"),
        (b"case,class,score,left,top,right,bottom\na,Cat,1,1,2,3,4\n", 1, "the header case,class,score"),
        (b"a,Cat,1,1,2,3,4\n", 1, "the header case,class,score"),
        (HEADER.encode() + b"a,Cat,1,1,2,3,4\n\xff\xfe,Cat,1,1,2,3,4\n", 3, "text in UTF-8"),
        (HEADER.encode() + b'a,"Cat"x,1,1,2,3,4\n', 2, "comma-separated values"),
        (HEADER.encode() + b'a,"Cat,1,1,2,3,4\n', 2, "comma-separated values"),
        (HEADER.encode() + b"a," + b"x" * 200_000 + b",1,1,2,3,4\n", 2, "comma-separated values"),
    ],
)
def test_a_file_of_another_kind_is_one_finding(tmp_path: Path, data: bytes, line: int, expected: str) -> None:
    file = written(tmp_path, data)
    found, (finding,) = read_detections(file)
    assert len(found) <= 1
    assert finding.file == f"{file}:{line}"
    assert finding.expected.startswith(expected)


def test_too_many_rows_bytes_and_findings_end_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, HEADER + "a,Cat,1,1,2,3,4\n" * 5)
    monkeypatch.setattr(tables, "ROW_LIMIT", 4)
    found, (finding,) = read_detections(file)
    assert (len(found), finding.file, finding.expected) == (4, f"{file}:6", "at most 4 rows")
    wrong = written(tmp_path, HEADER + "a\n" * 5000)
    monkeypatch.setattr(tables, "ROW_LIMIT", 10_000)
    assert len(read_detections(wrong)[1]) == 1000


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER)
    with file.open("r+b") as stream:
        stream.truncate(tables.BYTE_LIMIT + 1)  # sparse
    found, (finding,) = read_detections(file)
    assert (found, finding.file, finding.got) == ([], str(file), "more")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="cannot be read"):
        read_detections(tmp_path / "none.csv")


@given(st.binary(max_size=300))
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    for content in (data, HEADER.encode() + data):
        file.write_bytes(content)
        _, findings = read_detections(file)
        assert all(f.code == "detections" and f.got.isprintable() for f in findings)
