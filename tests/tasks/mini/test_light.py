"""Linear light in whole numbers: the standard's curves, exact sums, and rounding that cannot tip over."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from evaluator.tasks.mini import light

UNIT = st.floats(0, 1)


@given(UNIT)
def test_curves_undo_each_other(value: float) -> None:
    there = light.srgb_to_linear(np.array(value))
    assert light.linear_to_srgb(there) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("encoded", "linear"), [(0, 0), (0.04045, 0.0031308), (0.5, 0.21404114), (0.735357, 0.5), (1, 1)]
)
def test_curve_is_the_standards(encoded: float, linear: float) -> None:
    assert light.srgb_to_linear(np.array(encoded)) == pytest.approx(linear, abs=1e-6)


@given(UNIT, UNIT)
def test_curve_rises(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert light.srgb_to_linear(np.array(low)) <= light.srgb_to_linear(np.array(high))


def test_every_level_comes_back() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    there = light.to_light(every)
    assert there.dtype == np.int64
    assert (there.min(), there.max()) == (0, light.WHITE)
    assert np.array_equal(light.to_srgb8(there), every)
    assert np.array_equal(light.to_srgb16(there), every.astype(np.uint16) * 257)


def test_light_outside_the_range_is_clipped() -> None:
    beyond = np.array([-5, 0, light.WHITE, light.WHITE + 5])
    assert light.to_srgb8(beyond).tolist() == [0, 0, 255, 255]
    assert light.to_srgb16(beyond).tolist() == [0, 0, 65535, 65535]


@pytest.mark.parametrize("white", [1 << 17, light.WHITE])
def test_no_entry_of_a_table_lies_near_a_tie(white: int) -> None:
    # Another machine's power function differs by 1e-15 or so: rounding must not hang on that.
    decoding = white * light.srgb_to_linear(np.arange(256) / 255)
    steps = np.arange(light.WHITE + 1) / light.WHITE
    for values in (decoding, 255 * light.linear_to_srgb(steps), 65535 * light.linear_to_srgb(steps)):
        assert np.abs(values - np.floor(values) - 0.5).min() > 1e-9


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**9))
def test_division_rounds_to_the_nearest(value: int, by: int) -> None:
    got = int(light.divided(np.array(value), by))
    assert abs(Fraction(value, by) - got) <= Fraction(1, 2)


@given(st.lists(st.floats(0, 1e6), min_size=9, max_size=9).filter(lambda w: max(w) > 1e-3))
def test_weights_become_whole_and_keep_sum_and_order(weights: list[float]) -> None:
    kernel = light.quantised(np.array(weights).reshape(3, 3))
    assert kernel.dtype == np.int64
    assert (int(kernel.sum()), int(kernel.min()) >= 0) == (light.SUM, True)
    wanted = np.array(weights) * (light.SUM / sum(weights))
    # Half a unit each; the largest takes what is left over of eight others.
    assert np.abs(kernel.ravel() - wanted).max() <= 0.5 * 9 + 0.01


def scene(side: int, channels: int = 3) -> light.Light:
    return np.random.RandomState(1).randint(0, light.WHITE + 1, (side, side, channels)).astype(np.int64)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 7), (5, 9), (1, 9)])
def test_two_routes_of_convolution_agree_to_the_last_digit(shape: tuple[int, int]) -> None:
    kernel = light.quantised(np.random.RandomState(2).rand(*shape))
    source = scene(40)
    got = light.convolved(source, kernel)
    down, across = shape[0] // 2, shape[1] // 2
    # OpenCV sums float64 directly below 50 weights; whole numbers below 2⁵³ are exact in it in any order.
    other = cv2.filter2D(source.astype(np.float64), cv2.CV_64F, kernel[::-1, ::-1].astype(np.float64))
    assert np.array_equal(got, other[down : 40 - down, across : 40 - across])


def test_slow_loop_agrees_with_a_large_kernel() -> None:
    kernel = light.quantised(np.random.RandomState(3).rand(25, 25) ** 8)
    source = scene(32, 1)
    slow = [
        [
            sum(int(kernel[r, c]) * int(source[row + 24 - r, column + 24 - c, 0]) for r in range(25) for c in range(25))
            for column in range(8)
        ]
        for row in range(8)
    ]
    assert light.convolved(source, kernel)[:, :, 0].tolist() == slow


def test_blur_is_scipys_rounded() -> None:
    kernel = light.quantised(np.random.RandomState(4).rand(7, 9))
    source = scene(30, 1)
    wanted = convolve2d(source[:, :, 0], kernel / light.SUM, mode="valid")
    assert np.abs(light.blurred(source, kernel)[:, :, 0] - wanted).max() <= 0.5 + 1e-6


def test_noise_has_the_formulas_variance() -> None:
    flat = np.full((512, 512, 1), light.WHITE // 4, np.int64)
    error = (light.noisy(flat, 0.004, 0.0003, np.random.RandomState(5)) - flat) / light.WHITE
    assert float(error.var()) == pytest.approx(0.004 / 4 + 0.0003, rel=0.015)
    assert abs(float(error.mean())) < 5 * (0.0013 / error.size) ** 0.5
