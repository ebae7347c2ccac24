"""Window filters for the SSIM family, in float64, by OpenCV's separable filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.contract import Image


def gaussian_taps(size: int, sigma: float) -> NDArray[np.float64]:
    """Return `size` Gaussian taps that sum to 1; for an even size the centre lies between the two middle taps."""
    x = np.arange(size, dtype=np.float64) - (size - 1) / 2
    taps = np.exp(-(x**2) / (2 * sigma**2))
    return np.asarray(taps / taps.sum())


def filter_valid(image: Image, taps: NDArray[np.float64]) -> Image:
    """Filter each channel with `taps` along rows and columns; keep only pixels with full support.

    Args:
        image: `(H, W, C)`.
        taps: `(n,)`, used for both axes.

    Returns:
        `(H - n + 1, W - n + 1, C)`.
    """
    import cv2

    n = len(taps)
    rows, columns = image.shape[0] - n + 1, image.shape[1] - n + 1
    # Anchoring at the first tap makes the valid part the top-left corner, for odd and even n alike.
    full = cv2.sepFilter2D(image, cv2.CV_64F, taps, taps, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(full.reshape(image.shape)[:rows, :columns])


def moments(output: Image, reference: Image, taps: NDArray[np.float64]) -> tuple[Image, Image, Image, Image, Image]:
    """Return windowed means of output and reference, their variances and covariance (population), valid part."""
    mean_x, mean_y = filter_valid(output, taps), filter_valid(reference, taps)
    var_x = filter_valid(output * output, taps) - mean_x * mean_x
    var_y = filter_valid(reference * reference, taps) - mean_y * mean_y
    cov = filter_valid(output * reference, taps) - mean_x * mean_y
    return mean_x, mean_y, var_x, var_y, cov


def ssim_maps(
    output: Image, reference: Image, peak: float, taps: NDArray[np.float64], covariance_scale: float = 1.0
) -> tuple[Image, Image]:
    """Return the SSIM map and its contrast-structure part (K1 = 0.01, K2 = 0.03), both over the valid region.

    Args:
        output: `(H, W, C)`.
        reference: `(H, W, C)`.
        peak: the dynamic range L.
        taps: the window, separable.
        covariance_scale: 1 for population covariance, N/(N−1) for sample covariance.
    """
    mean_x, mean_y, var_x, var_y, cov = moments(output, reference, taps)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    contrast = (2 * covariance_scale * cov + c2) / (covariance_scale * (var_x + var_y) + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * contrast, contrast
