"""Total variation denoising (Rudin, Osher, Fatemi; Chambolle 2004) as scikit-image has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_tv_chambolle, estimate_sigma

from evaluator.images import from_unit, to_unit


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    sigma = float(np.mean(estimate_sigma(pixels, channel_axis=-1)))
    restored = denoise_tv_chambolle(pixels, weight=1.2 * sigma, channel_axis=-1)
    return from_unit(restored, white)
