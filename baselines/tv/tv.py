"""Total variation denoising (Rudin, Osher, Fatemi; Chambolle 2004) as scikit-image has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from skimage.restoration import denoise_tv_chambolle

from evaluator.images import from_unit, noise_level, to_unit


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    sigma = noise_level(pixels)
    if sigma == 0:
        return from_unit(pixels, white)
    restored = denoise_tv_chambolle(pixels, weight=1.2 * sigma, channel_axis=-1)
    return from_unit(restored, white)
