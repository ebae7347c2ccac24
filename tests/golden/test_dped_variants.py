"""Every PSNR and SSIM variant on 400 real pairs: the iPhone patches of PIRM 2018 against the Canon's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from evaluator import metrics
from evaluator.images import read_image
from evaluator.metrics import Score, aggregate
from evaluator.metrics.colour import gray_matlab

# Source: independent float64 implementations of each definition, and the libraries named, on the same files
# (scikit-image 0.26, BasicSR, pyiqa 0.1.16, torchmetrics 1.9, piq 0.8; MATLAB's definitions re-expressed and
# validated on values that MATLAB printed). Means over the 400 pairs; four pairs are identical.
MEANS = {
    "psnr.f64": 17.2907,
    "psnr.pirm": 17.2907,
    "psnr.round8": 17.2907,
    "psnr.naf": 17.2907,
    "psnr.dpd": 18.1178,
    "psnr.epsilon": 17.9178,
    "psnr.pooled": 15.1028,
    "psnr.yiq": 17.2907 + 0.3675,
    "psnr.y601": 17.2907 + 1.6894,
    "ssim.basicsr": 0.683086,
    "ssim.sk_g": 0.683086,
    "ssim.sk_u7": 0.677878,
    "ssim.matlab_ch": 0.681783,
    "ssim.matlab3d": 0.640574,
    "ssim.wang_gray": 0.699918,
    "ssim.wang_auto": 0.699918,  # 100 pixels: nothing is down-sampled
    "ssim.basicsr_y": 0.756874,
    "ssim.sk_l2": 0.752371,
    "rmse_rel": 0.13661,
    "mae": 0.1359,
}
# Where the source rounded two numbers that are added here, or printed four digits.
TOLERANCE = {"psnr.yiq": 1.1e-4, "psnr.y601": 1.1e-4, "mae": 5e-5, "rmse_rel": 5e-6}


@pytest.fixture(scope="module")
def scores(data_root: Path) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {metric: [] for metric in [*MEANS, "rmse_mean"]}
    for case in range(400):
        output = read_image(data_root / "dped" / "iphone" / f"{case}.jpg").array.astype(np.float64)
        reference = read_image(data_root / "dped" / "canon" / f"{case}.jpg").array.astype(np.float64)
        for metric, values in found.items():
            values.append(metrics.evaluate(metric, output=output, reference=reference, peak=255))
    return found


@pytest.mark.parametrize("metric", MEANS)
def test_the_mean_is_the_published_one(scores: dict[str, list[Score]], metric: str) -> None:
    ours = aggregate(metrics.get(metric).contract, scores[metric], "unranked").value
    tolerance = TOLERANCE.get(metric, 5.1e-5 if metric.startswith("psnr") else 5.1e-7)
    assert ours == pytest.approx(MEANS[metric], abs=tolerance)


def test_the_mean_of_per_image_rmse_is_larger_than_rmse_rel(scores: dict[str, list[Score]]) -> None:
    # Source: as above, over the 396 pairs that differ: 0.15607, 14.25 % above RMSE_rel.
    values = [s.value for s in scores["rmse_mean"] if s.value]
    assert len(values) == 396
    assert np.mean(values) == pytest.approx(0.15607, abs=5e-6)


def test_wangs_down_sampling_is_piqs_for_a_factor_of_two() -> None:
    # Source: piq 0.8.0 ssim(downsample=True, data_range=255) in float64 on MATLAB's gray of the pair below, whose
    # 512 pixels give the factor 2, where both rules average the same 2×2 blocks.
    clean = skimage.data.astronaut()
    noise = np.rint(np.random.RandomState(7).standard_normal(clean.shape) * 15)
    noisy = np.clip(clean + noise, 0, 255)
    ours = metrics.compute("ssim.wang_auto", output=noisy, reference=clean, peak=255)
    assert ours == pytest.approx(PIQ_DOWNSAMPLED, abs=1e-6)
    assert gray_matlab(noisy, 255).max() <= 255


PIQ_DOWNSAMPLED = 0.8381439251817161
