"""Total variation denoising (Rudin, Osher, Fatemi; Chambolle 2004) as scikit-image has it, blind to the noise level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_tv_chambolle, estimate_sigma
from skimage.util import img_as_float32


def restore(image: NDArray[Any]) -> NDArray[Any]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    white = max(1.0, float(image.max())) if image.dtype.kind == "f" else 1.0
    pixels = img_as_float32(image / white if white > 1 else image)
    sigma = float(np.mean(estimate_sigma(pixels, channel_axis=-1)))
    restored = denoise_tv_chambolle(pixels, weight=1.2 * sigma, channel_axis=-1)
    return (np.clip(restored, 0, 1) * white).astype(np.float32)
