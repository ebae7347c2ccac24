"""Too little light: darker by the stated factor, uneven, noisy; boxes lie in their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.metrics import niqe
from evaluator.tasks.mini import dark
from evaluator.tasks.mini.light import srgb_to_linear
from evaluator.tasks.mini.photographs import photograph

# The twelve classes of ExDark.
CLASSES = {
    "Bicycle", "Boat", "Bottle", "Bus", "Car", "Cat", "Chair", "Cup", "Dog", "Motorbike", "People", "Table",
}  # fmt: skip


@pytest.mark.parametrize("exposure", dark.EXPOSURES)
@pytest.mark.parametrize("number", [0, 1])
def test_light_falls_off_from_one_side_to_a_quarter(exposure: int, number: int) -> None:
    clean = np.full((400, 300, 3), 220, np.uint8)
    image = dark.darken(clean, exposure, number)
    share = srgb_to_linear(image / 255.0).mean(axis=(0, 2)) / float(srgb_to_linear(np.array(220 / 255.0)))
    wanted = np.linspace(1, 0.25, 300)[:: -1 if number else 1] / exposure
    smooth = np.convolve(share, np.ones(15) / 15, mode="valid")
    assert smooth == pytest.approx(wanted[7:-7], rel=0.05)


def test_darker_pictures_keep_less_of_the_scene() -> None:
    clean = photograph("coffee")
    fits = []
    for exposure in dark.EXPOSURES:
        light = srgb_to_linear(dark.darken(clean, exposure, 0) / 255.0)
        fits.append(np.corrcoef(light.ravel(), srgb_to_linear(clean / 255.0).ravel())[0, 1])
    assert fits == sorted(fits, reverse=True)


@pytest.mark.parametrize("generate", [dark.generate, dark.generate_boxes])
def test_pictures_are_dark_and_not_black(generate: object) -> None:
    assert callable(generate)
    for case in generate():
        image = case.inputs["input"]
        assert 4 < image.mean() < 70, case.case
        assert np.percentile(image, 99) > 20, case.case


def test_niqe_is_defined_and_well_conditioned() -> None:
    for case in dark.generate():
        image = case.inputs["input"]
        assert min(image.shape[:2]) >= 4 * niqe.BLOCK
        gray = niqe.gray_live(image.astype(np.float64), 255.0)
        # Exactly flat parts, such as clipped black, make it ill-conditioned.
        assert niqe.flat_fraction(gray) < 0.001
        assert np.isfinite(niqe.block_features(niqe.mscn(gray), niqe.BLOCK)).all()


def test_boxes_lie_in_their_pictures_and_have_known_classes() -> None:
    found = set()
    for case in dark.generate_boxes():
        height, width = case.inputs["input"].shape[:2]
        assert case.boxes
        for box in case.boxes:
            assert box.class_name in CLASSES
            assert box.width >= 16
            assert box.height >= 16
            assert 0 <= box.left < box.left + box.width <= width
            assert 0 <= box.top < box.top + box.height <= height
            found.add(box.class_name)
    assert found == {"Cat", "People", "Cup", "Table", "Motorbike", "Bicycle", "Bottle"}


def test_the_same_things_have_boxes_at_every_exposure_and_move_by_their_disparity() -> None:
    boxes: dict[str, set[object]] = {}
    for case in dark.generate_boxes():
        boxes.setdefault(case.case.rpartition("-")[0], set()).add(case.boxes)
    assert all(len(kinds) == 1 for kinds in boxes.values())
    ((left,), (right,)) = boxes["motorcycle-left"], boxes["motorcycle-right"]
    moved = {a.class_name: a.left - b.left for a, b in zip(left, right, strict=True) if a.left}
    # The measured disparity: 40 to 60 px on the motorcycle, 15 to 21 on the shelf.
    assert 38 <= moved["Motorbike"] <= 60
    assert 12 <= moved["Bottle"] <= 22
