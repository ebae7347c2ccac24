"""Mini splits of dual-pixel defocus: each half of the aperture makes a view of its own.

The circle of confusion of a thin lens is linear in disparity, so that a stereo camera's disparity map tells it. Layers
of equal blur are spread by their kernels and laid over each other from far to near, in linear light: B = Σ K ∗ (M ⊙ I)
of the K3DN paper, with near layers covering far ones. Left and right kernels are mirror images, and change places in
front of the focus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.light import SUM, Light, convolved, divided, noisy, quantised, to_light, to_srgb8, to_srgb16
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import (
    CROP,
    DISPARITY_UNIT,
    corners,
    crops,
    motorcycle_disparity,
    photograph,
    window,
)

Levels = NDArray[np.int64]
"""`(H, W)`: 0 sharp; ±n a circle of confusion of radius (n + 1) / 2 px, positive in front of the focus."""
Kernels = Callable[[int], Light]

DEEPEST = 16
"""Greatest level."""
MARGIN = DEEPEST // 2 + 1
_SHARP = 48
"""Circles of confusion up to this radius, in 1/64 px, count as points: the depth of field."""
NEAR, FAR = 56 * DISPARITY_UNIT, 8 * DISPARITY_UNIT
"""Disparities of the nearest and of the farthest point of a plane, 1/64 px."""
NOISE = (6e-5, 1e-6)
_SEED = 20230618


@lru_cache(maxsize=2 * DEEPEST + 1)
def half_disc(level: int) -> Light:
    """Return the left view's kernel of a hard half aperture: one half of a disc, of 16×16 samples a pixel.

    The right view's is its mirror image, `half_disc(-level)`. Sum `SUM`, `(2 · reach + 1)²`.
    """
    return _sampled(level, lambda across, down, radius: (across**2 + down**2 <= radius**2) & (across > 0))


@lru_cache(maxsize=2 * DEEPEST + 1)
def butterworth(level: int) -> Light:
    """Return the left view's kernel with a Butterworth profile and a gradual divide between the halves (RDPD)."""

    def profile(across: Light, down: Light, radius: int) -> NDArray[np.float64]:
        square = (across * across + down * down) / (radius * radius)
        return np.clip(0.5 + across / radius, 0, 1) / (1 + square * square * square)

    return _sampled(level, profile)


def _sampled(level: int, profile: Callable[[Light, Light, int], NDArray[np.generic]]) -> Light:
    if level == 0:
        return np.full((1, 1), SUM, np.int64)
    reach = (abs(level) + 1) // 2 + 1
    side = 2 * reach + 1
    # Odd numbers of 1/32 px: no sample lies on the divide between the halves.
    place = 2 * np.arange(16 * side, dtype=np.int64) + 1 - 16 * side
    samples = profile(place[None], place[:, None], 16 * (abs(level) + 1))
    fine = np.rint(samples.astype(np.float64) * 2**16).astype(np.int64).reshape(side, 16, side, 16).sum(axis=(1, 3))
    kernel = quantised(fine)
    return kernel if level > 0 else np.ascontiguousarray(kernel[:, ::-1])


@dataclass(frozen=True)
class Lens:
    """What makes two views of a scene."""

    kernels: Kernels
    """The left view's kernel of a level."""
    bits: int
    """Of the views."""
    gain: int
    """See `levels_of`."""
    curvature: int = 0
    """How much nearer the corners of 256×256 px lie than their middle, px of disparity: a focus that bends."""

    def bent(self, disparity: Light, top: int = 0, left: int = 0) -> Light:
        """Return the disparities with the bend added.

        Args:
            disparity: 1/64 px, of a part of the 256×256 px with the margin around them.
            top: where the part begins, px.
            left: likewise.
        """
        down, across = (
            np.square(2 * (np.arange(length, dtype=np.int64) + start) + 1 - (CROP + 2 * MARGIN))
            for length, start in zip(disparity.shape, (top, left), strict=True)
        )
        field = down[:, None] + across[None]
        return disparity + divided(self.curvature * DISPARITY_UNIT * field, 2 * CROP * CROP)

    def taken(self, views: Views, random: np.random.RandomState) -> dict[str, NDArray[np.uint8] | NDArray[np.uint16]]:
        """Return the views with noise in sRGB of `bits`, by name, left first."""
        encode = to_srgb8 if self.bits == 8 else to_srgb16
        return {name: encode(noisy(v, *NOISE, random)) for name, v in (("left", views.left), ("right", views.right))}


HARD = Lens(half_disc, 16, 13)
SMALL = Lens(half_disc, 8, 9)
MEASURED = Lens(half_disc, 8, 12)
RADIAL = Lens(butterworth, 16, 11, curvature=12)


@dataclass(frozen=True)
class Views:
    """A scene as the two halves of the aperture see it, before noise."""

    left: Light
    right: Light
    mask: NDArray[np.bool_]
    """`(H, W)`, true where both views are the scene itself."""


def levels_of(disparity: Light, focus: int, gain: int) -> Levels:
    """Return the levels of a scene.

    Args:
        disparity: `(H, W)`, 1/64 px.
        focus: the disparity in focus, 1/64 px.
        gain: radius of the circle of confusion in px at 64 px from the focus.
    """
    radius = divided((disparity - focus) * gain, 64)
    steps = divided(np.maximum(np.abs(radius) - _SHARP, 0), 32)
    return np.sign(radius) * np.minimum(steps, DEEPEST)


def see(scene: Light, levels: Levels, kernels: Kernels) -> Views:
    """Blur a scene into two views.

    Args:
        scene: `(H + 2 · MARGIN, W + 2 · MARGIN, C)` linear light.
        levels: of the same height and width.
        kernels: the left view's kernel of a level.
    """
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    mask = levels == 0
    views = []
    for side in (1, -1):
        total, cover = np.zeros_like(scene), np.zeros((*levels.shape, 1), np.int64)
        for level in np.unique(levels):  # far to near
            kernel = kernels(int(side * level)) if level else kernels(0)
            reach = len(kernel) // 2
            layer = levels == level
            box = _around(layer, reach)
            part = np.where(layer[box], 1, 0)[:, :, None].astype(np.int64)
            stack = np.pad(np.concatenate([part * scene[box], part], axis=2), ((reach, reach), (reach, reach), (0, 0)))
            spread = convolved(stack, kernel)
            colour, share = spread[:, :, :-1], spread[:, :, -1:]
            total[box] = divided(total[box] * (SUM - share), SUM) + colour
            cover[box] = divided(cover[box] * (SUM - share), SUM) + share
            if level > 0:
                mask[box] &= share[:, :, 0] == 0
        # Where layers meet, neither covers everything: what there is stands for the whole.
        views.append(divided(total[inner], cover[inner]))
    return Views(views[0], views[1], mask[inner])


def _around(layer: NDArray[np.bool_], reach: int) -> tuple[slice, slice]:
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(layer.any(axis=axis))
        spans.append(slice(max(int(found[0]) - reach, 0), int(found[-1]) + reach + 1))
    return spans[0], spans[1]


def _slope(number: int, upright: bool) -> Light:
    """Return a scene without a depth map: far in the upper quarter, from there nearer down to the lower border.

    `upright` turns it: a wall that comes nearer from left to right, or from right to left.
    """
    side = CROP + 2 * MARGIN
    along = np.clip(np.arange(side, dtype=np.int64) - side // 4, 0, None)
    line = FAR + divided(along * (NEAR - FAR), side - side // 4)
    plane = np.broadcast_to(line[:, None], (side, side))
    return plane if not upright else plane.T[:, :: 1 if number % 2 else -1]


def _scenes() -> Iterator[tuple[str, NDArray[np.uint8], Light, str]]:
    """Yield (case, crop with margin, disparity, group) of the sixteen crops.

    The motorcycle's disparity is measured, a garage; the cat stands before a receding wall. Both are like the indoor
    half of the real set in depth. The others lie on a plane that recedes to a far background, like its outdoor half.
    """
    measured = motorcycle_disparity()
    places = corners()
    for number, (case, wide) in enumerate(crops(MARGIN).items()):
        name, row, column = places[case]
        if name == "motorcycle_left":
            yield case, wide, window(measured, row, column, CROP, MARGIN).astype(np.int64), "indoor"
        else:
            wall = name == "chelsea"
            yield case, wide, _slope(number, wall), "indoor" if wall else "outdoor"


def _focus(disparity: Light, quarter: int) -> int:
    """Return the disparity that a quarter (1, 2 or 3) of the scene's pixels lies behind."""
    return int(np.sort(disparity, axis=None)[disparity.size * quarter // 4])


def _generate(lens: Lens, seed: int) -> Iterator[Made]:
    """Yield the sixteen crops; the focus lies in front, in the middle and behind in turn."""
    for number, (case, wide, disparity, group) in enumerate(_scenes()):
        random = np.random.RandomState(seed + number)
        levels = levels_of(lens.bent(disparity), _focus(disparity, (3, 2, 1)[number % 3]), lens.gain)
        views = see(to_light(wide), levels, lens.kernels)
        clean = wide[MARGIN:-MARGIN, MARGIN:-MARGIN].copy()
        reference = clean if lens.bits == 8 else clean.astype(np.uint16) * np.uint16(257)
        yield Made(case, dict(lens.taken(views, random)), reference, views.mask, group)


def generate() -> Iterator[Made]:
    """Yield sixteen pairs in 16 bit with hard half discs, in the groups `indoor` and `outdoor`."""
    yield from _generate(HARD, _SEED)


def generate_8() -> Iterator[Made]:
    """Yield the same scenes in 8 bit, through a smaller aperture."""
    for made in _generate(SMALL, _SEED + 100):
        yield Made(made.case, made.inputs, made.reference, made.mask)


def generate_radial() -> Iterator[Made]:
    """Yield the same scenes in 16 bit with Butterworth kernels and a focus that bends with the distance from the axis.

    The bend is the radial field dependence of a real lens.
    """
    for made in _generate(RADIAL, _SEED + 200):
        yield Made(made.case, made.inputs, made.reference, made.mask)


def generate_disparity() -> Iterator[Made]:
    """Yield twelve pairs in 8 bit without a truth, all with measured disparity: six crops, two distances in focus."""
    whole, measured = photograph("motorcycle_left"), motorcycle_disparity()
    places = [(122, 121), (122, 363), (60, 485), (0, 60), (200, 60), (244, 424)]
    for number in range(12):
        row, column = places[number // 2]
        random = np.random.RandomState(_SEED + 300 + number)
        disparity = window(measured, row, column, CROP, MARGIN).astype(np.int64)
        scene = to_light(window(whole, row, column, CROP, MARGIN).astype(np.uint8))
        levels = levels_of(disparity, _focus(disparity, (1, 3)[number % 2]), MEASURED.gain)
        views = see(scene, levels, MEASURED.kernels)
        yield Made(f"motorcycle-{number}", dict(MEASURED.taken(views, random)), None, views.mask)
