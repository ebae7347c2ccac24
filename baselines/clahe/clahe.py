"""Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of the luminance, as scikit-image has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.exposure import equalize_adapthist

from evaluator.images import from_unit, on_luminance, to_unit


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Enhance an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    return from_unit(on_luminance(pixels, equalize_adapthist), white)
