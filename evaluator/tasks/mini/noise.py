"""`sidd/mini`: signal-dependent camera noise on clean photographs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.light import linear_to_srgb, srgb_to_linear
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import crops

# Shot noise β₁ and additive noise β₂ of linear light, from a bright scene to a dark one at high ISO.
LEVELS = ((0.0012, 0.00003), (0.003, 0.0001), (0.007, 0.0003), (0.015, 0.0008))
_SEED = 20220704


def degrade(clean: NDArray[np.uint8], beta_1: float, beta_2: float, random: np.random.RandomState) -> NDArray[np.uint8]:
    """Add signal-dependent noise: y = γ(C(x + n)), n ~ N(0, β), β² = β₁·x + β₂ (LPIENet paper, equation 1).

    Args:
        clean: `(H, W, 3)` sRGB photograph.
        beta_1: shot noise, per unit of linear light.
        beta_2: variance of the additive noise.
        random: the source of noise.

    Returns:
        `(H, W, 3)`: x is the photograph's linear light, C clips to [0, 1], γ is the sRGB curve; rounded to 8 bit.
    """
    light = srgb_to_linear(clean / 255.0)
    noise = random.standard_normal(light.shape) * np.sqrt(beta_1 * light + beta_2)
    noisy: NDArray[np.uint8] = np.rint(255 * linear_to_srgb(np.clip(light + noise, 0, 1))).astype(np.uint8)
    return noisy


def generate() -> Iterator[Made]:
    """Yield sixteen crops with noise in 8 bit; the noise levels take turns."""
    for number, (case, clean) in enumerate(crops().items()):
        # RandomState's stream is frozen by NumPy's compatibility policy; that of Generator is not.
        random = np.random.RandomState(_SEED + number)
        yield Made(case, {"input": degrade(clean, *LEVELS[number % len(LEVELS)], random)}, clean)
