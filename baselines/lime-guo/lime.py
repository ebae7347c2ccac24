"""LIME (Guo, Li, Ling, TIP 2017): low-light enhancement by an illumination map, from the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse import diags
from scipy.sparse.linalg import spsolve

from evaluator.images import from_unit, to_unit

# The paper's: α of equation 8, γ of section II-D, σ of the window of weighting strategy III.
ALPHA, GAMMA, SIGMA = 0.15, 0.8, 2
_EPSILON = 1e-3


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Enhance an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    brightest = pixels.max(axis=2).astype(np.float64)
    light = np.clip(refined(brightest), _EPSILON, 1) ** GAMMA
    return from_unit(pixels / light[:, :, None], white)


def refined(brightest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the illumination map that is smooth but for the structure of an initial one: the sped-up solver.

    It solves (1 + Σ_d D_dᵀ w_d D_d) t = t̂ with w_d = α W_d / (|D_d t̂| + ε) over both directions d.
    """
    height, width = brightest.shape
    weights = []
    for axis in (0, 1):
        slope = np.diff(brightest, axis=axis)
        window = 1 / (np.abs(gaussian_filter(slope, SIGMA)) + _EPSILON)
        weight = ALPHA * window / (np.abs(slope) + _EPSILON)
        # Across the last row or column there is nothing to be smooth with.
        weights.append(np.pad(weight, [(0, axis == 0), (0, axis == 1)]).ravel())
    down, right = weights
    # Each weight counts for the pixel before and the pixel after it.
    main = 1 + down + right
    main[width:] += down[:-width]
    main[1:] += right[:-1]
    # Two sums: in an image one pixel wide, the pixel below and the one to the right have the same offset.
    across = diags([-right[:-1], main, -right[:-1]], [-1, 0, 1])
    matrix = (across + diags([-down[:-width], -down[:-width]], [-width, width])).tocsc()
    # Solved directly: conjugate gradients take thousands of steps, for weights range over six decades.
    found = spsolve(matrix, brightest.ravel(), permc_spec="MMD_AT_PLUS_A")
    return np.asarray(found).reshape(height, width)
