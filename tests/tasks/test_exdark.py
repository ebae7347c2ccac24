"""ExDark's list of images and annotation files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.metrics.detection import Box
from evaluator.tasks.exdark import (
    CLASSES,
    LIST_NAME,
    PARTS,
    Entry,
    case_of,
    part_warnings,
    read_annotation,
    read_annotations,
    read_list,
)

FIRST = "% bbGt version=3\n"
HEADER = "Name | Class | Light | In/Out | Train/Val/Test\r\n"


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


def refused(call: object, *arguments: object) -> list[tuple[str, str]]:
    with pytest.raises(EvaluatorError) as caught:
        call(*arguments)  # type: ignore[operator]
    return [(f.file.rpartition("/")[2], f.expected) for f in caught.value.findings]


def test_the_published_list(data_root: Path) -> None:
    file = data_root / "exdark" / LIST_NAME
    entries = read_list(file)
    assert len(entries) == len({e.case for e in entries}) == 7363
    assert dict(Counter(e.part for e in entries)) == {"train": 3000, "validation": 1800, "test": 2563} == PARTS
    # Counted in the file with awk: sort | uniq -c of the second column.
    counts = [652, 679, 547, 527, 638, 735, 648, 519, 801, 503, 609, 505]
    assert Counter(e.class_name for e in entries) == dict(zip(CLASSES, counts, strict=True))
    first = entries[0]  # 2015_00001.png 1 2 1 1
    assert (first.name, first.case, first.class_name) == ("2015_00001.png", "2015_00001", "Bicycle")
    assert (first.light, first.indoor, first.part) == ("ambient", True, "train")
    last = entries[-1]  # 2017_07358.jpg 12 2 1 3
    assert (last.case, last.class_name, last.light, last.indoor, last.part) == (
        "2017_07358",
        "Table",
        "ambient",
        True,
        "test",
    )
    assert part_warnings(entries, file) == []


def test_numbers_of_the_list_are_counted_from_1(tmp_path: Path) -> None:
    file = written(tmp_path / LIST_NAME, HEADER + "a.JPG 1 1 1 1\r\nb.png 12 10 2 3\r\n\r\n")
    assert read_list(file) == [
        Entry("a.JPG", "Bicycle", "low", True, "train"),
        Entry("b.png", "Table", "twilight", False, "test"),
    ]


def test_a_list_of_other_sizes_is_warned_of(tmp_path: Path) -> None:
    file = written(tmp_path / LIST_NAME, HEADER + "a.jpg 1 1 1 1\r\n")
    warnings = part_warnings(read_list(file), file)
    assert [(w.code, w.severity, w.got) for w in warnings] == [
        ("data-count", "warning", "1"),
        ("data-count", "warning", "0"),
        ("data-count", "warning", "0"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.jpg 0 1 1 1", "class: a number from 1 to 12"),
        ("a.jpg 13 1 1 1", "class: a number from 1 to 12"),
        ("a.jpg 1.5 1 1 1", "class: a whole number from 1 to 12"),
        ("a.jpg 1 11 1 1", "light: a number from 1 to 10"),
        ("a.jpg 1 1 3 1", "in/out: a number from 1 to 2"),
        ("a.jpg 1 1 1 4", "part: a number from 1 to 3"),
        ("a.jpg 1 1 1", "name, class, light, in/out, part"),
        ("a.jpg 1 1 1 1 1", "name, class, light, in/out, part"),
        ("b.png 2 2 2 2", "each image once"),
    ],
)
def test_wrong_lines_of_the_list_are_named(tmp_path: Path, line: str, expected: str) -> None:
    file = written(tmp_path / LIST_NAME, f"{HEADER}b.jpg 1 1 1 1\r\n{line}\r\n")
    assert refused(read_list, file) == [(f"{LIST_NAME}:3", expected)]


def test_another_file_is_no_list(tmp_path: Path) -> None:
    assert refused(read_list, written(tmp_path / "x", ""))[0][1].startswith("the line Name | Class")
    assert refused(read_list, written(tmp_path / "y", "a.jpg 1 1 1 1\n"))[0][0] == "y:1"


def test_annotation_of_the_published_form(tmp_path: Path) -> None:
    text = FIRST + "Bicycle 204 28 271 193 0 0 0 0 0 0 0\nPeople 10 0 40 90 0 0 0 0 0 1 0\n\n"
    for end in ("\n", "\r\n"):
        found = read_annotation(written(tmp_path / "2015_00001.png.txt", text.replace("\n", end)))
        assert found == [Box("Bicycle", 204, 28, 271, 193), Box("People", 10, 0, 40, 90, difficult=True)]
    assert read_annotation(written(tmp_path / "none.txt", FIRST)) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Cat 1 2 3 4", "a class, l t w h, and seven more numbers"),
        ("Cat 1 2 3 4 0 0 0 0 0 0 0 0", "a class, l t w h, and seven more numbers"),
        ("Bycicle 1 2 3 4 0 0 0 0 0 0 0", "a class of Bicycle, Boat"),
        ("cat 1 2 3 4 0 0 0 0 0 0 0", "a class of Bicycle, Boat"),
        ("Cat x 2 3 4 0 0 0 0 0 0 0", "left: a number"),
        ("Cat 1 2 0 4 0 0 0 0 0 0 0", "a box with sides above 0"),
        ("Cat 1 2 3 -4 0 0 0 0 0 0 0", "height: a number from 0"),
        ("Cat 1 2 3 4 0 0 0 0 0 0 nan", "one of the last seven: a number"),
    ],
)
def test_wrong_lines_of_an_annotation_are_named(tmp_path: Path, line: str, expected: str) -> None:
    file = written(tmp_path / "a.jpg.txt", f"{FIRST}Cat 1 2 3 4 0 0 0 0 0 0 0\n{line}\n")
    ((place, said),) = refused(read_annotation, file)
    assert place == "a.jpg.txt:3"
    assert said.startswith(expected)


@pytest.mark.parametrize("text", ["", "Cat 1 2 3 4 0 0 0 0 0 0 0\n", "% bbGt version=2\n"])
def test_another_first_line_is_no_annotation(tmp_path: Path, text: str) -> None:
    assert refused(read_annotation, written(tmp_path / "a.txt", text)) == [("a.txt:1", "the line % bbGt version=3")]


def test_what_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "a.txt", FIRST)
    with file.open("r+b") as stream:
        stream.truncate(2**21)
    assert refused(read_annotation, file) == [("a.txt:1", "a file of at most 1048576 bytes")]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(EvaluatorError, match="no text in UTF-8"):
        read_annotation(file)


@pytest.mark.parametrize(
    "name", ["2015_1.png", "2015_1.JPG", "2015_1.jpeg.txt", "2015_1.JPEG.txt", "2015_1.txt", "2015_1"]
)
def test_an_image_and_its_annotation_have_one_id(name: str) -> None:
    assert case_of(name) == "2015_1"


def test_folders_by_class_are_read_as_one_set(tmp_path: Path) -> None:
    line = " 1 2 3 4 0 0 0 0 0 0 0\n"
    written(tmp_path / "Cat" / "b.jpg.txt", FIRST + "Cat" + line)
    written(tmp_path / "Dog" / "a.png.txt", FIRST + "Dog" + line + "Cat" + line)
    written(tmp_path / "Dog" / ".hidden.txt", "junk")
    written(tmp_path / LIST_NAME, HEADER)
    found = read_annotations(tmp_path)
    assert {case: [b.class_name for b in boxes] for case, boxes in found.items()} == {"b": ["Cat"], "a": ["Dog", "Cat"]}
    assert list(read_annotations(tmp_path, ["a"])) == ["a"]
    assert refused(read_annotations, tmp_path, ["a", "c"]) == [
        (tmp_path.name, "c.txt, or with the image's suffix before")
    ]
    written(tmp_path / "Dog" / "b.png.txt", FIRST + "junk\n")
    assert [expected for _, expected in refused(read_annotations, tmp_path)] == ["one file an image"]
    written(tmp_path / "Dog" / "a.png.txt", FIRST + "junk\n")
    assert [place for place, _ in refused(read_annotations, tmp_path)] == ["b.png.txt", "a.png.txt:2"]


def test_a_folder_without_annotations_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="no annotation file"):
        read_annotations(tmp_path)
