"""The camera noise of sidd/mini follows its formula."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.tasks.mini import noise
from evaluator.tasks.mini.light import srgb_to_linear


@pytest.mark.parametrize("level", [110, 128, 170])
@pytest.mark.parametrize(("beta_1", "beta_2"), noise.LEVELS[:3])
def test_variance_in_linear_light_is_that_of_the_formula(level: int, beta_1: float, beta_2: float) -> None:
    clean = np.full((512, 512, 3), level, np.uint8)
    light = float(srgb_to_linear(np.array(level / 255.0)))
    wanted = beta_1 * light + beta_2
    # Four standard deviations from black and white: clipping plays no role. (The strongest level would clip.)
    assert light - 4 * wanted**0.5 > 0
    assert light + 4 * wanted**0.5 < 1
    noisy = noise.degrade(clean, beta_1, beta_2, np.random.RandomState(1))
    error = srgb_to_linear(noisy / 255.0) - light
    # 786,432 samples: the estimate's own standard deviation is 0.16 %; rounding to 8 bit adds a little.
    assert float(error.var()) == pytest.approx(wanted, rel=0.01)
    assert float(error.mean()) == pytest.approx(0, abs=5 * (wanted / error.size) ** 0.5 + 2e-5)


def test_noise_is_independent_between_pixels_and_channels() -> None:
    noisy = noise.degrade(np.full((256, 256, 3), 128, np.uint8), *noise.LEVELS[1], np.random.RandomState(2))
    error = noisy - noisy.mean(axis=(0, 1))
    for one, other in (
        (error[:, :, 0], error[:, :, 1]),
        (error[:, :, 1], error[:, :, 2]),
        (error[1:], error[:-1]),
        (error[:, 1:], error[:, :-1]),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


def test_brighter_light_has_more_noise() -> None:
    levels = [40, 80, 120, 160, 200]
    variances = []
    for level in levels:
        noisy = noise.degrade(np.full((128, 128, 3), level, np.uint8), *noise.LEVELS[0], np.random.RandomState(3))
        variances.append(srgb_to_linear(noisy / 255.0).var())
    assert variances == sorted(variances)


def test_black_and_white_stay_in_range() -> None:
    for level in (0, 255):
        noisy = noise.degrade(np.full((64, 64, 3), level, np.uint8), *noise.LEVELS[3], np.random.RandomState(4))
        assert noisy.dtype == np.uint8
        # Values that wrapped around would land at the other end.
        assert abs(noisy.astype(int) - level).max() < 128


def test_no_noise_changes_no_pixel() -> None:
    clean = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(noise.degrade(clean, 0, 0, np.random.RandomState(5)), clean)
