"""Structural similarity, by the definitions that published tables use."""

from __future__ import annotations

import numpy as np

from evaluator.metrics.contract import Contract, Image, Metric
from evaluator.metrics.windows import gaussian_taps, ssim_maps


def ssim_basicsr(output: Image, reference: Image, peak: float) -> float:
    """Return SSIM with an 11-tap Gaussian window (σ 1.5), population covariance, valid region, mean over channels."""
    return float(np.mean(ssim_maps(output, reference, peak, gaussian_taps(11, 1.5))[0]))


def ssim_sk_u7(output: Image, reference: Image, peak: float) -> float:
    """Return SSIM with a uniform 7×7 window, sample covariance, interior pixels: scikit-image's default."""
    taps = np.full(7, 1 / 7)
    return float(np.mean(ssim_maps(output, reference, peak, taps, covariance_scale=49 / 48)[0]))


_COMMON = {
    "version": 1,
    "direction": "higher",
    "unit": "",
    "worst": -1.0,
    "decimals": 4,
    "colour": "RGB, each channel on its own",
    "range": "as the protocol hands it over; L = peak, K1 = 0.01, K2 = 0.03",
    "pooling": "mean of the SSIM map, then of channels",
    "aggregation": "mean",
    "identical": "1",
}

METRICS = (
    Metric(
        Contract(
            id="ssim.basicsr",
            title="SSIM, Gaussian window, per RGB channel",
            window="Gaussian, 11 taps, σ 1.5, population covariance; no down-sampling",
            border="valid region (5 pixels cropped)",
            minimum_size=11,
            source="Wang et al. 2004 as in BasicSR calculate_ssim(test_y_channel=False); equals scikit-image with "
            "gaussian_weights=True, sigma=1.5, use_sample_covariance=False",
            used_by="BasicSR family, KAIR, CycleISP helper, DISCNet",
            **_COMMON,  # type: ignore[arg-type]
        ),
        ssim_basicsr,
    ),
    Metric(
        Contract(
            id="ssim.sk_u7",
            title="SSIM, scikit-image default, per RGB channel",
            window="uniform 7×7, sample covariance (×49/48); no down-sampling",
            border="interior (3 pixels cropped)",
            minimum_size=7,
            source="skimage.metrics.structural_similarity(channel_axis=2, data_range=peak)",
            used_by="dual-pixel defocus deblurring: DPDNet, IFAN, Restormer, DRBNet, K3DN",
            **_COMMON,  # type: ignore[arg-type]
        ),
        ssim_sk_u7,
    ),
)
