"""Unsupervised Wiener-Hunt deconvolution (Orieux, Giovannelli, Rodet 2010) with the true blur."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.images import deconvolved, from_unit, to_unit


def restore(image: NDArray[Any], psf: NDArray[Any]) -> NDArray[np.float32]:
    """Deblur an image; returns float32 in [0, 1], or up to the input's maximum for linear light.

    Args:
        image: `(H, W, C)`.
        psf: `(h, w, 1)`, the same for all channels.
    """
    pixels, white = to_unit(image)
    if psf.ndim != 3 or psf.shape[2] != 1 or psf.shape[0] % 2 == 0 or psf.shape[1] % 2 == 0:
        raise ValueError(f"expected a point spread function of shape (h, w, 1), h and w odd; got {psf.shape}")
    return from_unit(deconvolved(pixels, psf[:, :, 0]), white)
