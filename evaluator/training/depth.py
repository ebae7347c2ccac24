"""Depth for photographs that have none: scenes of surfaces before each other, as disparity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.dual_pixel import FAR, NEAR
from evaluator.tasks.mini.light import Light

_STEEPEST = (NEAR - FAR) / 200
"""A plane goes from far to near within 200 px at most, 1/64 px a px."""
_WAVE = (NEAR - FAR) / 8
"""Most that a surface bulges, 1/64 px."""
_THINGS = 3
"""Most that stands before the background."""

Plane = NDArray[np.float64]


def scene_disparity(side: int, random: np.random.RandomState) -> Light:
    """Return the disparity of an invented scene, `(side, side)`, from `FAR` to `NEAR` in 1/64 px.

    A background and up to three things before it, each bounded by an ellipse or a straight edge. Each is a plane of
    any slope and direction with a wave on it. Where they overlap, the nearest is seen.
    """
    places = np.arange(side, dtype=np.float64) + 0.5
    down, across = places[:, None], places[None]
    found = _surface(down, across, side, random)
    for _ in range(random.randint(_THINGS + 1)):
        thing = _surface(down, across, side, random)
        found = np.where(_outline(down, across, side, random), np.maximum(found, thing), found)
    return np.rint(found).astype(np.int64)


def _turned(down: Plane, across: Plane, random: np.random.RandomState) -> Plane:
    """Return how far pixels lie along a direction that is drawn."""
    angle = random.uniform(0, 2 * np.pi)
    return np.asarray(down * np.sin(angle) + across * np.cos(angle))


def _surface(down: Plane, across: Plane, side: int, random: np.random.RandomState) -> Plane:
    middle, half = random.uniform(FAR, NEAR), side / 2
    slope = random.uniform(0, _STEEPEST) * _turned(down - half, across - half, random)
    wave = random.uniform(0, _WAVE) * np.sin(
        2 * np.pi * (_turned(down, across, random) / (side * random.uniform(0.5, 2)) + random.uniform())
    )
    return np.clip(middle + slope + wave, FAR, NEAR)


def _outline(down: Plane, across: Plane, side: int, random: np.random.RandomState) -> NDArray[np.bool_]:
    y, x = (random.uniform(0, side) for _ in range(2))
    if random.randint(2):
        return _turned(down - y, across - x, random) > 0
    tall, broad = (side * random.uniform(0.1, 0.5) for _ in range(2))
    return ((down - y) / tall) ** 2 + ((across - x) / broad) ** 2 < 1
