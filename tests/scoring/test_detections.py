"""Scoring a file of detections: findings first, numbers only if there is no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.scoring import score_detections
from evaluator.tasks.exdark import LIST_NAME

HEAD = "case,class,score,left,top,width,height\n"
TRUTH = "case,class,left,top,width,height\na,Cat,0,0,9,9\na,Dog,50,0,9,9\nb,,,,,\n"


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    file = tmp_path / "truth.csv"
    file.write_text(TRUTH)
    return file


def reported(folder: Path, *lines: str) -> Path:
    file = folder / "detections.csv"
    file.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return file


@pytest.fixture
def exdark(tmp_path: Path) -> Path:
    """Annotation files and a list, as published, of three images."""
    folder = tmp_path / "Groundtruth"
    for name, line in {"Cat/x.jpg": "Cat 0 0 9 9", "Cup/y.png": "Cup 5 5 9 9", "Dog/z.JPG": "Dog 1 1 9 9"}.items():
        file = folder / f"{name}.txt"
        file.parent.mkdir(parents=True)
        file.write_text(f"% bbGt version=3\n{line} 0 0 0 0 0 0 0\n")
    rows = "x.jpg 6 1 1 3\r\ny.png 8 1 1 3\r\nz.JPG 9 1 1 1\r\n"
    (folder / LIST_NAME).write_text("Name | Class | Light | In/Out | Train/Val/Test\r\n" + rows, newline="")
    return folder


def test_both_variants_over_all_classes(truth: Path, tmp_path: Path) -> None:
    # Cat: a miss in b before the hit: precision 1/2 at recall 1. Dog: never found.
    found = score_detections(reported(tmp_path, "b,Cat,0.9,0,0,9,9", "a,Cat,0.8,0,0,9,9"), truth)
    assert (found.cases, found.findings) == (2, ())
    assert {v: m.value for v, m in found.by_variant.items()} == {"map.voc07": 0.25, "map.voc": 0.25}


def test_unknown_images_are_an_error_and_nothing_is_scored(truth: Path, tmp_path: Path) -> None:
    found = score_detections(reported(tmp_path, "a.jpg,Cat,0.9,0,0,9,9", "a,Cat,0.8,0,0,9,9"), truth)
    assert found.by_variant == {}
    ((code, severity, got),) = [(f.code, f.severity, f.got) for f in found.findings]
    assert (code, severity, got) == ("detections", "error", "1 boxes of 1 others: a.jpg")


def test_unknown_classes_are_a_warning_and_do_not_count(truth: Path, tmp_path: Path) -> None:
    lines = ("a,Cat,0.8,0,0,9,9", "a,Dogs,0.9,50,0,9,9", "a,Bus,0.9,50,0,9,9")
    found = score_detections(reported(tmp_path, *lines), truth)
    assert [(f.severity, f.got) for f in found.findings] == [("warning", "1 of 'Bus'"), ("warning", "1 of 'Dogs'")]
    assert "Did you mean 'Dog'?" in found.findings[1].fix
    assert found.by_variant["map.voc"].value == 0.5
    assert found.by_variant["map.voc"].without_truth == {"Bus": 1, "Dogs": 1}


def test_a_wrong_line_is_an_error_and_nothing_is_scored(truth: Path, tmp_path: Path) -> None:
    found = score_detections(reported(tmp_path, "a,Cat,high,0,0,9,9"), truth)
    assert [f.file.endswith(":2") for f in found.findings] == [True]
    assert found.by_variant == {}


def test_a_class_may_be_left_out(truth: Path, tmp_path: Path) -> None:
    file = reported(tmp_path, "a,Cat,0.8,0,0,9,9", "a,Dog,0.9,0,0,9,9")
    found = score_detections(file, truth, left_out=["Dog"])
    assert found.findings == ()
    assert found.by_variant["map.voc"].value == 1.0
    assert found.by_variant["map.voc"].without_truth == {}
    with pytest.raises(EvaluatorError, match=r"class 'Dgo'\. Did you mean 'Dog'\?"):
        score_detections(file, truth, left_out=["Dgo"])
    with pytest.raises(EvaluatorError, match="none in any image"):
        score_detections(file, truth, left_out=["Dog", "Cat"])


def test_a_part_of_exdark_without_the_class_that_voc_does_not_have(exdark: Path, tmp_path: Path) -> None:
    found = score_detections(reported(tmp_path, "x,Cat,0.8,0,0,9,9"), exdark, part="test", left_out=["Cup"])
    assert found.cases == 2
    assert found.by_variant["map.voc07"].value == 1.0
    assert {(f.code, f.severity.value) for f in found.findings} == {("data-count", "warning")}
    everything = score_detections(reported(tmp_path, "x,Cat,0.8,0,0,9,9"), exdark)
    assert everything.cases == 3
    assert everything.by_variant["map.voc07"].value == pytest.approx(1 / 3)
    outside = score_detections(reported(tmp_path, "z,Dog,0.8,1,1,9,9"), exdark, part="test")
    assert outside.by_variant == {}


@pytest.mark.parametrize("name", ["x", "x.jpg", "Cat/x", "Cat/x.jpg", "ExDark/Cat/x.png"])
def test_images_of_a_folder_may_be_named_with_suffix_and_folder(exdark: Path, tmp_path: Path, name: str) -> None:
    found = score_detections(reported(tmp_path, f"{name},Cat,0.8,0,0,9,9"), exdark)
    assert found.by_variant["map.voc"].classes["Cat"].value == 1.0


def test_parts_are_those_of_a_folder_with_a_list(exdark: Path, truth: Path, tmp_path: Path) -> None:
    file = reported(tmp_path)
    with pytest.raises(EvaluatorError, match=r"no part 'tset'\. Did you mean 'test'\?"):
        score_detections(file, exdark, part="tset")
    with pytest.raises(EvaluatorError, match="is a table, which has no parts"):
        score_detections(file, truth, part="test")
    (exdark / LIST_NAME).unlink()
    with pytest.raises(EvaluatorError, match="cannot be read"):
        score_detections(file, exdark, part="test")
