"""Multi-scale retinex with colour restoration (Jobson et al. 1997) as IPOL has it (Petro, Sbert, Morel 2014)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from evaluator.images import from_unit, to_unit

# All of IPOL's edition: scales in pixels, equal weights, α of the colour restoration, percent clipped at either end.
SCALES = (15, 80, 250)
ALPHA = 125
CLIPPED = 1


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Enhance an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    # From 1 to 256, as in the paper, so that there is a logarithm.
    light = pixels.astype(np.float64) * 255 + 1
    retinex = np.mean([np.log(light) - np.log(smoothed(light, scale)) for scale in SCALES], axis=0)
    if light.shape[2] > 1:
        retinex = retinex * (np.log(ALPHA * light) - np.log(light.sum(axis=2, keepdims=True)))
    return from_unit(balanced(retinex), white)


def smoothed(light: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return `(H, W, C)` convolved with a Gaussian, mirrored at the border: by the DCT, whatever the width."""
    rows, columns = (np.pi * np.arange(side) / side for side in light.shape[:2])
    response = np.exp(-(sigma**2) / 2 * (rows[:, None] ** 2 + columns[None] ** 2))
    # Rounding must not push a value below the least one that there is.
    back = idctn(dctn(light, axes=(0, 1)) * response[:, :, None], axes=(0, 1))
    return np.asarray(np.maximum(back, 1))


def balanced(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each channel stretched to [0, 1], `CLIPPED` percent of its pixels cut off at either end."""
    low, high = np.percentile(values, (CLIPPED, 100 - CLIPPED), axis=(0, 1))
    return np.asarray((values - low) / np.where(high > low, high - low, 1))
