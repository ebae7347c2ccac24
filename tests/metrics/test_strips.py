"""In strips, metrics give what they give of whole images: of odd sides, in strips of any height, below the halo too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.metrics import fast, strips
from evaluator.metrics.strips import Strips, is_large, strips_of

Array = NDArray[Any]
IN_STRIPS = [m for m in metrics.ids() if metrics.get(m).in_strips is not None]
SIDES = st.integers(161, 200)  # large enough for every metric


def pair(height: int, width: int, channels: int, seed: int) -> tuple[Array, Array]:
    """Smooth, with noise, and parts that are flat, black, or hardly alike, so that no strip is like another."""
    rng = np.random.default_rng(seed)
    reference = rng.uniform(0, 255, (height, width, channels))
    for axis in (0, 1):
        reference = (reference + np.roll(reference, 1, axis) + np.roll(reference, 2, axis)) / 3
    reference[: height // 5] = 3
    output = reference + rng.normal(0, 9, reference.shape)
    output[-height // 4 :, : width // 2] = 255 - output[-height // 4 :, : width // 2] / 3
    return output, reference


def small_strips(patch: pytest.MonkeyPatch, pixels: int, large: int = 0) -> None:
    patch.setattr(strips, "LARGE", large)
    patch.setattr(strips, "_STRIP", pixels)


def test_which_metrics_are_taken_in_strips() -> None:
    """Those that are not say so in the documentation: a new metric belongs to one of the two."""
    assert {m.split(".")[0] for m in metrics.ids() if m not in IN_STRIPS} == {"lpips", "niqe", "sharp_region"}


def test_only_the_size_decides() -> None:
    assert not is_large((2048, 2048, 3))
    assert is_large((2048, 2049, 1))
    assert is_large((1, 2**22 + 1))


@settings(deadline=None, max_examples=8)
@given(
    height=SIDES, width=SIDES, channels=st.sampled_from([1, 3]), rows=st.integers(1, 70), level=st.integers(0, 20_000),
    seed=st.integers(0, 999),
)  # fmt: skip
@pytest.mark.parametrize("metric", IN_STRIPS)
def test_strips_give_the_value_of_the_whole(
    metric: str, *, height: int, width: int, channels: int, rows: int, level: int, seed: int
) -> None:
    output, reference = pair(height, width, channels, seed)
    wanted = metrics.evaluate(metric, output=output, reference=reference, peak=255)
    with pytest.MonkeyPatch.context() as patch:
        small_strips(patch, rows * width, level)  # scales of MS-SSIM below `level` pixels are whole again
        found = metrics.evaluate(metric, output=output, reference=reference, peak=255)
    assert found.state == wanted.state
    assert found.value == pytest.approx(wanted.value, rel=1e-12, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("metric", IN_STRIPS)
def test_values_of_a_large_image_are_those_of_the_whole(metric: str) -> None:
    """At the true size of strips, 2049×2051: both odd at every scale but one."""
    output, reference = pair(2049, 2051, 3, 1)
    assert is_large(output.shape)
    wanted = metrics.get(metric).measure(output, reference, 255.0)
    found = metrics.evaluate(metric, output=output, reference=reference, peak=255)
    assert found.value == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("metric", IN_STRIPS)
def test_identical_images_in_strips(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pair(170, 163, 3, 0)[0]
    wanted = metrics.evaluate(metric, output=image, reference=image.copy(), peak=255)
    small_strips(monkeypatch, 1000)
    found = metrics.evaluate(metric, output=image, reference=image.copy(), peak=255)
    assert (found.state, found.detail) == (wanted.state, wanted.detail)
    assert found.value == (None if wanted.value is None else pytest.approx(wanted.value, rel=1e-12))


def test_an_overflow_is_told_from_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    output, reference = np.full((20, 20, 3), 1e200), np.zeros((20, 20, 3))
    wanted = metrics.evaluate("psnr.f64", output=output, reference=reference, peak=255)
    small_strips(monkeypatch, 100)
    assert metrics.evaluate("psnr.f64", output=output, reference=reference, peak=255) == wanted


def test_a_metric_that_needs_the_whole_image_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def measure(output: Array, reference: Array, peak: float) -> float:
        seen.append((output, reference))
        return 1.0

    monkeypatch.setitem(metrics.metrics(), "mae", metrics.Metric(metrics.get("mae").contract, measure))
    small_strips(monkeypatch, 1000)
    output, reference = pair(163, 170, 3, 0)
    metrics.evaluate("mae", output=strips_of(output), reference=strips_of(reference), peak=255)
    np.testing.assert_array_equal(seen[0][0], output)
    np.testing.assert_array_equal(seen[0][1], reference)


def test_compute_takes_integers_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    output, reference = (np.clip(image, 0, 255).astype(np.uint8) for image in pair(171, 164, 3, 0))
    wanted = metrics.compute("ssim.basicsr", output=output, reference=reference, peak=255)
    small_strips(monkeypatch, 1000)
    found = metrics.compute("ssim.basicsr", output=output, reference=reference, peak=255)
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("mode", ["edge", "symmetric", "constant"])
def test_padding_and_cutting_are_numpys(mode: Any) -> None:
    image = np.arange(7 * 5 * 2, dtype=float).reshape(7, 5, 2)
    wanted = np.pad(image, ((2, 4), (1, 3), (0, 0)), mode=mode)
    found = strips.padded(strips_of(image), (2, 4), (1, 3), mode)
    assert isinstance(found, Strips)
    assert found.shape == wanted.shape
    for first in range(13):
        for last in range(first + 1, 14):
            np.testing.assert_array_equal(found.rows(first, last), wanted[first:last])
    inside = strips.cut(found, slice(1, -2), slice(2, 8))
    assert isinstance(inside, Strips)
    np.testing.assert_array_equal(inside.whole(), wanted[1:-2, 2:8])


@settings(deadline=None, max_examples=15)
@given(
    height=SIDES, width=SIDES, channels=st.integers(1, 3), rows=st.integers(1, 70), level=st.integers(0, 20_000),
    deeper=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
def test_compiled_strips_give_the_value_of_the_whole(
    *, height: int, width: int, channels: int, rows: int, level: int, deeper: bool, seed: int
) -> None:
    values = (np.clip(image, 0, 255) for image in pair(height, width, channels, seed))
    output, reference = (np.uint16(image * 257) if deeper else np.uint8(image) for image in values)
    peak = 65535.0 if deeper else 255.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "_TOLERANCE", 0.0)  # all in float64: rounding of float32 would hide what strips do
        wanted = fast.measure_bundle(output, reference, peak)
        small_strips(patch, rows * width, level)
        found = fast.measure_bundle(output, reference, peak)
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.slow
def test_compiled_values_of_a_large_image_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    output, reference = (np.uint8(np.clip(image, 0, 255)) for image in pair(2049, 2051, 3, 1))
    found = fast.measure_bundle(output, reference, 255.0)
    monkeypatch.setattr(strips, "LARGE", output.size)
    assert found == pytest.approx(fast.measure_bundle(output, reference, 255.0), abs=1e-9, rel=0)
