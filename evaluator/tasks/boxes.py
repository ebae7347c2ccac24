"""The objects in the images of a set, as one table: the truth against which detections are scored."""

from __future__ import annotations

from pathlib import Path

from evaluator.findings import EvaluatorError, Finding
from evaluator.metrics.detection import Box
from evaluator.tasks.tables import PIXEL_LIMIT, Row, Wrong, read_bounded, rows

HEADER = ("case", "class", "left", "top", "width", "height")
DIFFICULT = "difficult"
_LISTED = 1000


def read_boxes(file: Path) -> dict[str, list[Box]]:
    """Read a table of objects: `case,class,left,top,width,height` in pixels, and `difficult` (0 or 1) if wanted.

    A line with nothing but a case is an image without objects.

    Args:
        file: at most 128 MiB and 1,000,000 rows.

    Returns:
        The objects of every case, in the file's order.

    Raises:
        EvaluatorError: it cannot be read, or a line is not as it must be; the findings name every such line.
    """
    found: dict[str, list[Box]] = {}
    findings: list[Finding] = []
    try:
        for row in rows(read_bounded(file), HEADER, DIFFICULT):
            try:
                if not isinstance(row, Row):
                    raise row[1]
                objects = found.setdefault(row.name("case"), [])
                if any(row.fields[column] for column in (*HEADER[1:], DIFFICULT)):
                    objects.append(_box(row))
            except Wrong as wrong:
                findings.append(_finding(f"{file}:{row.line if isinstance(row, Row) else row[0]}", wrong))
                if len(findings) == _LISTED:
                    break
    except Wrong as wrong:
        findings.append(_finding(str(file), wrong))
    if findings:
        raise EvaluatorError(f"{file} is no table of objects.", findings)
    return found


def _box(row: Row) -> Box:
    difficult = row.fields[DIFFICULT]
    if difficult not in ("", "0", "1"):
        raise Wrong("difficult: 0 or 1", ascii(difficult[:20]))
    return Box(
        class_name=row.name("class"),
        left=row.number("left", -PIXEL_LIMIT, PIXEL_LIMIT),
        top=row.number("top", -PIXEL_LIMIT, PIXEL_LIMIT),
        width=row.side("width"),
        height=row.side("height"),
        difficult=difficult == "1",
    )


def _finding(place: str, wrong: Wrong) -> Finding:
    return Finding.error("data-annotation", place, wrong.expected, wrong.got, "Correct the line.")
