"""BM3D (Dabov, Foi, Katkovnik, Egiazarian 2007) by its authors' package, blind to the noise level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.images import from_unit, noise_level, to_unit

try:
    from bm3d import bm3d, bm3d_rgb
except ImportError:
    raise ImportError(
        "BM3D is not installed (its licence allows non-commercial use only): pip install 'restoration-evaluator[bm3d]'"
    ) from None

SIDE = 16
"""The least height and width: the package crashes on an image of 8×8 pixels, the size of its blocks."""


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    return from_unit(denoised(pixels, noise_level(pixels)), white)


def denoised(pixels: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Return an image, denoised with the package's own settings.

    Args:
        pixels: `(H, W, C)`, white is 1.
        sigma: standard deviation of the noise.
    """
    if min(pixels.shape[:2]) < SIDE:
        raise ValueError(f"expected an image of at least {SIDE}×{SIDE} pixels; got {pixels.shape[1]}×{pixels.shape[0]}")
    if sigma == 0:
        return pixels
    restored = bm3d_rgb(pixels, sigma) if pixels.shape[2] == 3 else bm3d(pixels[:, :, 0], sigma)
    return np.reshape(restored, pixels.shape)
