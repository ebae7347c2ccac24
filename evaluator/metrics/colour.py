"""Luma and gray, by the formulas that published codes use."""

from __future__ import annotations

import numpy as np

from evaluator.metrics.contract import Image

# MATLAB's rgb2gray: the first row of the inverse of its NTSC matrix.
_RGB2GRAY = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
_YIQ = np.array([0.299, 0.587, 0.114])
_Y601 = np.array([65.481, 128.553, 24.966]) / 255


def gray_matlab(image: Image, peak: float) -> Image:
    """Return MATLAB's `rgb2gray` of an 8-bit image: `(H, W, 1)` on the same scale, rounded to 255 levels."""
    if image.shape[2] == 1:
        return image
    gray: Image = np.rint(image @ _RGB2GRAY * (255 / peak))[:, :, None] * (peak / 255)
    return gray


def luma_yiq(image: Image) -> Image:
    """Return the full-range luma 0.299 R + 0.587 G + 0.114 B, unrounded: `(H, W, 1)`."""
    return image if image.shape[2] == 1 else np.ascontiguousarray((image @ _YIQ)[:, :, None])


def luma_601(image: Image, peak: float) -> Image:
    """Return the limited-range BT.601 luma (16 to 235 of 255) of MATLAB's `rgb2ycbcr`, unrounded: `(H, W, 1)`."""
    if image.shape[2] == 1:
        return image
    return np.ascontiguousarray((image @ _Y601 + 16 / 255 * peak)[:, :, None])
