"""Wavelet shrinkage with BayesShrink's thresholds (Chang, Yu, Vetterli 2000), as scikit-image has it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_wavelet

from evaluator.images import from_unit, to_unit


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tiny images and flat channels; see below
        # Colour goes through Y'CbCr, as scikit-image's documentation advises; the noise level is estimated inside.
        restored = denoise_wavelet(
            pixels,
            method="BayesShrink",
            mode="soft",
            convert2ycbcr=pixels.shape[2] == 3,
            channel_axis=-1,
            rescale_sigma=True,
        )
    # A channel without any detail has no noise level, and so no threshold.
    return from_unit(restored if np.isfinite(restored).all() else pixels, white)
