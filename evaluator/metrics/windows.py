"""Window filters for the SSIM family, in float64, by OpenCV's separable filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.contract import Image
from evaluator.metrics.strips import AnyImage, Strips, bounds, padded, total


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


class Moments(NamedTuple):
    """Windowed means of output (x) and reference (y), their variances and covariance (population), all of one shape."""

    mean_x: Image
    mean_y: Image
    var_x: Image
    var_y: Image
    cov: Image


def raw_moments(output: Image, reference: Image, taps: NDArray[np.float64]) -> list[Image]:
    """Return the windowed means of x, y, x², y² and xy over the valid region."""
    products = (output, reference, output * output, reference * reference, output * reference)
    return [filter_valid(image, taps) for image in products]


def central(mean_x: Image, mean_y: Image, *squares: Image) -> Moments:
    """Return central moments of the means of x, y, x², y² and xy."""
    xx, yy, xy = (
        np.subtract(square, product, out=product)
        for square, product in zip(squares, (mean_x * mean_x, mean_y * mean_y, mean_x * mean_y), strict=True)
    )
    return Moments(mean_x, mean_y, xx, yy, xy)


def replicate(image: AnyImage, taps: NDArray[np.float64]) -> AnyImage:
    """Return the image with its border replicated so far that the valid region is the whole image again."""
    pad = len(taps) // 2
    return padded(image, (pad, pad), (pad, pad), "edge")


def ssim_of(moments: Moments, peak: float, covariance_scale: float = 1.0) -> tuple[Image, Image]:
    """Return the SSIM map and its contrast-structure part (K1 = 0.01, K2 = 0.03).

    Args:
        moments: windowed moments.
        peak: the dynamic range L.
        covariance_scale: 1 for population covariance, N/(N−1) for sample covariance.
    """
    mean_x, mean_y, var_x, var_y, cov = moments
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    # (2 s cov + c2) / (s (var_x + var_y) + c2) and (2 mean_x mean_y + c1) / (mean_x² + mean_y² + c1), in place: new
    # arrays for each step take twice the time.
    below = var_x + var_y
    below *= covariance_scale
    below += c2
    contrast = 2 * covariance_scale * cov
    contrast += c2
    contrast /= below
    np.square(mean_x, out=below)
    below += np.square(mean_y)
    below += c1
    luminance = 2 * mean_x
    luminance *= mean_y
    luminance += c1
    luminance /= below
    luminance *= contrast
    return luminance, contrast


def ssim_maps(
    output: Image, reference: Image, peak: float, taps: NDArray[np.float64], covariance_scale: float = 1.0
) -> tuple[Image, Image]:
    """Return the SSIM map and its contrast-structure part over the valid region; see `ssim_of`."""
    return ssim_of(central(*raw_moments(output, reference, taps)), peak, covariance_scale)


def ssim_means(
    output: AnyImage, reference: AnyImage, peak: float, taps: NDArray[np.float64], covariance_scale: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of both maps of `ssim_maps` for each channel, `(C,)`; in a third of the memory."""
    if isinstance(output, Strips) or isinstance(reference, Strips):
        return _means_in_strips(output, reference, peak, taps, covariance_scale)
    means = np.empty((2, output.shape[2]))
    for channel in range(output.shape[2]):
        planes = [np.ascontiguousarray(image[:, :, channel : channel + 1]) for image in (output, reference)]
        means[:, channel] = [np.mean(m) for m in ssim_maps(planes[0], planes[1], peak, taps, covariance_scale)]
    return means[0], means[1]


def windowed_strips(
    output: AnyImage, reference: AnyImage, taps: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield strips of both images, each with the rows below it that its last windows reach into."""
    assert isinstance(output, Strips) and isinstance(reference, Strips)  # noqa: S101, PT018 - of a pair, both are
    halo = len(taps) - 1
    weight = max(output.weight, reference.weight)
    # A strip lower than its halo would cost more than twice its rows.
    for first, last in bounds(output.shape[0] - halo, weight, least=2 * halo):
        yield output.rows(first, last + halo), reference.rows(first, last + halo)


def _means_in_strips(
    output: AnyImage, reference: AnyImage, peak: float, taps: NDArray[np.float64], covariance_scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    height, width, channels = output.shape
    sums: list[list[list[float]]] = [[[] for _ in range(channels)] for _ in range(2)]
    for pair in windowed_strips(output, reference, taps):
        for channel in range(channels):
            planes = [np.ascontiguousarray(rows[:, :, channel : channel + 1]) for rows in pair]
            maps = ssim_maps(planes[0], planes[1], peak, taps, covariance_scale)
            for kept, values in zip(sums, maps, strict=True):
                kept[channel].append(float(np.sum(values)))
    count = (height - len(taps) + 1) * (width - len(taps) + 1)
    ssim, contrast = (np.array([total(of_channel) / count for of_channel in kept]) for kept in sums)
    return ssim, contrast
