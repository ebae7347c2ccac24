"""`gopro/mini`: camera shake during the exposure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.light import Light, blurred, noisy, quantised, to_light, to_srgb8
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import crops

EXTENTS = (5, 9, 14, 21)
"""Longer side of the box around a trajectory, px; they take turns."""
_STEPS = 512
_INERTIA = 0.985
NOISE = (1e-4, 2e-6)
"""β₁ and β₂ of `noisy`."""
REACH = 24
"""Pixels around a crop that kernels reach into."""
_SEED = 20170721


def trajectory(extent: float, random: np.random.RandomState) -> NDArray[np.float64]:
    """Return `(steps, 2)` positions, px: a random walk with inertia, its centre of mass at (0, 0)."""
    push = random.standard_normal((_STEPS, 2))
    velocity = random.standard_normal(2) * 4
    places = np.empty((_STEPS, 2))
    place = np.zeros(2)
    for step in range(_STEPS):
        velocity = _INERTIA * velocity + push[step]
        place = place + velocity
        places[step] = place
    places *= extent / float(np.ptp(places, axis=0).max())
    # Whole 1/1024 px: the mean must not hang on the order of a sum.
    whole = np.rint(places * 1024).astype(np.int64)
    return np.asarray((whole - whole.sum(axis=0) // _STEPS) / 1024)


def shake(places: NDArray[np.float64]) -> Light:
    """Return the kernel of a trajectory: each position's light shared between its four nearest pixels."""
    reach = int(np.ceil(np.abs(places).max()))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    low = np.floor(places).astype(np.intp)
    part = places - low
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - part[:, 0]) * np.abs(1 - right - part[:, 1])
            inside = share > 0
            at = (low[inside, 0] + down + reach, low[inside, 1] + right + reach)
            np.add.at(kernel, at, share[inside])
    return quantised(kernel)


def generate() -> Iterator[Made]:
    """Yield sixteen crops, blurred in linear light by one trajectory each, with a little noise, in 8 bit."""
    for number, (case, wide) in enumerate(crops(REACH).items()):
        random = np.random.RandomState(_SEED + number)
        kernel = shake(trajectory(EXTENTS[number % len(EXTENTS)], random))
        spare = REACH - len(kernel) // 2
        light = to_light(wide[spare : len(wide) - spare, spare : len(wide) - spare])
        clean = wide[REACH:-REACH, REACH:-REACH].copy()
        yield Made(case, {"input": to_srgb8(noisy(blurred(light, kernel), *NOISE, random))}, clean)
