"""ExDark's annotations, list of images and parts: the truth against which detections in dark photographs are scored.

Folders of text files named after their images, as Piotr's toolbox writes them (`bbGt`, version 3); see
https://github.com/cs-chan/Exclusively-Dark-Image-Dataset. The list is `imageclasslist.txt` of the same place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding, did_you_mean
from evaluator.metrics.detection import Box
from evaluator.tasks.tables import PIXEL_LIMIT, Wrong, number, read_bounded, shown

CLASSES = (
    "Bicycle",
    "Boat",
    "Bottle",
    "Bus",
    "Car",
    "Cat",
    "Chair",
    "Cup",
    "Dog",
    "Motorbike",
    "People",
    "Table",
)
"""The list counts them from 1."""
LIGHTS = ("low", "ambient", "object", "single", "weak", "strong", "screen", "window", "shadow", "twilight")
PARTS = {"train": 3000, "validation": 1800, "test": 2563}
"""Part → number of its images, as published; the list counts the parts from 1."""
LIST_NAME = "imageclasslist.txt"

_FIRST_LINE = "% bbGt version=3"
_LIST_HEADER = "Name | Class | Light | In/Out | Train/Val/Test"
_FIELDS = 12
_BYTES = 2**20
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Entry:
    """One image of the list."""

    name: str
    """File name, as in `2015_00001.png`."""
    class_name: str
    light: str
    indoor: bool
    part: str
    """`train`, `validation` or `test`."""

    @property
    def case(self) -> str:
        """The image's id: its name without suffix."""
        return case_of(self.name)


def case_of(name: str) -> str:
    """Return the id of an image, or of an annotation file: its name without `.txt` and without the image's suffix."""
    stem = name[:-4] if name.lower().endswith(".txt") else name
    for suffix in _SUFFIXES:
        if stem.lower().endswith(suffix):
            return stem[: -len(suffix)]
    return stem


def read_list(file: Path) -> list[Entry]:
    """Read `imageclasslist.txt`: a header, then `name class light in/out part` as numbers from 1, one image a line.

    Raises:
        EvaluatorError: it cannot be read, or a line is not as it must be; the findings name every such line.
    """
    entries: list[Entry] = []
    findings: list[Finding] = []
    seen: dict[str, int] = {}
    lines = _lines(file)
    if not lines or lines[0].strip() != _LIST_HEADER:
        wrong = Wrong(f"the line {_LIST_HEADER}", shown(lines[0]) if lines else "an empty file")
        raise EvaluatorError(f"{file} is no list of ExDark's images.", [_finding(file, 1, wrong)])
    for place, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
            if seen.setdefault(entry.case, place) != place:
                raise Wrong("each image once", f"{entry.case} as in line {seen[entry.case]}")
            entries.append(entry)
        except Wrong as wrong:
            findings.append(_finding(file, place, wrong))
    if findings:
        raise EvaluatorError(f"{file} is no list of ExDark's images.", findings)
    return entries


def part_warnings(entries: Sequence[Entry], file: Path) -> list[Finding]:
    """Return a warning for each part that has another number of images than was published."""
    count = Counter(entry.part for entry in entries)
    return [
        Finding.warning(
            "data-count",
            str(file),
            f"{published} images of the part {part}",
            str(count[part]),
            "Numbers of this list are not comparable with published ones.",
        )
        for part, published in PARTS.items()
        if count[part] != published
    ]


def read_annotation(file: Path) -> list[Box]:
    """Read one annotation file: `% bbGt version=3`, then `Class left top width height` and seven more numbers a line.

    Of the seven, only the toolbox's mark for objects to be ignored (the sixth) is looked at: it makes an object
    `difficult`, as the toolbox itself maps VOC's. In the published files it is 0.

    Raises:
        EvaluatorError: it cannot be read, or a line is not as it must be; the findings name every such line.
    """
    boxes: list[Box] = []
    findings: list[Finding] = []
    lines = _lines(file)
    if not lines or lines[0].strip() != _FIRST_LINE:
        wrong = Wrong(f"the line {_FIRST_LINE}", shown(lines[0]) if lines else "an empty file")
        raise EvaluatorError(f"{file} is no annotation of ExDark's form.", [_finding(file, 1, wrong)])
    for place, line in enumerate(lines[1:], 2):
        if line.strip():
            try:
                boxes.append(_box(line))
            except Wrong as wrong:
                findings.append(_finding(file, place, wrong))
    if findings:
        raise EvaluatorError(f"{file} is no annotation of ExDark's form.", findings)
    return boxes


def read_annotations(folder: Path, cases: Sequence[str] | None = None) -> dict[str, list[Box]]:
    """Read the annotation files below a folder.

    Args:
        folder: holds `NAME.txt` for each image NAME, in folders of any depth.
        cases: ids of the images wanted, every one of which must have its file; all that are there if not given.

    Returns:
        The objects of every case, in the cases' order (else sorted).

    Raises:
        EvaluatorError: files are missing, twice there, or not as they must be; the findings name them all.
    """
    wanted = None if cases is None else set(cases)
    files: dict[str, Path] = {}
    findings: list[Finding] = []
    for file in sorted(folder.rglob("*.txt")):
        case = case_of(file.name)
        if file.name == LIST_NAME or file.name.startswith(".") or (wanted is not None and case not in wanted):
            continue
        if files.setdefault(case, file) != file:
            fix = "Remove one."
            findings.append(Finding.error("data-twice", str(file), "one file an image", f"also {files[case]}", fix))
    for case in (c for c in cases or () if c not in files):
        expected = f"{case}.txt, or with the image's suffix before"
        findings.append(Finding.error("data-missing", str(folder), expected, "no such file", "Get the data again."))
    found: dict[str, list[Box]] = {}
    for case in files if cases is None else [c for c in cases if c in files]:
        try:
            found[case] = read_annotation(files[case])
        except EvaluatorError as error:
            findings += error.findings
    if findings:
        raise EvaluatorError(f"The annotations in {folder} are not whole.", findings)
    if not found:
        raise EvaluatorError(f"There is no annotation file (NAME.txt) in {folder}.")
    return found


def _lines(file: Path) -> list[str]:
    try:
        return read_bounded(file, _BYTES).decode("utf-8").splitlines()
    except Wrong as wrong:
        raise EvaluatorError(f"{file} cannot be used.", [_finding(file, 1, wrong)]) from None
    except UnicodeDecodeError:
        raise EvaluatorError(f"{file} is no text in UTF-8.") from None


def _entry(line: str) -> Entry:
    fields = line.split()
    if len(fields) != 5:
        raise Wrong("name, class, light, in/out, part", shown(line))
    kind, light, place, part = (
        _whole(text, what, most)
        for text, what, most in zip(fields[1:], ("class", "light", "in/out", "part"), (12, 10, 2, 3), strict=True)
    )
    return Entry(fields[0], CLASSES[kind - 1], LIGHTS[light - 1], place == 1, list(PARTS)[part - 1])


def _whole(text: str, what: str, most: int) -> int:
    found = number(text, what, 1, most)
    if not found.is_integer():
        raise Wrong(f"{what}: a whole number from 1 to {most}", shown(text))
    return int(found)


def _box(line: str) -> Box:
    fields = line.split()
    if len(fields) != _FIELDS:
        raise Wrong("a class, l t w h, and seven more numbers", shown(line))
    name, left, top, width, height, *others = fields
    if name not in CLASSES:
        raise Wrong(f"a class of {', '.join(CLASSES)}", shown(name) + did_you_mean(name, CLASSES))
    sides = [number(text, what, 0, PIXEL_LIMIT) for text, what in ((width, "width"), (height, "height"))]
    if 0 in sides:
        raise Wrong("a box with sides above 0", f"{width} × {height}")
    flags = [number(text, "one of the last seven", -PIXEL_LIMIT, PIXEL_LIMIT) for text in others]
    corner = [number(text, what, -PIXEL_LIMIT, PIXEL_LIMIT) for text, what in ((left, "left"), (top, "top"))]
    return Box(name, corner[0], corner[1], sides[0], sides[1], difficult=flags[5] != 0)


def _finding(file: Path, line: int, wrong: Wrong) -> Finding:
    return Finding.error("data-annotation", f"{file}:{line}", wrong.expected, wrong.got, "Get the file again.")
