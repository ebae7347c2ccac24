"""Bilateral filter (Tomasi, Manduchi, ICCV 1998) as OpenCV has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

import cv2
from numpy.typing import NDArray

from evaluator.images import from_unit, noise_level, to_unit


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    sigma = noise_level(pixels)
    if sigma == 0:
        return from_unit(pixels, white)
    # The range kernel sees the distance summed over channels, hence the factor; 1.95 as in Zhang and Gunturk, 2008.
    restored = cv2.bilateralFilter(pixels, 9, sigmaColor=1.95 * sigma * pixels.shape[-1], sigmaSpace=1.8)
    return from_unit(restored.reshape(pixels.shape), white)
