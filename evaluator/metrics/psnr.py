"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from evaluator.metrics.contract import Contract, Image, Metric


def psnr_f64(output: Image, reference: Image, peak: float) -> float:
    """Return 10·log10(peak² / MSE) in dB, the MSE over all pixels and channels; `inf` for identical images."""
    mse = float(np.mean(np.square(output - reference)))
    return math.inf if mse == 0 else 10 * math.log10(peak * peak / mse)


def psnr_pirm(output: Image, reference: Image, peak: float) -> float:
    """Return the PSNR of both images clipped to [0, peak], as the PIRM 2018 script computes it."""
    return psnr_f64(np.clip(output, 0, peak), np.clip(reference, 0, peak), peak)


_COMMON = {
    "version": 1,
    "direction": "higher",
    "unit": "dB",
    "worst": 0.0,
    "decimals": 4,
    "colour": "RGB, all channels in one mean",
    "window": "none",
    "border": "none cropped",
    "pooling": "mean squared error over all pixels and channels of an image, then 10·log10(peak²/MSE)",
    "aggregation": "mean",
    "identical": "infinite: left out of the mean, and counted",
    "minimum_size": 1,
}

METRICS = (
    Metric(
        Contract(
            id="psnr.f64",
            title="PSNR, RGB, float64",
            range="as the protocol hands it over; neither clipped nor rounded by the metric",
            source="definition; equals skimage.metrics.peak_signal_noise_ratio and MATLAB psnr",
            used_by="SIDD validation tables (MPRNet, Restormer, Uformer), GoPro",
            **_COMMON,  # type: ignore[arg-type]
        ),
        psnr_f64,
    ),
    Metric(
        Contract(
            id="psnr.pirm",
            title="PSNR of the PIRM 2018 challenge",
            range="both images clipped to [0, peak], not rounded",
            source="aiff22/ai-challenge@6dc52ac evaluate_enhancement.py (whose mean turns infinite at identical pairs)",
            used_by="PIRM 2018 smartphone challenge",
            **_COMMON,  # type: ignore[arg-type]
        ),
        psnr_pirm,
    ),
)
