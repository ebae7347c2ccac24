"""Outputs come to the reference's scale without losing a bit; what is clipped is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from evaluator.images import Pixels, peak_of
from evaluator.metrics import strips
from evaluator.tasks import Protocol, Working, target_peak, target_strips, to_target, to_working, working_strips

LEVELS = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)
ALL_16 = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)


def working(array: NDArray[Any], peak: float = 255, **protocol: Any) -> Working:
    return to_working(Pixels(array, peak_of(array.dtype)), peak, Protocol(**protocol))


def test_pixels_on_the_references_scale_are_unchanged() -> None:
    assert np.array_equal(working(LEVELS).image, LEVELS)
    assert np.array_equal(working(ALL_16, peak=65535).image, ALL_16)


def test_8_bit_levels_saved_as_16_bit_are_the_same_levels() -> None:
    # Exactly: an identical output must stay identical, or its infinite PSNR becomes some 300 dB.
    assert np.array_equal(working(LEVELS.astype(np.uint16) * 257).image, LEVELS)


def test_8_bit_levels_saved_as_float_are_the_same_levels() -> None:
    assert np.array_equal(working(LEVELS / 255.0).image, LEVELS)


def test_16_bits_are_not_cut_to_8() -> None:
    image = working(ALL_16).image
    assert len(np.unique(image)) == 65536
    assert (image.min(), image.max()) == (0, 255)
    assert np.allclose(image, ALL_16 / 257, rtol=1e-15, atol=0)


def test_8_bits_spread_over_16() -> None:
    assert np.array_equal(working(LEVELS, peak=65535).image, LEVELS * 257.0)


def test_rounding_gives_the_nearest_whole_level() -> None:
    image = working(ALL_16, quantise="round").image
    assert np.array_equal(image, np.floor(ALL_16 / 257 + 0.5)), "257 is odd: there are no ties"


@pytest.mark.parametrize("quantise", ["none", "round"])
def test_values_outside_are_clipped_and_counted(quantise: str) -> None:
    array = np.array([-0.5, -1e-9, 0, 0.25, 1, 1.000001, 7, 0.5, 0.75, 1, 0, 0.1]).reshape(2, 2, 3)
    result = working(array, quantise=quantise)
    assert result.clipped == 4
    assert (result.image.min(), result.image.max()) == (0, 255)
    assert (result.lowest, result.highest) == pytest.approx((-127.5, 1785))


def test_unclipped_protocol_leaves_values_outside() -> None:
    array = np.array([-0.5, 0.5, 2.0]).reshape(1, 1, 3)
    result = working(array, clip=False)
    assert np.array_equal(result.image.ravel(), [-127.5, 127.5, 510])
    assert result.clipped == 0
    assert (result.lowest, result.highest) == (-127.5, 510)


@given(
    hnp.arrays(st.sampled_from([np.float16, np.float32, np.float64]), (2, 3, 3), elements=st.floats(-2, 3, width=16)),
    st.sampled_from([255.0, 65535.0]),
    st.sampled_from(["none", "round"]),
)
def test_clipping_leaves_what_is_inside(array: NDArray[Any], peak: float, quantise: str) -> None:
    before = array.copy()
    result = working(array, peak=peak, quantise=quantise)
    inside = (array >= 0) & (array <= 1)
    assert result.clipped == np.count_nonzero(~inside)
    assert ((result.image >= 0) & (result.image <= peak)).all()
    scaled = array.astype(np.float64) * peak
    expected = np.rint(scaled) if quantise == "round" else scaled
    assert np.array_equal(result.image[inside], expected[inside])
    assert np.array_equal(array, before), "the output that was read is not changed"


@given(hnp.arrays(np.float32, (3, 2, 3), elements=st.floats(0, 1, width=32)))
def test_half_precision_is_scaled_in_double(array: NDArray[np.float32]) -> None:
    image = working(array, peak=65535).image
    assert image.dtype == np.float64
    assert np.array_equal(image, array.astype(np.float64) * 65535)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8"])
def test_metrics_are_given_contiguous_doubles(dtype: str) -> None:
    image = working(np.zeros((4, 6, 3), dtype)[:, ::2]).image
    assert (image.dtype, image.shape, image.flags.c_contiguous) == (np.float64, (4, 3, 3), True)


TONE_MAPPED = {"tone_map": {"white": 4, "offset": 0.25}, "accepts": ("float",)}
PROTOCOLS = [{}, {"quantise": "round"}, {"clip": False}, TONE_MAPPED, {**TONE_MAPPED, "quantise": "round"}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_strips_hold_the_rows_of_the_whole(
    kind: str, protocol: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "_STRIP", 50)
    random = np.random.default_rng(3)
    top = 1.0 if kind == "float32" else np.iinfo(kind).max
    array = random.uniform(-0.1 if kind == "float32" else 0, 1.1 if kind == "float32" else 1, (31, 23, 3)) * top
    pixels, rules = Pixels(array.astype(kind), peak_of(np.dtype(kind))), Protocol(**protocol)
    wanted = to_working(pixels, 255, rules)
    found, clipped = working_strips(pixels, 255, rules)
    if kind == "float32":
        assert clipped == wanted.clipped
    assert found.shape == wanted.image.shape
    np.testing.assert_array_equal(found.whole(), wanted.image)
    target = to_target(pixels, rules)
    assert target_peak(pixels, rules) == target.peak
    np.testing.assert_array_equal(target_strips(pixels, rules).whole(), target.array.astype(np.float64))
