"""Unsharp masking, as scikit-image has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import unsharp_mask

from evaluator.images import from_unit, to_unit


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Sharpen an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    # Channel by channel: scikit-image 0.26 leaves its result uninitialised where channel_axis is -1.
    sharp = [unsharp_mask(pixels[:, :, c], radius=1.0, amount=1.0) for c in range(pixels.shape[2])]
    return from_unit(np.stack(sharp, axis=-1), white)
