"""Non-local means (Buades, Coll, Morel, CVPR 2005) as scikit-image has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means

from evaluator.images import from_unit, noise_level, to_unit


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    sigma = noise_level(pixels)
    if sigma == 0:
        return from_unit(pixels, white)
    # scikit-image's own advice for the fast mode: 5×5 patches, 13×13 search window, h = 0.8 σ.
    restored = denoise_nl_means(
        pixels, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
    )
    return from_unit(restored.reshape(pixels.shape), white)  # scikit-image drops a lone channel
