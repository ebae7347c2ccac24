"""How training degrades photographs: as the generators of the mini splits do, with parameters drawn by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.tasks import Task, load_task, task_ids
from evaluator.tasks.mini import dark, display, dual_pixel, motion, noise, phone
from evaluator.tasks.mini.light import blurred, noisy, to_light, to_srgb8
from evaluator.tasks.mini.photographs import CROP
from evaluator.training.depth import scene_disparity

Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""`(H, W, 3)`: 8-bit or 16-bit sRGB, or linear light where the task has that."""
Pair = tuple[tuple[Image, ...], Image]
"""The inputs, in the order of `Degradation.inputs`, and the target."""
Degrade = Callable[[NDArray[np.uint8], np.random.RandomState], Pair]
"""From a photograph's crop with the margin around it to inputs and target, all without."""

_PHONE_MARGIN = 14
_LENS = 3
"""Most that `phone.degrade` takes from a side, px."""


@dataclass(frozen=True)
class Degradation:
    """What a task's mini split does to photographs."""

    margin: int
    """Pixels that it takes from each side."""
    degrade: Degrade
    inputs: tuple[str, ...] = ("input",)
    """The inputs' names, as a model's manifest has them."""


def _noise(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
    return (noise.degrade(wide, *noise.LEVELS[random.randint(len(noise.LEVELS))], random),), wide


def _motion(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
    kernel = motion.shake(motion.trajectory(random.uniform(motion.EXTENTS[0], motion.EXTENTS[-1]), random))
    spare = motion.REACH - len(kernel) // 2
    inner = wide[spare : len(wide) - spare, spare : len(wide) - spare]
    taken = to_srgb8(noisy(blurred(to_light(inner), kernel), *motion.NOISE, random))
    return (taken,), _inner(wide, motion.REACH)


def _dark(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
    exposure, number = dark.EXPOSURES[random.randint(len(dark.EXPOSURES))], random.randint(1 << 30)
    width = max(dark.SIZE, wide.shape[1])  # light falls off over the photograph, not over a crop of it
    left = int(random.randint(width - wide.shape[1] + 1))
    return (dark.darken(wide, exposure, number, left=left, width=width),), wide


def _phone(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
    number = random.randint(1 << 30)
    away = _away(len(wide), random)
    crop = len(wide) - 2 * _PHONE_MARGIN
    side = -(-(crop + 8) // 8) * 8  # JPEG's blocks begin anywhere beside the crop
    low, high = max(_LENS, _PHONE_MARGIN + crop - side), min(_PHONE_MARGIN, len(wide) - _LENS - side)
    top, left = (int(random.randint(low, high + 1)) for _ in range(2))
    reach = 2 + number % 2
    place = (slice(top - reach, top + side + reach), slice(left - reach, left + side + reach))
    taken = phone.degrade(wide[place], away[place], number)
    down, across = _PHONE_MARGIN - top, _PHONE_MARGIN - left
    return (taken[down : down + crop, across : across + crop],), _inner(wide, _PHONE_MARGIN)


def _away(side: int, random: np.random.RandomState) -> NDArray[np.int64]:
    """Return squared distances from the optical axis as `phone.degrade` takes them, for a crop from a 512×512 photo."""
    top, left = (int(random.randint(512 - side + 1)) for _ in range(2))
    squares = np.square(2 * np.arange(512, dtype=np.int64) + 1 - 512)
    return ((squares[top : top + side, None] + squares[None, left : left + side]) * 4096 // (2 * 512**2))[:, :, None]


def _display(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
    light = display.bright(wide, display.BOOSTS[random.randint(len(display.BOOSTS))])
    seen = display.seen_through(light, display.DISPLAYS[random.randint(len(display.DISPLAYS))])
    taken = np.clip(noisy(seen, *display.NOISE, random, display.WHITE), 0, display.PEAK * display.WHITE)
    clean = _inner(light, display.RADIUS)
    return ((taken / display.WHITE).astype(np.float32),), (clean / display.WHITE).astype(np.float32)


def _views(lens: dual_pixel.Lens) -> Degradation:
    """Return what a lens does to photographs: without depth of their own, they are laid over an invented one."""

    def degrade(wide: NDArray[np.uint8], random: np.random.RandomState) -> Pair:
        side, span = len(wide), CROP + 2 * dual_pixel.MARGIN
        disparity = scene_disparity(side, random)
        low, high = sorted((0, span - side))
        top, left = (int(random.randint(low, high + 1)) for _ in range(2))
        focus = int(random.randint(dual_pixel.FAR, dual_pixel.NEAR + 1))
        levels = dual_pixel.levels_of(lens.bent(disparity, top, left), focus, lens.gain)
        views = dual_pixel.see(to_light(wide), levels, lens.kernels)
        return tuple(lens.taken(views, random).values()), _inner(wide, dual_pixel.MARGIN)

    return Degradation(dual_pixel.MARGIN, degrade, ("left", "right"))


def _inner(wide: NDArray[Any], margin: int) -> NDArray[Any]:
    return wide[margin : len(wide) - margin, margin : wide.shape[1] - margin]


DEGRADATIONS = {
    "sidd_noise": Degradation(0, _noise),
    "motion_blur": Degradation(motion.REACH, _motion),
    "under_exposed": Degradation(0, _dark),
    "phone_to_dslr": Degradation(_PHONE_MARGIN, _phone),
    "display_psf": Degradation(display.RADIUS, _display),
    "dual_pixel": _views(dual_pixel.HARD),
    "dual_pixel_8": _views(dual_pixel.SMALL),
    "dual_pixel_radial": _views(dual_pixel.RADIAL),
}
"""By the name of the mini split's generator."""


def degradation_of(task: Task) -> Degradation:
    """Return how a task's mini split degrades.

    Raises:
        EvaluatorError: it has none, or one that photographs cannot be put through.
    """
    generator = _generator(task)
    if generator not in DEGRADATIONS:
        others = [name for name in task_ids() if _generator(load_task(name)) in DEGRADATIONS]
        raise EvaluatorError(
            f"Photographs cannot be degraded for the task {task.id}. Tasks that can be trained for: "
            f"{', '.join(others)}."
        )
    return DEGRADATIONS[generator]


def _generator(task: Task) -> str:
    return getattr(task.spec.splits.get("mini"), "generator", "")
