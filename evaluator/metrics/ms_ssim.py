"""Multi-scale SSIM: the PIRM 2018 script's, which works on 100×100 patches, and the common one."""

from __future__ import annotations

import numpy as np

from evaluator.metrics.contract import Contract, Image, Metric, Undefined
from evaluator.metrics.strips import AnyImage, Strips, cut, padded, shrunk
from evaluator.metrics.windows import gaussian_taps, ssim_means

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
"""Exponents of the five scales (Wang, Simoncelli, Bovik 2003)."""


def ms_ssim_pirm(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return MS-SSIM as the PIRM 2018 challenge computes it.

    The window shrinks with the image (n = min(11, H, W), σ = 1.5·n/11), means run over space and channels together,
    and scales are halved by 2×2 means with the last row and column repeated where the size is odd.

    Raises:
        Undefined: a mean contrast term is negative, where the official code gives NaN.
    """
    levels = len(WEIGHTS)
    terms = []
    for level in range(levels):
        size = min(11, *output.shape[:2])
        ssim, contrast = ssim_means(output, reference, peak, gaussian_taps(size, 1.5 * size / 11))
        terms.append(float(np.mean(ssim if level == levels - 1 else contrast)))
        if terms[-1] < 0:
            raise Undefined(f"the mean at scale {level + 1} is negative ({terms[-1]:.4g}); the official code gives NaN")
        output, reference = _halve_repeat(output), _halve_repeat(reference)
    return float(np.prod(np.array(terms) ** WEIGHTS))


def ms_ssim_common(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return MS-SSIM per RGB channel, 11-tap Gaussian, negative means set to 0, then the mean of channels.

    Where a side is odd, halving pads it with a row of zeros on both ends, as `torch.nn.functional.avg_pool2d` does in
    pytorch-msssim 1.0.
    """
    taps = gaussian_taps(11, 1.5)
    levels = len(WEIGHTS)
    terms = np.empty((levels, output.shape[2]))
    for level in range(levels):
        ssim, contrast = ssim_means(output, reference, peak, taps)
        terms[level] = ssim if level == levels - 1 else contrast
        output, reference = _halve_zero(output), _halve_zero(reference)
    return float(np.mean(np.prod(np.maximum(terms, 0) ** WEIGHTS[:, None], axis=0)))


def _halve(image: Image) -> Image:
    height, width, channels = image.shape
    return np.asarray(image.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3)))


def _halve_even(image: AnyImage) -> AnyImage:
    return shrunk(image, 2, image.shape[0] // 2, _halve) if isinstance(image, Strips) else _halve(image)


def _halve_repeat(image: AnyImage) -> AnyImage:
    odd_rows, odd_columns = image.shape[0] % 2, image.shape[1] % 2
    return _halve_even(padded(image, (0, odd_rows), (0, odd_columns), "edge"))


def _halve_zero(image: AnyImage) -> AnyImage:
    odd_rows, odd_columns = image.shape[0] % 2, image.shape[1] % 2
    wide = padded(image, (odd_rows, odd_rows), (odd_columns, odd_columns))
    # An odd side s becomes s + 2; the last row then has no partner and is dropped.
    return _halve_even(cut(wide, slice(wide.shape[0] // 2 * 2), slice(wide.shape[1] // 2 * 2)))


METRICS = (
    Metric(
        Contract(
            id="ms_ssim.pirm",
            version=1,
            title="MS-SSIM of the PIRM 2018 challenge",
            direction="higher",
            unit="",
            worst=0.0,
            decimals=5,
            colour="RGB, means over space and channels together",
            range="neither clipped nor rounded; L = peak, K1 = 0.01, K2 = 0.03",
            window="Gaussian, n = min(11, H, W) taps, σ = 1.5·n/11, population covariance; five scales",
            border="valid region; scales halved by 2×2 means, odd sides repeat their last row",
            pooling="product of mean contrast terms (scales 1–4) and mean SSIM (scale 5), Wang's exponents",
            aggregation="mean",
            identical="1",
            minimum_size=1,
            source="aiff22/ai-challenge@6dc52ac ssim.py",
            used_by="PIRM 2018 smartphone challenge, DPED evaluations",
        ),
        ms_ssim_pirm,
        in_strips=ms_ssim_pirm,
    ),
    Metric(
        Contract(
            id="ms_ssim.common",
            version=1,
            title="MS-SSIM, Gaussian window, per RGB channel",
            direction="higher",
            unit="",
            worst=0.0,
            decimals=5,
            colour="RGB, each channel on its own",
            range="as the protocol hands it over; L = peak, K1 = 0.01, K2 = 0.03",
            window="Gaussian, 11 taps, σ 1.5, population covariance; five scales",
            border="valid region; scales halved by 2×2 means, odd sides padded with zeros at both ends",
            pooling="product over scales with Wang's exponents, negative means as 0; then mean of channels",
            aggregation="mean",
            identical="1",
            minimum_size=161,
            source="Wang, Simoncelli, Bovik 2003 as in pytorch-msssim 1.0 (its rule for odd sides)",
            used_by="pytorch-msssim, piq and torchmetrics agree with it to 1e-3",
        ),
        ms_ssim_common,
        in_strips=ms_ssim_common,
    ),
)
