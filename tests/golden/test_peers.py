"""Golden values that other programs gave on photographs of scikit-image with a fixed noise."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from evaluator import metrics

# Source: pytorch-msssim 1.0.0 (`ms_ssim`, `ssim`, float64 tensors, data_range=255, its Gaussian window handed over in
# float64: its default one is float32, which moves SSIM by 4e-6) and piq 0.8.0 (`psnr`), with torch 2.13.0, run on the
# pairs that `pair` makes; odd and even sizes are among them.
GOLDEN = {
    "astronaut": {"ms_ssim.common": 0.9125354635677788, "ssim.basicsr": 0.4938019488558038, "psnr": 25.12439714497824},
    "chelsea": {"ms_ssim.common": 0.9014138593229125, "ssim.basicsr": 0.4796837425794709, "psnr": 24.63223706862736},
    "coffee": {"ms_ssim.common": 0.8883221363558587, "ssim.basicsr": 0.48865946076795486, "psnr": 24.988140547382418},
}
PIXEL_SUMS = {"astronaut": 90860747, "chelsea": 46810946, "coffee": 71339843}


def pair(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    clean = getattr(skimage.data, name)()
    noise = np.rint(np.random.RandomState(7).standard_normal(clean.shape) * 15)
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    assert int(noisy.sum()) == PIXEL_SUMS[name], "these are not the pixels that the golden values belong to"
    return noisy, clean


@pytest.mark.parametrize("name", GOLDEN)
def test_ms_ssim_and_ssim_agree_with_pytorch_msssim(name: str) -> None:
    output, reference = pair(name)
    for metric in ("ms_ssim.common", "ssim.basicsr"):
        ours = metrics.compute(metric, output=output, reference=reference, peak=255)
        assert ours == pytest.approx(GOLDEN[name][metric], abs=1e-12), metric


@pytest.mark.parametrize("name", GOLDEN)
def test_psnr_agrees_with_piq_but_for_its_epsilon(name: str) -> None:
    output, reference = pair(name)
    ours = metrics.compute("psnr.f64", output=output, reference=reference, peak=255)
    mse = 10 ** (-ours / 10)
    assert 10 * np.log10(1 / (mse + 1e-8)) == pytest.approx(GOLDEN[name]["psnr"], abs=1e-9)
