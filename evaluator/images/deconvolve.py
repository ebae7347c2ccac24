"""Deconvolution that several baselines share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SEED = 20100701
"""Of the Gibbs sampler: a run says the same twice."""


def deconvolved(pixels: NDArray[np.float32], psf: NDArray[Any]) -> NDArray[np.float32]:
    """Return an image after unsupervised Wiener-Hunt deconvolution (scikit-image), each channel by itself.

    Args:
        pixels: `(H, W, C)`; not clipped, so that linear light may be given.
        psf: `(h, w)`, sides odd; it is divided by its sum.
    """
    from skimage import restoration

    wiener: Any = restoration.unsupervised_wiener

    height, width, channels = pixels.shape
    # The method takes images to be periodic: beside its mirror image, one is, without a step at the border.
    whole = np.pad(pixels, ((0, height), (0, width), (0, 0)), mode="symmetric").astype(np.float64)
    kernel = psf / psf.sum(dtype=np.float64)
    # An image that is smaller than the kernel is repeated: its period stays.
    whole = np.tile(whole, (*(-(-k // side) for k, side in zip(psf.shape, whole.shape[:2], strict=True)), 1))
    restored = np.empty_like(pixels)
    for channel in range(channels):
        found, _ = wiener(whole[:, :, channel], kernel, clip=False, rng=_SEED)
        restored[:, :, channel] = found[:height, :width]
    return restored
