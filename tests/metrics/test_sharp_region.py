"""Sharp-region preservation: error map, curve, area and pooling against values worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from evaluator.metrics import NotApplicable, Undefined
from evaluator.metrics.sharp_region import (
    SHARP_REGION,
    THRESHOLDS,
    Curve,
    combined_view,
    error_map,
    pool,
    preservation_curve,
    score,
)

EVERYWHERE = np.ones((4, 6), np.bool_)


def plain(value: int) -> NDArray[np.uint8]:
    return np.full((4, 6, 3), value, np.uint8)


def curve(mask_share: float, area: float, shares: tuple[float, ...] = (0.0, 50.0)) -> Curve:
    return Curve((0.0, 1.0), shares, area, mask_share)


def test_the_error_of_a_pixel_is_the_rms_over_its_channels_as_a_share_of_the_peak() -> None:
    output = plain(100)
    output[1, 2] = (103, 96, 100)  # differences 3, −4, 0
    expected = np.zeros((4, 6))
    expected[1, 2] = math.sqrt(25 / 3) / 255
    found = error_map(plain(100), output, 255)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_array_equal(error_map(plain(0), plain(255), 255), np.ones((4, 6)))
    np.testing.assert_array_equal(error_map(plain(9)[:, :, 0], plain(4)[:, :, 0], 10), np.full((4, 6), 0.5))


@pytest.mark.parametrize("error", range(17))
def test_equal_errors_make_a_step_and_an_error_on_a_threshold_is_not_below_it(error: int) -> None:
    found = preservation_curve(plain(50), plain(50 + error), EVERYWHERE, 255)
    assert found.thresholds == THRESHOLDS == tuple(k / 255 for k in range(17))
    assert found.shares == tuple(100.0 if k > error else 0.0 for k in range(17))
    # S is 0 up to the error and 100 from there to 16/255.
    assert found.area == pytest.approx(100 * (16 - error) / 16, abs=1e-10)
    assert found.mask_share == 1


def test_half_the_pixels_off_by_4_and_half_by_40() -> None:
    output = plain(54)
    output[:, 3:] = 90
    found = preservation_curve(plain(50), output, EVERYWHERE, 255)
    assert found.shares == (0.0,) * 5 + (50.0,) * 12
    assert found.area == pytest.approx(50 * 12 / 16, abs=1e-10)  # errors beyond 16/255 add nothing


def test_identical_images_have_the_full_area() -> None:
    found = score(plain(7), plain(7), EVERYWHERE, 255)
    assert found.value == 100
    assert found.extra == {**{f"below_{k}": 100.0 for k in (1, 2, 4, 8, 16)}, "mask_share": 1.0}
    assert set(found.extra) == set(SHARP_REGION.extra)


def test_the_area_is_the_integral_of_the_curve() -> None:
    random = np.random.default_rng(3)
    before, after = random.random((2, 20, 20, 3)) * 0.05
    mask = random.random((20, 20)) < 0.5
    fine = np.linspace(0, 16 / 255, 20_001)
    sampled = preservation_curve(before, after, mask, 1, list(fine))
    riemann = float(np.mean((np.array(sampled.shares[1:]) + np.array(sampled.shares[:-1])) / 2))
    # Each of the mask's pixels is a jump of S, misplaced by half a step at most.
    assert sampled.area == pytest.approx(riemann, abs=100 / 20_000)
    assert sampled.area == preservation_curve(before, after, mask, 1).area


def test_8_bit_16_bit_and_float_agree_on_thresholds_too() -> None:
    random = np.random.default_rng(4)
    before = random.integers(0, 240, (40, 50, 3)).astype(np.uint8)
    step = random.integers(0, 9, (40, 50, 1)).astype(np.uint8)  # the same in all channels: errors lie on thresholds
    after = before + step * (random.random((40, 50, 3)) < 0.9)
    after = after.astype(np.uint8)
    mask = random.random((40, 50)) < 0.7
    narrow = preservation_curve(before, after, mask, 255)
    wide = preservation_curve(before.astype(np.uint16) * 257, after.astype(np.uint16) * 257, mask, 65535)
    unit = preservation_curve(before / 255, after / 255, mask, 1.0)
    assert narrow.shares == wide.shares == unit.shares
    assert wide.area == pytest.approx(narrow.area, rel=1e-12)
    assert unit.area == pytest.approx(narrow.area, rel=1e-12)


images = hnp.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3])))


@settings(deadline=None)
@given(pair=images, seed=st.integers(0, 99))
def test_curves_rise_to_100_and_areas_lie_between(pair: NDArray[np.uint8], seed: int) -> None:
    mask = np.random.default_rng(seed).random(pair.shape[1:3]) < 0.8
    mask.flat[0] = True
    found = preservation_curve(pair[0], pair[1], mask, 255, [*THRESHOLDS, 0.5, math.inf])
    assert list(found.shares) == sorted(found.shares)
    assert found.shares[0] == 0  # no error is below 0
    assert found.shares[-1] == 100
    assert found.shares[0] <= found.area <= found.shares[16] + 1e-9


def test_only_what_happens_inside_the_mask_matters() -> None:
    before = skimage.data.astronaut()[100:228, 100:228]
    mask = np.zeros((128, 128), np.bool_)
    mask[40:80, 30:100] = True
    blurred = cv2.GaussianBlur(before, (0, 0), 3)
    outside, inside = (np.where((mask == kept)[:, :, None], before, blurred) for kept in (True, False))
    assert score(outside, before, mask, 255).value == 100
    assert score(inside, before, mask, 255).value < 90
    lighter = np.where(mask[:, :, None], cv2.GaussianBlur(before, (0, 0), 0.6), before)
    assert score(inside, before, mask, 255).value < score(lighter, before, mask, 255).value < 100


def test_images_with_small_masks_are_left_out_and_counted() -> None:
    empty = preservation_curve(plain(1), plain(1), ~EVERYWHERE, 255, [0.0, 1.0])
    assert empty.mask_share == 0
    assert math.isnan(empty.area)
    pooled = pool([curve(0.02, 80, (0, 40)), curve(0.9, 60, (10, 60)), curve(0.0199, 0), empty])
    assert (pooled.kept, pooled.dropped) == (2, 2)
    assert pooled.area == 70  # a mean over images, whatever their masks' sizes
    assert pooled.shares == (5, 50)
    assert (pool([curve(0.01, 3), empty], minimum_share=0).kept) == 1
    with pytest.raises(NotApplicable, match="of 1 images"):
        pool([empty])
    with pytest.raises(ValueError, match="thresholds"):
        pool([curve(1, 1), Curve((0.5,), (1.0,), 1.0, 1.0)])


@pytest.mark.parametrize(("pixels", "counts"), [(0, False), (1, False), (2, True), (100, True)])
def test_a_mask_below_2_percent_is_not_applicable(pixels: int, counts: bool) -> None:
    mask = (np.arange(100) < pixels).reshape(10, 10)
    image = np.zeros((10, 10, 3), np.uint8)
    if counts:
        assert score(image, image, mask, 255).extra["mask_share"] == pixels / 100
    else:
        with pytest.raises(NotApplicable, match="left out, as the specification says"):
            score(image, image, mask, 255)


def test_the_combined_view_is_the_unrounded_mean() -> None:
    left, right = np.array([[[255, 1, 0]]], np.uint8), np.array([[[255, 2, 3]]], np.uint8)
    np.testing.assert_array_equal(combined_view(left, right), [[[255, 1.5, 1.5]]])
    with pytest.raises(ValueError, match="nothing is resized"):
        combined_view(left, right[:, :, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": plain(1)[1:]}, "nothing is resized"),
        ({"mask": EVERYWHERE[1:]}, "mask must be bool"),
        ({"mask": EVERYWHERE.astype(np.uint8)}, "mask must be bool"),
        ({"peak": 0}, "peak"),
        ({"peak": math.nan}, "peak"),
        ({"output": np.full((4, 6, 3), np.nan)}, "NaN or infinity"),
        ({"output": np.full((4, 6, 3), np.inf)}, "NaN or infinity"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments: dict[str, Any], message: str) -> None:
    good = {"output": plain(1), "input": plain(1), "mask": EVERYWHERE, "peak": 255}
    with pytest.raises(ValueError, match=message) as caught:
        score(**(good | arguments))
    assert not isinstance(caught.value, NotApplicable)
    assert isinstance(caught.value, Undefined) == ("NaN" in message)


def test_the_contract_names_what_score_returns() -> None:
    assert SHARP_REGION.id == "sharp_region.area"
    assert (SHARP_REGION.direction, SHARP_REGION.unit, SHARP_REGION.worst) == ("higher", "%", 0)
    inverse = score(255 - plain(0), plain(0), EVERYWHERE, 255)
    assert inverse.value == SHARP_REGION.worst
