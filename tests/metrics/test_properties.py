"""What every metric must do, whatever it measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.metrics import NotApplicable, State

# LPIPS and NIQE need weights; their own tests hold them to the same promises.
ALL = [m for m in metrics.ids() if not m.startswith(("lpips", "niqe", "sharp_region"))]
SIZE = 176  # above every metric's minimum
AT_IDENTITY = {"psnr": math.inf, "ssim": 1.0, "ms_ssim": 1.0, "mae": 0.0, "rmse_rel": math.inf, "rmse_mean": 0.0}
AT_IDENTITY |= {"psnr.dpd": 100.0, "psnr.aim22": 999.0, "psnr.epsilon": 80.0}


def at_identity(metric: str) -> float:
    return AT_IDENTITY.get(metric, AT_IDENTITY.get(metric.split(".", maxsplit=1)[0], math.nan))


def photograph() -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    waves = 100 + 60 * np.sin(rows / 9) + 50 * np.cos(columns / 13)
    image = waves[:, :, None] + np.array([0, 20, 40])
    grain = np.random.default_rng(1).integers(-6, 7, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def damaged(strength: int = 12) -> NDArray[np.uint8]:
    grain = np.random.default_rng(2).integers(-strength, strength + 1, (SIZE, SIZE, 3))
    return np.clip(photograph() + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("metric", ALL)
def test_identical_images_score_as_the_contract_says(metric: str) -> None:
    value = metrics.compute(metric, output=photograph(), reference=photograph(), peak=255)
    assert value == pytest.approx(at_identity(metric), abs=1e-12)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_images_give_a_score(metric: str, level: int) -> None:
    flat = np.full((SIZE, SIZE, 3), level, np.float64)
    score = metrics.evaluate(metric, output=flat, reference=photograph().astype(np.float64), peak=255)
    assert score.state is State.OK
    assert score.value is not None
    assert math.isfinite(score.value)


@pytest.mark.parametrize("metric", ALL)
def test_one_changed_pixel_is_noticed(metric: str) -> None:
    output = photograph()
    output[SIZE // 2, SIZE // 2, 1] ^= 64
    value = metrics.compute(metric, output=output, reference=photograph(), peak=255)
    assert value != at_identity(metric)


@pytest.mark.parametrize("metric", ALL)
def test_more_damage_is_worse(metric: str) -> None:
    contract = metrics.get(metric).contract
    light, heavy = (metrics.compute(metric, output=damaged(s), reference=photograph(), peak=255) for s in (6, 24))
    assert (light > heavy) == (contract.direction == "higher")


@pytest.mark.parametrize("metric", ALL)
def test_8_bit_16_bit_and_float_agree(metric: str) -> None:
    output, reference = damaged(), photograph()
    expected = metrics.compute(metric, output=output, reference=reference, peak=255)
    wide = metrics.compute(
        metric, output=output.astype(np.uint16) * 257, reference=reference.astype(np.uint16) * 257, peak=65535
    )
    unit = metrics.compute(metric, output=output / 255, reference=reference / 255, peak=1)
    assert wide == pytest.approx(expected, rel=1e-10)
    assert unit == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("metric", ALL)
def test_swapped_channels_are_noticed(metric: str) -> None:
    straight = metrics.compute(metric, output=damaged(), reference=photograph(), peak=255)
    swapped = metrics.compute(metric, output=damaged()[:, :, ::-1], reference=photograph(), peak=255)
    assert straight != pytest.approx(swapped, rel=1e-6)


@pytest.mark.parametrize("metric", ALL)
def test_below_its_minimum_size_a_metric_is_not_applicable(metric: str) -> None:
    least = metrics.get(metric).contract.minimum_size
    small = photograph()[: least - 1, : least - 1]
    if least == 1:
        tiny = np.array([[[3, 4, 5]]], np.uint8)
        assert math.isfinite(metrics.compute(metric, output=tiny, reference=tiny + 1, peak=255))
        return
    with pytest.raises(NotApplicable, match=str(least)):
        metrics.compute(metric, output=small, reference=small, peak=255)
    enough = photograph()[:least, :least]
    assert math.isfinite(metrics.compute(metric, output=255 - enough, reference=enough, peak=255))


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(metric: str, bad: float) -> None:
    output = photograph().astype(float)
    output[3, 4, 1] = bad
    with pytest.raises(EvaluatorError, match="NaN or infinity"):
        metrics.compute(metric, output=output, reference=photograph(), peak=255)


@pytest.mark.parametrize("metric", ALL)
def test_output_and_reference_are_keywords(metric: str) -> None:
    with pytest.raises(TypeError):
        metrics.compute(metric, photograph(), photograph(), 255)  # type: ignore[misc]


def test_different_shapes_are_refused_not_fitted() -> None:
    with pytest.raises(EvaluatorError, match="nothing is resized"):
        metrics.compute("mae", output=photograph()[1:], reference=photograph(), peak=255)


@pytest.mark.parametrize("peak", [0, -1, math.nan])
def test_a_peak_must_be_positive(peak: float) -> None:
    with pytest.raises(EvaluatorError, match="peak"):
        metrics.compute("mae", output=photograph(), reference=photograph(), peak=peak)


def test_an_unknown_id_gets_a_suggestion() -> None:
    with pytest.raises(EvaluatorError, match=r"psnr\.f64"):
        metrics.compute("psnr.f46", output=photograph(), reference=photograph(), peak=255)


pixels = hnp.arrays(np.uint8, st.tuples(st.integers(11, 24), st.integers(11, 24), st.just(3)))


@settings(deadline=None, max_examples=60)
@given(reference=pixels, seed=st.integers(0, 2**31))
def test_scores_stay_within_what_their_worst_value_promises(reference: NDArray[np.uint8], seed: int) -> None:
    output = np.random.default_rng(seed).integers(0, 256, reference.shape).astype(np.float64)
    for metric in ALL:
        contract = metrics.get(metric).contract
        score = metrics.evaluate(metric, output=output, reference=reference.astype(np.float64), peak=255)
        if score.value is not None:
            beyond = score.value - contract.worst
            assert beyond >= -1e-9 if contract.direction == "higher" else beyond <= 1e-9


@pytest.mark.parametrize("metric", ["psnr.f64", "psnr.y601", "ssim.matlab3d"])
def test_channels_first_and_a_peak_below_the_values_are_refused(metric: str) -> None:
    first = np.moveaxis(photograph(), 2, 0)
    with pytest.raises(EvaluatorError, match="channels last"):
        metrics.compute(metric, output=first, reference=first, peak=255)
    with pytest.raises(EvaluatorError, match="above the peak"):
        metrics.compute(metric, output=photograph(), reference=damaged(), peak=1)
