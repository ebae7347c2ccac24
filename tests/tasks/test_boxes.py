"""The table of objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.metrics.detection import Box
from evaluator.tasks.boxes import read_boxes

HEADER = "case,class,left,top,width,height"


def test_objects_by_case_and_images_without_any(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text(f"{HEADER},difficult\nb,Cat,1,2,3,4,\na,Dog,5,6,7,8,1\nb,Dog,1,1,1,1,0\nc,,,,,,\n")
    assert read_boxes(file) == {
        "b": [Box("Cat", 1, 2, 3, 4), Box("Dog", 1, 1, 1, 1)],
        "a": [Box("Dog", 5, 6, 7, 8, difficult=True)],
        "c": [],
    }
    file.write_text(f"{HEADER}\nb,Cat,1,2,3,4\nc,,,,,\n")
    assert read_boxes(file) == {"b": [Box("Cat", 1, 2, 3, 4)], "c": []}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a,Cat,1,2,3,4,2", "difficult: 0 or 1"),
        ("a,Cat,1,2,3,4,yes", "difficult: 0 or 1"),
        ("a,,1,2,3,4,", "a class of"),
        ("a,Cat,,,,,", "left: a number"),
        (",,,,,,", "a case of"),
        ("a,Cat,1,2,3,4", "7 fields"),
        ("a,Cat,1,2,3,0,0", "a height above 0"),
    ],
)
def test_wrong_lines_are_named_all_at_once(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "truth.csv"
    file.write_text(f"{HEADER},difficult\n{line}\nb,Cat,1,2,3,4,0\n{line}\n")
    with pytest.raises(EvaluatorError) as caught:
        read_boxes(file)
    assert [f.file for f in caught.value.findings] == [f"{file}:2", f"{file}:4"]
    assert all(f.expected.startswith(expected) and f.code == "data-annotation" for f in caught.value.findings)


def test_another_header_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("case,class,score,left,top,width,height\n")
    with pytest.raises(EvaluatorError) as caught:
        read_boxes(file)
    assert "(and difficult, if wanted)" in caught.value.findings[0].expected
