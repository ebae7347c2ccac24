"""Detections in restored images against the objects that are there: findings first, then both mean precisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding, did_you_mean, has_errors, some
from evaluator.ingest import read_detections
from evaluator.metrics import NotApplicable
from evaluator.metrics.detection import Box, Detection, MeanPrecision, mean_average_precision
from evaluator.tasks.boxes import read_boxes
from evaluator.tasks.exdark import LIST_NAME, PARTS, case_of, part_warnings, read_annotations, read_list


@dataclass(frozen=True)
class DetectionScores:
    """Both variants, unless a finding of severity error says why there is none."""

    cases: int
    findings: tuple[Finding, ...]
    by_variant: Mapping[str, MeanPrecision]


def score_detections(
    detections: Path, truth: Path, *, part: str | None = None, left_out: Collection[str] = ()
) -> DetectionScores:
    """Score a file of detections.

    Args:
        detections: `detections.csv`; see `evaluator.ingest.read_detections`. Cases are named as in the truth; for a
            folder, by the image's name, with or without its suffix and the folder of its class.
        truth: a table (see `evaluator.tasks.boxes`), or a folder of ExDark's annotation files.
        part: `train`, `validation` or `test`: only the images of this part of `imageclasslist.txt`, which must lie at
            the top of the folder. All images if not given.
        left_out: classes that do not count (such as those that the detector does not know).

    Raises:
        EvaluatorError: the truth cannot be used, or a class left out is none of its classes.
    """
    objects, findings = _read_truth(truth, part)
    known = {box.class_name for boxes in objects.values() for box in boxes}
    for name in left_out:
        if name not in known:
            raise EvaluatorError(f"No object of {truth} is of the class {name!r}.{did_you_mean(name, known)}")
    objects = {case: [box for box in boxes if box.class_name not in left_out] for case, boxes in objects.items()}
    found, wrong = read_detections(detections)
    if truth.is_dir():  # of images in folders by class, whose names are all different
        found = [replace(d, case=case_of(d.case.rpartition("/")[2])) for d in found]
    counting = [d for d in found if d.class_name not in left_out]
    findings += wrong + _unknown(counting, objects, known, detections)
    if has_errors(findings):
        return DetectionScores(len(objects), tuple(findings), {})
    try:
        both = {v: mean_average_precision(counting, objects, v) for v in ("map.voc07", "map.voc")}
    except NotApplicable as reason:
        raise EvaluatorError(f"{truth} cannot be scored against: it {reason}.") from None
    return DetectionScores(len(objects), tuple(findings), both)


def _read_truth(truth: Path, part: str | None) -> tuple[dict[str, list[Box]], list[Finding]]:
    if not truth.is_dir():
        if part:
            raise EvaluatorError(f"{truth} is a table, which has no parts; they need a folder with {LIST_NAME}.")
        return read_boxes(truth), []
    if part is None:
        return read_annotations(truth), []
    if part not in PARTS:
        raise EvaluatorError(f"There is no part {part!r}.{did_you_mean(part, PARTS)} ExDark has {', '.join(PARTS)}.")
    entries = read_list(truth / LIST_NAME)
    cases = [entry.case for entry in entries if entry.part == part]
    return read_annotations(truth, cases), part_warnings(entries, truth / LIST_NAME)


def _unknown(
    detections: Sequence[Detection], truth: Mapping[str, Sequence[Box]], known: Collection[str], file: Path
) -> list[Finding]:
    """Return what is said of detections in images, or of classes, that the truth does not hold."""
    findings = []
    strangers = Counter(d.case for d in detections if d.case not in truth)
    if strangers:
        example = next(iter(truth))
        got = f"{sum(strangers.values())} boxes of {len(strangers)} others: {some(sorted(strangers))}"
        fix = f"Name each by its id, as in {example}; leave out images that are not scored."
        findings.append(Finding.error("detections", str(file), f"boxes of the {len(truth)} images", got, fix))
    classes = Counter(d.class_name for d in detections if d.class_name not in known)
    for name, count in sorted(classes.items()):
        hint = did_you_mean(name, known).strip() or f"The truth has {', '.join(sorted(known))}."
        got = f"{count} of {name!a}"
        fix = f"They do not count. {hint}"
        findings.append(Finding.warning("detections", str(file), "classes that the truth holds", got, fix))
    return findings
