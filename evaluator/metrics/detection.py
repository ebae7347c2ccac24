"""Mean average precision by the protocol of PASCAL VOC: what a fixed detector finds in restored images.

A number of a whole set: detections of all images are ranked together, so no image has a value of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from evaluator.metrics.contract import NotApplicable, SetContract

Variant = Literal["map.voc07", "map.voc"]
"""`map.voc07` samples the curve at 11 recalls; `map.voc` takes the area under it."""

OVERLAP = 0.5
"""Intersection over union that a hit must exceed."""


@dataclass(frozen=True, slots=True)
class Box:
    """One object of the truth, in pixels: it reaches from `left` to `left + width`, both pixels included."""

    class_name: str
    left: float
    top: float
    width: float
    height: float
    difficult: bool = False
    """A difficult object need not be found; finding it counts neither way."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One box that a detector reports, in pixels, as in `Box`."""

    case: str
    class_name: str
    score: float
    left: float
    top: float
    width: float
    height: float


Truth = Mapping[str, Sequence[Box]]
"""Case → its objects; a case without objects has an empty sequence."""


class Verdict(StrEnum):
    """What became of one detection."""

    HIT = "hit"
    DUPLICATE = "duplicate"
    """It overlaps most with an object that a detection of a higher score has found: a false positive."""
    MISS = "miss"
    """It overlaps no object enough: a false positive."""
    IGNORED = "ignored"
    """It overlaps most, and enough, with a difficult object: counted neither way."""


@dataclass(frozen=True)
class ClassPrecision:
    """The average precision of one class, 0 to 1, and what it was counted from."""

    value: float
    objects: int
    """Objects to be found: those that are not difficult."""
    difficult: int
    detections: int
    hits: int
    duplicates: int
    misses: int
    ignored: int


@dataclass(frozen=True)
class MeanPrecision:
    """The mean over the classes that have objects to be found."""

    variant: Variant
    value: float
    classes: Mapping[str, ClassPrecision]
    """By class, sorted by name."""
    without_truth: Mapping[str, int]
    """Classes that were detected but have nothing to be found, left out: class → number of its detections."""


def intersection_over_union(one: Box | Detection, other: Box | Detection) -> float:
    """Return the overlap of two boxes, 0 to 1; the last pixel of a box belongs to it, so a side is `width + 1` long."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left) + 1
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top) + 1
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    areas = (one.width + 1) * (one.height + 1) + (other.width + 1) * (other.height + 1)
    return shared / (areas - shared)


def judge_detections(detections: Sequence[Detection], truth: Truth, class_name: str) -> list[tuple[Detection, Verdict]]:
    """Return the detections of one class from the highest score down, each with what became of it.

    Each is compared with the object of its class and image that it overlaps most (the first of equals), whether or not
    that one was found before. Equal scores keep their order in `detections`.

    Args:
        detections: of any class and case, in any order.
        truth: the objects of every case.
        class_name: the class that is judged.
    """
    ranked = sorted((d for d in detections if d.class_name == class_name), key=lambda d: -d.score)
    wanted = {case: [b for b in truth.get(case, ()) if b.class_name == class_name] for case in {d.case for d in ranked}}
    found: set[tuple[str, int]] = set()
    judged = []
    for detection in ranked:
        overlaps = [intersection_over_union(detection, box) for box in wanted[detection.case]]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
        if best is None or overlaps[best] <= OVERLAP:
            verdict = Verdict.MISS
        elif wanted[detection.case][best].difficult:
            verdict = Verdict.IGNORED
        elif (detection.case, best) in found:
            verdict = Verdict.DUPLICATE
        else:
            found.add((detection.case, best))
            verdict = Verdict.HIT
        judged.append((detection, verdict))
    return judged


def average_precision(
    detections: Sequence[Detection], truth: Truth, class_name: str, variant: Variant
) -> ClassPrecision:
    """Return the average precision of one class, 0 to 1.

    Args:
        detections: of any class and case; only those of `class_name` count.
        truth: the objects of every case.
        class_name: the class.
        variant: `map.voc07` or `map.voc`.

    Raises:
        NotApplicable: the class has no object to be found, so recall is not defined.
    """
    boxes = [box for objects in truth.values() for box in objects if box.class_name == class_name]
    objects = sum(not box.difficult for box in boxes)
    if not objects:
        raise NotApplicable(f"needs an object of class {class_name} that is not difficult; there is none")
    judged = judge_detections(detections, truth, class_name)
    count = Counter(verdict for _, verdict in judged)
    steps = _curve([verdict for _, verdict in judged], objects)
    return ClassPrecision(
        value=_at_eleven_recalls(steps) if variant == "map.voc07" else _area(steps, objects),
        objects=objects,
        difficult=len(boxes) - objects,
        detections=len(judged),
        hits=count[Verdict.HIT],
        duplicates=count[Verdict.DUPLICATE],
        misses=count[Verdict.MISS],
        ignored=count[Verdict.IGNORED],
    )


def mean_average_precision(detections: Sequence[Detection], truth: Truth, variant: Variant) -> MeanPrecision:
    """Return the average precision of every class that has objects to be found, and their mean, 0 to 1.

    Args:
        detections: of all cases, in any order; those of cases that `truth` does not hold are false positives.
        truth: the objects of every case.
        variant: `map.voc07` or `map.voc`.

    Raises:
        NotApplicable: no class has an object to be found.
    """
    names = sorted({box.class_name for objects in truth.values() for box in objects if not box.difficult})
    if not names:
        raise NotApplicable("needs an object that is not difficult; there is none in any image")
    by_class: dict[str, list[Detection]] = {name: [] for name in names}
    for detection in detections:
        by_class.setdefault(detection.class_name, []).append(detection)
    classes = {name: average_precision(by_class[name], truth, name, variant) for name in names}
    without = {name: len(by_class[name]) for name in sorted(by_class) if name not in classes}
    return MeanPrecision(variant, math.fsum(c.value for c in classes.values()) / len(names), classes, without)


def _curve(verdicts: Sequence[Verdict], objects: int) -> list[tuple[float, float]]:
    """Return for every hit the recall it reaches, and the highest precision at that recall or more."""
    steps = []
    hits = counted = 0
    for verdict in verdicts:
        hits += verdict is Verdict.HIT
        counted += verdict is not Verdict.IGNORED
        if verdict is Verdict.HIT:
            steps.append((hits / objects, hits / counted))
    best = 0.0
    for place in range(len(steps) - 1, -1, -1):
        best = max(best, steps[place][1])
        steps[place] = steps[place][0], best
    return steps


def _area(steps: Sequence[tuple[float, float]], objects: int) -> float:
    return math.fsum(precision for _, precision in steps) / objects  # every hit adds 1/objects of recall


def _at_eleven_recalls(steps: Sequence[tuple[float, float]]) -> float:
    # 0.1 · k as the published code has it: at k = 3, 6 and 7 it lies one unit in the last place above 0.3, 0.6, 0.7.
    at = [next((precision for recall, precision in steps if recall >= 0.1 * k), 0.0) for k in range(11)]
    return math.fsum(at) / 11


_AREA = SetContract(
    id="map.voc",
    version=1,
    title="Mean average precision (VOC 2010 and later), area under the curve",
    direction="higher",
    unit="",
    worst=0.0,
    decimals=4,
    takes="boxes with class and score, as the detector gives them; its own threshold, suppression and box limit stay "
    "its own (RFBNet's: scores from 0.005, suppression at 0.45, 300 boxes an image)",
    overlap="intersection over union above 0.5 (0.5 itself is too little); the last pixel of a box belongs to it, so a "
    "side is 1 longer than the difference of its corners",
    matching="by falling score over all images; each detection is held against the object of its class that it "
    "overlaps most, and if that was found already it is a false positive, even if it overlaps another one enough",
    ignored="difficult objects need not be found, and finding one counts neither way",
    ties="equal scores keep the order of the rows",
    curve="area under precision over recall, each precision raised to the highest at that recall or more",
    aggregation="mean of the classes that have objects to be found; classes without are left out and named",
    verb="evaluate metrics detections",
    source="VOC development kit; ruinmessi/RFBNet@0f1d836 data/voc_eval.py",
    used_by="detection on VOC 2010 and later, perhaps ExDark (its tables do not say which); published × 100",
)

CONTRACTS = (
    replace(
        _AREA,
        id="map.voc07",
        title="Mean average precision (VOC 2007), 11 points",
        curve="mean of the highest precision at a recall of at least k·0.1, k from 0 to 10, 0 where there is none; "
        "k·0.1 in double precision, so a recall of exactly 0.3, 0.6 or 0.7 does not reach its point",
        used_by="detection on VOC 2007, perhaps ExDark (its tables do not say which); published × 100",
    ),
    _AREA,
)
