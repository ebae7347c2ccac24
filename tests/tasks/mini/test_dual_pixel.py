"""Dual pixels: mirrored half apertures, layers that cover each other, masks that hold exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import convolve2d

from evaluator.metrics.focus_mask import match
from evaluator.tasks.mini import dual_pixel
from evaluator.tasks.mini.dual_pixel import DEEPEST, MARGIN, butterworth, half_disc, levels_of, see
from evaluator.tasks.mini.light import SUM, to_light, to_srgb8
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import crops, motorcycle_disparity, window

KERNELS = [half_disc, butterworth]
LEVELS = [1, 2, 3, 8, DEEPEST]
GENERATORS = ("dual_pixel", "dual_pixel_8", "dual_pixel_radial", "dual_pixel_disparity")
Cases = Callable[[str], tuple[Made, ...]]


def places(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    reach = len(kernel) // 2
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return down, across


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("level", LEVELS)
def test_kernels_keep_the_light_and_are_mirror_images(kernels: dual_pixel.Kernels, level: int) -> None:
    kernel = kernels(level)
    assert kernel.sum() == SUM
    assert kernel.min() >= 0
    assert np.array_equal(kernels(-level), kernel[:, ::-1])
    assert not np.array_equal(kernels(-level), kernel)
    # Top and bottom are alike but for what rounding left over.
    assert np.abs(kernel - kernel[::-1]).max() <= 0.002 * SUM


@pytest.mark.parametrize("kernels", KERNELS)
def test_in_focus_a_point_stays_a_point(kernels: dual_pixel.Kernels) -> None:
    assert kernels(0).tolist() == [[SUM]]


@pytest.mark.parametrize("level", [3, 8, DEEPEST])
def test_half_disc_has_its_geometry(level: int) -> None:
    radius = (level + 1) / 2
    kernel = half_disc(level) / SUM
    down, across = places(kernel)
    # The centre of mass of a half disc; the divide runs through a column of pixels, whose centres are not its half's.
    assert (kernel * across).sum() == pytest.approx(4 * radius / (3 * math.pi), abs=0.25 / radius)
    assert (kernel * down).sum() == pytest.approx(0, abs=0.02)
    # A disc's mean square distance is r²/2; a pixel's own extent adds a sixth.
    assert (kernel * (down**2 + across**2)).sum() == pytest.approx(radius**2 / 2 + 1 / 6, rel=0.04)
    assert kernel[np.hypot(down, across) > radius + 0.75].sum() == 0
    assert kernel[across < 0].sum() == 0


def test_butterworth_is_soft_where_the_disc_is_hard() -> None:
    hard, soft = half_disc(11) / SUM, butterworth(11) / SUM
    down, across = places(soft)
    away = np.hypot(down, across)
    # Half the strength at the radius: 1 / (1 + 1); none beyond for the disc.
    row = soft[len(soft) // 2]
    middle = len(row) // 2
    assert row[middle + 6] / row[middle + 3] == pytest.approx(0.5, abs=0.06)
    assert soft[across < 0].sum() > 0.03
    assert soft[away > 6.5].sum() > 10 * hard[away > 6.5].sum()


def test_levels_grow_with_disparity_from_the_focus() -> None:
    disparity = np.arange(0, 60 * 64, 16, dtype=np.int64)[None]
    levels = levels_of(disparity, 30 * 64, 13)[0]
    radius = (disparity[0] / 64 - 30) * 13 / 64
    # Steps of half a px, from the depth of field on, which ends at 0.75 px.
    wanted = np.sign(radius) * np.minimum(2 * np.maximum(np.abs(radius) - 0.75, 0), DEEPEST)
    assert np.abs(levels - wanted).max() <= 0.55
    drawn = np.where(levels == 0, 0, np.sign(levels) * (np.abs(levels) + 1) / 2)
    assert np.abs(drawn - radius)[np.abs(radius) < 8].max() <= 1.01
    assert (np.diff(levels) >= 0).all()
    assert levels_of(np.array([[10**5]]), 0, 13).tolist() == [[DEEPEST]]


def scene() -> np.ndarray:
    return to_light(crops(MARGIN)["motorcycle-1"])


@pytest.mark.parametrize("level", [-7, 5])
def test_a_wall_is_blurred_by_one_kernel(level: int) -> None:
    light = scene()
    views = see(light, np.full(light.shape[:2], level), half_disc)
    for view, kernel in ((views.left, half_disc(level)), (views.right, half_disc(-level))):
        reach = len(kernel) // 2
        cut = slice(MARGIN - reach, len(light) - MARGIN + reach)
        wanted = convolve2d(light[cut, cut, 0], kernel / SUM, mode="valid")
        assert np.abs(view[:, :, 0] - wanted).max() <= 2
    assert not views.mask.any()


def test_in_focus_both_views_are_the_scene() -> None:
    light = scene()
    views = see(light, np.zeros(light.shape[:2], np.int64), half_disc)
    inner = light[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.array_equal(views.left, inner)
    assert np.array_equal(views.right, inner)
    assert views.mask.all()


@pytest.mark.parametrize("behind", [-9, 9])
def test_sharp_things_hide_what_is_behind_and_are_veiled_by_what_is_before(behind: int) -> None:
    light = scene()
    levels = np.zeros(light.shape[:2], np.int64)
    levels[:, 140:] = behind
    views = see(light, levels, half_disc)
    inner = light[MARGIN:-MARGIN, MARGIN:-MARGIN]
    edge = 140 - MARGIN
    for view in (views.left, views.right):
        assert np.array_equal(view[views.mask], inner[views.mask])
    same = (views.left == inner).all(axis=2) & (views.right == inner).all(axis=2)
    if behind < 0:
        assert views.mask[:, :edge].all()
    else:
        assert not views.mask[:, edge - 3 : edge].any()
        assert views.mask[:, : edge - 6].all()
        assert not same[:, edge - 2].all()
    assert not views.mask[:, edge:].any()


@pytest.mark.parametrize("kernels", KERNELS)
def test_masks_hold_exactly_before_noise(kernels: dual_pixel.Kernels) -> None:
    disparity = window(motorcycle_disparity(), 122, 363, 256, MARGIN).astype(np.int64)
    light = to_light(window(crops(200)["motorcycle-1"], 200, 0, 256, MARGIN).astype(np.uint8))
    views = see(light, levels_of(disparity, 50 * 64, 13), kernels)
    inner = light[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert 0.1 < views.mask.mean() < 0.9
    assert np.array_equal(views.left[views.mask], inner[views.mask])
    assert np.array_equal(views.right[views.mask], inner[views.mask])


def test_disparity_between_the_views_is_that_of_two_half_discs() -> None:
    measured = motorcycle_disparity()
    light = to_light(window(crops(200)["motorcycle-1"], 200, 0, 256, MARGIN).astype(np.uint8))
    levels = levels_of(window(measured, 0, 42, 256, MARGIN).astype(np.int64), 30 * 64, 13)
    views = see(light, levels, half_disc)
    found = match(to_srgb8(views.left), to_srgb8(views.right), 255.0)
    inner = levels[MARGIN:-MARGIN, MARGIN:-MARGIN]
    near, far = found.usable & (inner >= 3), found.usable & (inner <= -3)
    assert min(near.sum(), far.sum()) > 500
    # In front of the focus the left view lies to the right of the right view; behind it the other way round.
    wanted = -2 * 4 * (inner + np.sign(inner)) / 2 / (3 * math.pi)
    for side in (near, far):
        assert abs(np.median(found.disparity[side] - wanted[side])) < 0.5
    assert np.median(found.disparity[near]) < -1
    assert np.median(found.disparity[far]) > 1


@pytest.mark.parametrize("name", GENERATORS)
def test_in_focus_the_views_are_alike_and_elsewhere_not(name: str, made: Cases) -> None:
    for case in made(name):
        assert case.mask is not None
        assert 0.02 < case.mask.mean() < 0.85
        peak = float(np.iinfo(case.inputs["left"].dtype).max)
        left, right = (case.inputs[side].astype(float) / peak for side in ("left", "right"))
        pairs = [(left, right)]
        if case.reference is not None:
            pairs += [(left, case.reference / peak), (right, case.reference / peak)]
        for one, other in pairs:
            error = np.square(one - other).mean(axis=2)
            assert math.sqrt(error[case.mask].mean()) < 0.015
            assert error[~case.mask].mean() > 1.5 * error[case.mask].mean()


def test_groups_are_those_of_the_real_set(made: Cases) -> None:
    groups = [case.group for case in made("dual_pixel")]
    assert (groups.count("indoor"), groups.count("outdoor")) == (8, 8)


def test_sixteen_bit_references_are_the_photographs(made: Cases) -> None:
    plain = crops()
    for case in made("dual_pixel_radial"):
        assert case.reference is not None
        assert np.array_equal(case.reference, plain[case.case].astype(np.uint16) * 257)


def test_radial_focus_bends_with_the_distance_from_the_axis(made: Cases) -> None:
    # On a plane that recedes downwards the band in focus is straight in one set and bent in the other.
    bends = []
    for name in ("dual_pixel", "dual_pixel_radial"):
        case = made(name)[0]
        assert case.mask is not None
        middle, edge = (np.flatnonzero(case.mask[:, column]).mean() for column in (128, 0))
        bends.append(float(middle - edge))
    assert bends[0] == 0
    assert abs(bends[1]) > 10
