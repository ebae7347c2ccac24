"""Metrics against scikit-image's, and against their definitions written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage, signal
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from evaluator import metrics

shapes = st.tuples(st.integers(11, 30), st.integers(11, 30), st.just(3))
images = hnp.arrays(np.uint8, shapes)


def noisy(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    grain = np.random.default_rng(seed).integers(-40, 41, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=50)
@given(reference=images, seed=st.integers(0, 2**31))
def test_psnr_is_scikit_images(reference: NDArray[np.uint8], seed: int) -> None:
    output = noisy(reference, seed)
    ours = metrics.compute("psnr.f64", output=output, reference=reference, peak=255)
    assert ours == pytest.approx(peak_signal_noise_ratio(reference, output, data_range=255), abs=1e-10)


@settings(deadline=None, max_examples=50)
@given(reference=images, seed=st.integers(0, 2**31))
def test_ssim_variants_are_scikit_images(reference: NDArray[np.uint8], seed: int) -> None:
    output = noisy(reference, seed)
    uniform = structural_similarity(reference, output, channel_axis=2, data_range=255)
    gaussian = structural_similarity(
        reference,
        output,
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    sk_u7 = metrics.compute("ssim.sk_u7", output=output, reference=reference, peak=255)
    basicsr = metrics.compute("ssim.basicsr", output=output, reference=reference, peak=255)
    assert sk_u7 == pytest.approx(uniform, abs=1e-9)
    assert basicsr == pytest.approx(gaussian, abs=1e-9)


def plain_ms_ssim_pirm(output: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The challenge's definition with general-purpose 2-D convolutions, written from its description."""
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    result = 1.0
    for level, weight in enumerate(weights):
        size = min(11, *output.shape[:2])
        sigma = 1.5 * size / 11
        axis = np.arange(size) - (size - 1) / 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * sigma**2))
        window = (window / window.sum())[:, :, None]

        def blur(image: NDArray[np.float64], window: NDArray[np.float64] = window) -> NDArray[np.float64]:
            return np.asarray(signal.fftconvolve(image, window, mode="valid"))

        mx, my = blur(output), blur(reference)
        vx, vy = blur(output**2) - mx**2, blur(reference**2) - my**2
        cov = blur(output * reference) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        cs = (2 * cov + c2) / (vx + vy + c2)
        ssim = cs * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        result *= float(np.mean(ssim if level == 4 else cs)) ** weight
        box = np.ones((2, 2, 1)) / 4
        output, reference = (ndimage.convolve(image, box, mode="reflect")[::2, ::2] for image in (output, reference))
    return result


@pytest.mark.parametrize("shape", [(100, 100), (101, 90), (64, 200), (33, 47)])
def test_ms_ssim_pirm_is_its_definition_on_odd_and_small_sizes(shape: tuple[int, int]) -> None:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    reference = (120 + 90 * np.sin(rows / 7) * np.cos(columns / 5))[:, :, None] + np.array([0.0, 10.0, 20.0])
    output = reference + np.random.default_rng(3).normal(0, 9, reference.shape)
    ours = metrics.compute("ms_ssim.pirm", output=output, reference=reference, peak=255)
    assert ours == pytest.approx(plain_ms_ssim_pirm(output, reference), abs=1e-10)


def test_ms_ssim_pirm_has_no_number_where_the_official_code_gives_nan() -> None:
    image = np.random.default_rng(4).integers(0, 256, (100, 100, 3)).astype(np.float64)
    with pytest.raises(metrics.Undefined, match="negative"):
        metrics.compute("ms_ssim.pirm", output=255 - image, reference=image, peak=255)


def test_psnr_pirm_clips_and_psnr_f64_does_not() -> None:
    reference = np.full((4, 4, 3), 250.0)
    output = np.full((4, 4, 3), 300.0)
    clipped = metrics.compute("psnr.pirm", output=output, reference=reference, peak=255)
    plain = metrics.compute("psnr.f64", output=output, reference=reference, peak=255)
    assert clipped == pytest.approx(20 * math.log10(255 / 5))
    assert plain == pytest.approx(20 * math.log10(255 / 50))


def test_mae_and_rmse_on_a_worked_example() -> None:
    reference = np.zeros((2, 2, 1))
    output = np.array([[[0.0], [51.0]], [[102.0], [0.0]]])
    assert metrics.compute("mae", output=output, reference=reference, peak=255) == pytest.approx(0.15)
    assert metrics.compute("rmse_rel", output=output, reference=reference, peak=255) == pytest.approx(
        math.sqrt((0.04 + 0.16) / 4)
    )
