"""Pixels in units where white is 1, and back: what every baseline begins and ends with."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.images.pixels import PEAKS

CHANNELS = (1, 3)


def to_unit(image: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
    """Return an image as float32 in [0, 1], and what 1 stands for.

    Args:
        image: `(H, W, C)` uint8, uint16 or float, with one channel or three.

    Returns:
        The pixels, and 1.0; for floats that go beyond 1 (linear light) they are divided by their maximum, which is
        returned for `from_unit`.

    Raises:
        TypeError: an array of another type.
        ValueError: an array of another shape, or with values that are not finite or negative.
    """
    name = image.dtype.name if isinstance(image, np.ndarray) else type(image).__name__
    if name not in PEAKS:
        raise TypeError(f"expected a uint8, uint16 or float array; got {name}")
    if image.ndim != 3 or image.shape[2] not in CHANNELS or 0 in image.shape:
        raise ValueError(f"expected an image of shape (H, W, 1) or (H, W, 3); got {image.shape}")
    if image.dtype.kind != "f":
        return (image / np.float32(PEAKS[name])).astype(np.float32), 1.0
    if not np.isfinite(image).all() or image.min() < 0:
        raise ValueError("expected finite values from 0 on; got NaN, infinity or negative ones")
    white = max(1.0, float(image.max()))
    return (image / white).astype(np.float32), white


def from_unit(pixels: NDArray[Any], white: float) -> NDArray[np.float32]:
    """Return pixels clipped to [0, 1], times what 1 stands for: the inverse of `to_unit`."""
    return np.asarray(np.clip(pixels, 0, 1) * white, np.float32)


def noise_level(pixels: NDArray[Any]) -> float:
    """Return the standard deviation of the noise, estimated from wavelet coefficients (scikit-image): channels' mean.

    Args:
        pixels: `(H, W, C)`. A channel without any detail, a flat one say, has none.
    """
    from skimage import restoration

    estimate: Any = restoration.estimate_sigma
    with warnings.catch_warnings():
        # It takes narrow images for ones with channels, and the median of no coefficients at all.
        warnings.simplefilter("ignore")
        return float(np.mean(np.nan_to_num(estimate(pixels, channel_axis=-1))))


def on_luminance(
    pixels: NDArray[np.float32], change: Callable[[NDArray[np.float32]], NDArray[Any]]
) -> NDArray[np.float32]:
    """Apply a function to the luma Y of Y'CbCr (ITU-R BT.601) and leave the chroma as it is.

    Args:
        pixels: `(H, W, 1)` or `(H, W, 3)` in [0, 1]; one channel is its own luma.
        change: takes and returns `(H, W)`.
    """
    if pixels.shape[2] == 1:
        return np.asarray(change(pixels[:, :, 0]), np.float32)[:, :, None]
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    # The same step in R, G and B leaves Cb and Cr alone.
    return np.asarray(pixels + (change(luma) - luma)[:, :, None], np.float32)
