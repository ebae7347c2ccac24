"""SSIM of several outputs of one case: what is kept of the reference changes no digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluator.metrics import evaluate
from evaluator.metrics.ssim import ssim_matlab3d
from evaluator.metrics.strips import strips_of


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3), (300, 7, 1), (1030, 1030, 3)])
def test_a_prepared_reference_gives_the_digits_of_the_strips(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(5)
    reference = random.integers(0, 256, shape).astype(np.float64)
    output = np.clip(reference + random.normal(0, 12, shape), 0, 255)
    prepared: dict[Any, Any] = {}
    twice = [
        evaluate("ssim.matlab3d", output=one, reference=reference, peak=255.0, prepared=prepared).value
        for one in (output, reference, output)
    ]
    in_strips = ssim_matlab3d(strips_of(output), strips_of(reference), 255.0)
    assert twice == [pytest.approx(in_strips, rel=1e-12), pytest.approx(1, abs=1e-12), twice[0]]
