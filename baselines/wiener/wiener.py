"""Unsupervised Wiener-Hunt deconvolution (Orieux, Giovannelli, Rodet 2010) with an assumed blur."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.images import deconvolved, from_unit, to_unit

SIGMA = 1.0
"""Width of the Gaussian that is assumed, px: a guess, and the method's only setting."""
RADIUS = 4
"""Where the Gaussian is cut off, px."""


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Deblur an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    along = np.exp(-np.square(np.arange(-RADIUS, RADIUS + 1)) / (2 * SIGMA**2))
    return from_unit(deconvolved(pixels, np.outer(along, along)), white)
