"""Non-local means (Buades, Coll, Morel, CVPR 2005) as scikit-image has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means, estimate_sigma
from skimage.util import img_as_float32


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    white = max(1.0, float(image.max())) if image.dtype.kind == "f" else 1.0
    pixels = img_as_float32(image / white if white > 1 else image)
    sigma = float(np.mean(estimate_sigma(pixels, channel_axis=-1)))
    # scikit-image's own advice for the fast mode: 5×5 patches, 13×13 search window, h = 0.8 σ.
    restored = denoise_nl_means(
        pixels, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
    )
    return (np.clip(restored, 0, 1) * white).astype(np.float32)
