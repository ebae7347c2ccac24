"""Linear light in whole numbers, so that a mini split comes out the same on every machine.

Sums of floats depend on their order, which BLAS, FFT and SIMD choose; sums of whole numbers do not. Floats remain only
in tables, kernels and noise, each rounded at once to whole numbers: two machines would differ only if a value fell
within the last bits (about 1e-15 of it) of a tie, which is not to be expected in 1e8 values and shows in the manifest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.int64]

WHITE = 1 << 21
"""White in linear light: fine enough that 8-bit sRGB comes back as exactly 257 times itself in 16 bit."""
SUM = 1 << 16
"""What the weights of a kernel add up to."""


def srgb_to_linear(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decode sRGB values in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode linear light in [0, 1] as sRGB (IEC 61966-2-1)."""
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 0) ** (1 / 2.4) - 0.055)


@lru_cache(maxsize=4)
def _decoding(white: int) -> Light:
    return np.rint(white * srgb_to_linear(np.arange(256) / 255)).astype(np.int64)


@lru_cache(maxsize=2)
def _encoding(peak: int) -> NDArray[np.float64]:
    return np.rint(peak * linear_to_srgb(np.arange(WHITE + 1) / WHITE))


def to_light(image: NDArray[np.uint8], white: int = WHITE) -> Light:
    """Return the linear light of an 8-bit sRGB image, 0 to `white`."""
    return _decoding(white)[image]


def to_srgb8(light: Light) -> NDArray[np.uint8]:
    """Return linear light, clipped to 0 to `WHITE`, as 8-bit sRGB."""
    return _encoding(255).astype(np.uint8)[np.clip(light, 0, WHITE)]


def to_srgb16(light: Light) -> NDArray[np.uint16]:
    """Return linear light, clipped to 0 to `WHITE`, as 16-bit sRGB."""
    return _encoding(65535).astype(np.uint16)[np.clip(light, 0, WHITE)]


def divided(value: Light, by: Light | int) -> Light:
    """Return the quotient, rounded to the nearest whole number; `by` is positive."""
    return (value + by // 2) // by


def quantised(weights: NDArray[np.generic], total: int = SUM) -> Light:
    """Return non-negative weights of any sum as whole numbers that add up to `total`.

    What rounding leaves over goes to the largest weight.
    """
    fine = np.rint(weights.astype(np.float64) * (2**30 / float(weights.max()))).astype(np.int64)
    kernel = divided(fine * total, int(fine.sum()))
    kernel.flat[int(kernel.argmax())] += total - int(kernel.sum())
    return kernel


def convolved(light: Light, kernel: Light) -> Light:
    """Convolve without division: a point becomes the kernel.

    Args:
        light: `(H, W, C)`.
        kernel: `(h, w)` whole numbers, h and w odd.

    Returns:
        `(H − h + 1, W − w + 1, C)`: the part that depends on nothing beyond the border.
    """
    height, width = (a - b + 1 for a, b in zip(light.shape[:2], kernel.shape, strict=True))
    total = np.zeros((height, width, light.shape[2]), np.int64)
    turned = kernel[::-1, ::-1]
    for row, column in np.argwhere(turned):
        total += turned[row, column] * light[row : row + height, column : column + width]
    return total


def blurred(light: Light, kernel: Light) -> Light:
    """Return `convolved` divided by the kernel's sum, rounded."""
    return divided(convolved(light, kernel), int(kernel.sum()))


def noisy(light: Light, beta_1: float, beta_2: float, random: np.random.RandomState, white: int = WHITE) -> Light:
    """Return x + n, n ~ N(0, β), β² = β₁·x + β₂ with x in units of white (LPIENet paper, equation 1); not clipped."""
    # Division by a power of two, multiplication, addition and square root are exact to the last bit everywhere.
    spread = np.sqrt(beta_1 * (light / white) + beta_2)
    return light + np.rint(white * (random.standard_normal(light.shape) * spread)).astype(np.int64)
