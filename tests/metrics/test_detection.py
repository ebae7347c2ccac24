"""Mean average precision: worked out by hand, beside pycocotools where both define the same, and its laws."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.metrics import NotApplicable
from evaluator.metrics.detection import (
    CONTRACTS,
    Box,
    Detection,
    Variant,
    Verdict,
    average_precision,
    intersection_over_union,
    judge_detections,
    mean_average_precision,
)

VARIANTS: tuple[Variant, ...] = ("map.voc07", "map.voc")
HERE = (0, 0, 9, 9)  # 10 × 10 pixels
ELSEWHERE = (50, 50, 9, 9)


def box(place: tuple[float, float, float, float] = HERE, name: str = "Cat", difficult: bool = False) -> Box:
    return Box(name, *place, difficult=difficult)


def seen(case: str, score: float, place: tuple[float, float, float, float] = HERE, name: str = "Cat") -> Detection:
    return Detection(case, name, score, *place)


def values(detections: Sequence[Detection], truth: dict[str, list[Box]]) -> tuple[float, float]:
    eleven, area = (average_precision(detections, truth, "Cat", v).value for v in VARIANTS)
    return eleven, area


def verdicts(detections: Sequence[Detection], truth: dict[str, list[Box]]) -> list[str]:
    return [verdict.value for _, verdict in judge_detections(detections, truth, "Cat")]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 9, 9), (0, 0, 9, 9), 1.0),
        ((0, 0, 9, 9), (0, 0, 9, 4), 50 / 100),  # 10×5 of 10×10 pixels
        ((0, 0, 2, 2), (0, 0, 2, 1), 6 / 9),  # 3×2 of 3×3 pixels; without the last pixel it would be 2/4
        ((0, 0, 9, 9), (5, 5, 9, 9), 25 / 175),  # 5×5 shared of 100 + 100 − 25
        ((0, 0, 9, 9), (9, 9, 9, 9), 1 / 199),  # the corner pixel is shared
        ((0, 0, 9, 9), (10, 0, 9, 9), 0.0),  # side by side
        ((0, 0, 9, 9), (0, 11, 9, 9), 0.0),
        ((-4, 0, 9, 9), (0.5, 0, 9, 9), (5.5 * 10) / (200 - 55)),  # from 0.5 to 5, the last pixel included
    ],
)
def test_overlap_counts_the_last_pixel_of_each_box(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float], expected: float
) -> None:
    assert intersection_over_union(box(one), box(other)) == pytest.approx(expected, abs=1e-15)
    assert intersection_over_union(box(other), box(one)) == pytest.approx(expected, abs=1e-15)


def test_an_overlap_of_one_half_is_too_little() -> None:
    truth = {"a": [box()]}
    assert verdicts([seen("a", 1, (0, 0, 9, 4))], truth) == ["miss"]
    assert verdicts([seen("a", 1, (0, 0, 9, 4.01))], truth) == ["hit"]
    assert verdicts([seen("a", 1, (0, 0, 2, 1))], {"a": [box((0, 0, 2, 2))]}) == ["hit"]


def test_curve_by_hand() -> None:
    # Four objects, one an image. By falling score: a hit, a miss in b, b hit, a again, c hit; d is never found.
    # Recall and precision at the hits: 1/4 and 1/1, 2/4 and 2/3, 3/4 and 3/5; they fall, so nothing is raised.
    truth = {case: [box()] for case in "abcd"}
    detections = [seen("a", 0.9), seen("b", 0.8, ELSEWHERE), seen("b", 0.7), seen("a", 0.6), seen("c", 0.5)]
    eleven, area = values(detections, truth)
    # Area: a quarter of recall at each of the three. Points: 0, .1, .2 have 1; .3, .4, .5 have 2/3; .6, .7 have 3/5.
    assert area == pytest.approx((1 + 2 / 3 + 3 / 5) / 4, abs=1e-15)
    assert eleven == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11, abs=1e-15)
    found = average_precision(detections, truth, "Cat", "map.voc")
    assert (found.objects, found.detections) == (4, 5)
    assert (found.hits, found.duplicates, found.misses, found.ignored) == (3, 1, 1, 0)


def test_precision_is_raised_to_the_highest_at_that_recall_or_more() -> None:
    # Two objects; a miss, then both hits: precisions 1/2 and 2/3, so 2/3 from recall 0 on.
    truth = {"a": [box(), box(ELSEWHERE)]}
    detections = [seen("a", 0.9, (200, 0, 9, 9)), seen("a", 0.8), seen("a", 0.7, ELSEWHERE)]
    assert values(detections, truth) == pytest.approx((2 / 3, 2 / 3), abs=1e-15)


@pytest.mark.parametrize("hits", range(11))
def test_a_recall_of_exactly_three_six_or_seven_tenths_does_not_reach_its_point(hits: int) -> None:
    # Ten objects, `hits` found, nothing wrong: precision 1 up to recall hits/10. In double precision 0.1·3, 0.1·6 and
    # 0.1·7 are above 0.3, 0.6 and 0.7, and the published code compares with them.
    truth = {str(n): [box()] for n in range(10)}
    eleven, area = values([seen(str(n), 1 - n / 100) for n in range(hits)], truth)
    reached = hits + (hits not in (3, 6, 7)) if hits else 0
    assert area == pytest.approx(hits / 10, abs=1e-15)
    assert eleven == pytest.approx(reached / 11, abs=1e-15)


def test_the_eleven_points_are_those_of_the_published_code() -> None:
    assert np.arange(0.0, 1.1, 0.1).tolist() == [0.1 * k for k in range(11)]


def test_the_second_hit_of_an_object_is_a_false_positive_even_beside_another_object() -> None:
    # The second box lies on the first object, and overlaps the other by 110 of 132 pixels: VOC does not move on to it.
    beside = (0, 1, 10, 10)
    truth = {"a": [box((0, 0, 10, 10)), box(beside)]}
    detections = [seen("a", 0.9, (0, 0, 10, 10)), seen("a", 0.8, (0, 0, 10, 10)), seen("a", 0.7, beside)]
    assert intersection_over_union(*truth["a"]) == pytest.approx(110 / 132)
    assert verdicts(detections, truth) == ["hit", "duplicate", "hit"]


def test_of_two_objects_that_overlap_equally_the_first_is_taken() -> None:
    truth = {"a": [box(difficult=True), box()]}
    assert verdicts([seen("a", 1)], truth) == ["ignored"]


def test_difficult_objects_count_neither_way() -> None:
    truth = {"a": [box(), box(ELSEWHERE, difficult=True)]}
    both = [seen("a", 0.9, ELSEWHERE), seen("a", 0.8, ELSEWHERE), seen("a", 0.7)]
    assert verdicts(both, truth) == ["ignored", "ignored", "hit"]
    assert values(both, truth) == (1.0, 1.0)
    found = average_precision(both, truth, "Cat", "map.voc")
    assert (found.objects, found.difficult, found.ignored, found.detections) == (1, 1, 2, 3)


def test_equal_scores_keep_the_order_of_the_rows() -> None:
    truth = {"a": [box()]}
    right, wrong = seen("a", 0.5), seen("a", 0.5, ELSEWHERE)
    assert values([right, wrong], truth) == (1.0, 1.0)
    assert values([wrong, right], truth) == (0.5, 0.5)


def test_other_classes_and_images_are_no_help() -> None:
    truth = {"a": [box()], "b": [box(name="Dog")]}
    assert verdicts([seen("b", 0.9), seen("a", 0.8, name="Dog"), seen("a", 0.7)], truth) == ["miss", "hit"]


def test_the_mean_is_over_the_classes_that_have_objects_to_be_found() -> None:
    truth = {"a": [box(), box(name="Dog"), box(ELSEWHERE, "Bus", difficult=True)], "b": []}
    detections = [seen("a", 0.9), seen("b", 0.8, name="Cow"), seen("a", 0.7, ELSEWHERE, "Bus"), seen("b", 0.6)]
    found = mean_average_precision(detections, truth, "map.voc")
    assert {name: c.value for name, c in found.classes.items()} == {"Cat": 1.0, "Dog": 0.0}
    assert found.value == 0.5
    assert found.without_truth == {"Bus": 1, "Cow": 1}
    with pytest.raises(NotApplicable, match="object of class Bus"):
        average_precision(detections, truth, "Bus", "map.voc")
    with pytest.raises(NotApplicable, match="none in any image"):
        mean_average_precision(detections, {"a": []}, "map.voc")


def test_no_detection_at_all_is_zero() -> None:
    assert values([], {"a": [box()]}) == (0.0, 0.0)


# --- beside pycocotools -------------------------------------------------------------------------------------------

Scene = tuple[list[Detection], dict[str, list[Box]]]


def scene(objects: int, seed: int) -> Scene:
    """Objects far apart and large, so that neither the last pixel nor COCO's way to match decides anything."""
    random = np.random.default_rng(seed)
    truth: dict[str, list[Box]] = {str(n): [] for n in range(3)}
    detections: list[Detection] = []
    for n in range(objects):
        case, place = str(random.integers(3)), (300.0 * n, 0.0, 200.0, 200.0)
        truth[case].append(box(place))
        for _ in range(random.integers(3)):  # not found, found, or found twice
            detections.append(seen(case, float(random.random()), (place[0] + 5, 5, 195, 195)))
        for _ in range(random.integers(2)):  # 0.4 of the object is not enough
            detections.append(seen(case, float(random.random()), (place[0], 0, 80, 200)))
    return detections, truth


def coco_precision(detections: Sequence[Detection], truth: dict[str, list[Box]]) -> float:
    """Return pycocotools' average precision at an overlap of 0.5: precision at 101 recalls, averaged."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    ids = {case: number for number, case in enumerate(truth, 1)}
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        number = count(1)
        known.dataset = {
            "info": {},
            "images": [{"id": i} for i in ids.values()],
            "categories": [{"id": 1}],
            "annotations": [
                {
                    "id": next(number),
                    "image_id": ids[case],
                    "category_id": 1,
                    "bbox": [b.left, b.top, b.width, b.height],
                    "area": b.width * b.height,
                    "iscrowd": 0,
                }
                for case, boxes in truth.items()
                for b in boxes
            ],
        }
        known.createIndex()
        found = known.loadRes(
            [
                {
                    "image_id": ids[d.case],
                    "category_id": 1,
                    "bbox": [d.left, d.top, d.width, d.height],
                    "score": d.score,
                }
                for d in detections
            ]
        )
        judge = COCOeval(known, found, "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, 0, 0, 2].mean())


@pytest.mark.parametrize("objects", [4, 5, 25])
@pytest.mark.parametrize("seed", range(6))
def test_area_is_that_of_pycocotools_where_its_recalls_fall_evenly_between_ours(objects: int, seed: int) -> None:
    # With n objects and n a divisor of 100, each step of recall 1/n holds 100/n of the recalls 0.01 … 1.00, so their
    # sum is 100 times the area; recall 0 is one more, and has the highest precision of all. (Of 10, 20, 50 and 100
    # objects, some recall lies one rounding below pycocotools' point.)
    detections, truth = scene(objects, seed)
    best = max((p for p in _precisions(detections, truth)), default=0.0)
    area = average_precision(detections, truth, "Cat", "map.voc").value
    assert area > 0
    assert coco_precision(detections, truth) == pytest.approx((100 * area + best) / 101, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_area_is_near_that_of_pycocotools_for_any_number_of_objects(seed: int) -> None:
    # Precision falls from at most 1 to at least 0, so a sum over 100 equal steps is off by at most 1/100; the 101st
    # recall moves the mean by at most 1/101.
    detections, truth = scene(7 + seed, 50 + seed)
    area = average_precision(detections, truth, "Cat", "map.voc").value
    assert abs(coco_precision(detections, truth) - area) <= 1 / 100 + 1 / 101


def _precisions(detections: Sequence[Detection], truth: dict[str, list[Box]]) -> list[float]:
    judged = [verdict is Verdict.HIT for _, verdict in judge_detections(detections, truth, "Cat")]
    return [sum(judged[:n]) / n for n in range(1, len(judged) + 1)]


# --- laws ---------------------------------------------------------------------------------------------------------

CASES, NAMES = ("a", "b", "c"), ("Cat", "Dog")
places = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 12), st.integers(1, 12))
truths = st.fixed_dictionaries(
    {
        case: st.lists(st.tuples(st.sampled_from(NAMES), places, st.booleans()), unique_by=lambda b: b[:2], max_size=4)
        for case in CASES
    }
).map(lambda t: {case: [Box(n, *p, difficult=d) for n, p, d in boxes] for case, boxes in t.items()})
truths = truths.filter(lambda t: any(not b.difficult for boxes in t.values() for b in boxes))
reports = st.lists(
    st.tuples(st.sampled_from(CASES), st.sampled_from(NAMES), st.integers(1, 10**6), places),
    unique_by=lambda d: d[2],
    max_size=20,
).map(lambda rows: [Detection(case, name, score / 10**6, *place) for case, name, score, place in rows])
variants = st.sampled_from(VARIANTS)


@given(reports, truths, variants)
def test_it_lies_between_0_and_1_and_every_detection_is_accounted_for(
    detections: list[Detection], truth: dict[str, list[Box]], variant: Variant
) -> None:
    found = mean_average_precision(detections, truth, variant)
    assert 0 <= found.value <= 1
    for each in found.classes.values():
        assert 0 <= each.value <= 1
        assert each.hits + each.duplicates + each.misses + each.ignored == each.detections
        assert each.hits <= each.objects
        if variant == "map.voc":
            assert each.value <= each.hits / each.objects + 1e-12
    counted = sum(c.detections for c in found.classes.values()) + sum(found.without_truth.values())
    assert counted == len(detections)


@given(truths, variants, st.randoms())
def test_perfect_detections_have_1(truth: dict[str, list[Box]], variant: Variant, random: object) -> None:
    perfect = [
        Detection(case, b.class_name, n + 0.5, b.left, b.top, b.width, b.height)
        for n, (case, b) in enumerate((case, b) for case, boxes in truth.items() for b in boxes)
    ]
    random.shuffle(perfect)  # type: ignore[attr-defined]
    assert mean_average_precision(perfect, truth, variant).value == 1


@given(reports, truths, variants, st.randoms())
def test_the_order_of_rows_of_different_scores_does_not_matter(
    detections: list[Detection], truth: dict[str, list[Box]], variant: Variant, random: object
) -> None:
    before = mean_average_precision(detections, truth, variant)
    shuffled = list(detections)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_average_precision(shuffled, truth, variant) == before


@given(reports, truths, variants)
def test_a_false_positive_below_all_others_changes_nothing_and_above_all_others_raises_nothing(
    detections: list[Detection], truth: dict[str, list[Box]], variant: Variant
) -> None:
    before = mean_average_precision(detections, truth, variant).value
    for name in NAMES:
        below, above = (Detection("a", name, score, 500, 500, 5, 5) for score in (-1, 2))
        assert mean_average_precision([*detections, below], truth, variant).value == before
        assert mean_average_precision([*detections, above], truth, variant).value <= before


@given(reports, truths, variants)
def test_only_the_order_of_scores_matters(
    detections: list[Detection], truth: dict[str, list[Box]], variant: Variant
) -> None:
    scaled = [Detection(d.case, d.class_name, 3 * d.score - 7, d.left, d.top, d.width, d.height) for d in detections]
    assert (
        mean_average_precision(scaled, truth, variant).value == mean_average_precision(detections, truth, variant).value
    )


# --- contracts ----------------------------------------------------------------------------------------------------


def test_contracts_say_all_and_are_no_metrics_of_images() -> None:
    assert [c.id for c in CONTRACTS] == list(VARIANTS) == list(metrics.set_contracts())
    assert not set(VARIANTS) & set(metrics.ids())
    for contract in CONTRACTS:
        assert metrics.contract_of(contract.id) is contract
        for field in ("title", "takes", "overlap", "matching", "ignored", "ties", "curve", "aggregation", "source"):
            assert getattr(contract, field), field
    with pytest.raises(EvaluatorError, match=r"only a whole set of detections: evaluate metrics detections"):
        metrics.get("map.voc")
    with pytest.raises(EvaluatorError, match=r"There are map.voc07, map.voc\."):
        metrics.get("map")
    assert metrics.contract_of("psnr.f64") is metrics.get("psnr.f64").contract
