"""`detections.csv`: what a detector found in the images of a set, one box a line."""

from __future__ import annotations

from pathlib import Path

from evaluator.findings import Finding
from evaluator.metrics.detection import Detection
from evaluator.tasks.tables import PIXEL_LIMIT, Row, Wrong, read_bounded, rows

HEADER = ("case", "class", "score", "left", "top", "width", "height")
_SCORE_LIMIT = 1e9
_LISTED = 1000
"""Findings after which a file is read no further: it is of another kind."""


def read_detections(file: Path) -> tuple[list[Detection], list[Finding]]:
    """Read `detections.csv`: a header, then `case,class,score,left,top,width,height` in pixels, one box a line.

    Args:
        file: at most 128 MiB and 1,000,000 rows.

    Returns:
        The boxes of the lines that are as they must be, in the file's order, and a finding for each that is not.

    Raises:
        EvaluatorError: the file cannot be read.
    """
    found: list[Detection] = []
    findings: list[Finding] = []
    try:
        data = read_bounded(file)
    except Wrong as wrong:
        return [], [_finding(str(file), wrong)]
    for row in rows(data, HEADER):
        try:
            if not isinstance(row, Row):
                raise row[1]
            found.append(_detection(row))
        except Wrong as wrong:
            line = row.line if isinstance(row, Row) else row[0]
            findings.append(_finding(f"{file}:{line}", wrong))
            if len(findings) == _LISTED:
                break
    return found, findings


def _detection(row: Row) -> Detection:
    return Detection(
        case=row.name("case"),
        class_name=row.name("class"),
        score=row.number("score", -_SCORE_LIMIT, _SCORE_LIMIT),
        left=row.number("left", -PIXEL_LIMIT, PIXEL_LIMIT),
        top=row.number("top", -PIXEL_LIMIT, PIXEL_LIMIT),
        width=row.side("width"),
        height=row.side("height"),
    )


def _finding(place: str, wrong: Wrong) -> Finding:
    return Finding.error("detections", place, wrong.expected, wrong.got, "Nothing is guessed: correct the line.")
