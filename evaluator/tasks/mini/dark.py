"""`lowlight/mini` and `exdark/mini`: too little light, uneven, with the noise that comes with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.detection import Box
from evaluator.tasks.mini.light import divided, noisy, to_light, to_srgb8
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import photograph

EXPOSURES = (4, 8, 16)
"""The light is divided by this at the bright side; they take turns."""
_FALL = 4
"""At the dark side it is divided by this once more."""
_NOISE = (1.5e-4, 4e-7)
SIZE = 384
"""Side of the photographs, px."""
_CORNERS = {
    "astronaut": ((0, 0), (0, 128), (128, 0), (128, 128)),
    "motorcycle_left": ((0, 0), (0, 357), (116, 0), (116, 357)),
    "coffee": ((0, 0), (16, 216)),
    "motorcycle_right": ((0, 178), (116, 178)),
}
# Drawn by hand around what is seen of each object, also behind others.
_BOXES = {
    "chelsea": (Box("Cat", 0, 0, 400, 300),),
    "astronaut": (Box("People", 21, 15, 345, 497),),
    "coffee": (Box("Cup", 172, 17, 236, 291), Box("Table", 0, 0, 600, 400)),
    "motorcycle_left": (
        Box("Motorbike", 91, 14, 594, 440),
        Box("Bicycle", 0, 107, 141, 123),
        Box("Bottle", 400, 52, 19, 40),
        Box("Bottle", 475, 47, 20, 25),
    ),
    "motorcycle_right": (
        Box("Motorbike", 47, 12, 582, 442),
        Box("Bicycle", 0, 107, 97, 123),
        Box("Bottle", 381, 52, 18, 40),
        Box("Bottle", 459, 47, 17, 25),
    ),
}
_SEED = 20210930


def darken(
    clean: NDArray[np.uint8], exposure: int, number: int, *, left: int = 0, width: int | None = None
) -> NDArray[np.uint8]:
    """Return a photograph as taken with too little light: y = γ(C(x / exposure · fall-off + n)), 8 bit.

    Args:
        clean: `(H, W, 3)` sRGB.
        exposure: what the light is divided by.
        number: seeds the noise; the light falls off to the right, and in every second picture to the left.
        left: where the photograph begins that `clean` is cut out of, px before it.
        width: that photograph's; clean's own if None.
    """
    width = width or clean.shape[1]
    along = np.arange(width, dtype=np.int64)[:: -1 if number % 2 else 1][left : left + clean.shape[1]]
    # From 1 to 1 / _FALL, straight.
    fall = (_FALL * (width - 1) - along * (_FALL - 1))[None, :, None]
    light = divided(to_light(clean) * fall, exposure * _FALL * (width - 1))
    return to_srgb8(noisy(light, *_NOISE, np.random.RandomState(_SEED + number)))


def generate() -> Iterator[Made]:
    """Yield twelve 384×384 crops, under-exposed; there is no reference."""
    number = 0
    for name, corners in _CORNERS.items():
        whole = photograph(name)
        for place, (row, column) in enumerate(corners):
            crop = whole[row : row + SIZE, column : column + SIZE]
            dark = darken(crop, EXPOSURES[number % len(EXPOSURES)], number)
            yield Made(f"{name.replace('_', '-')}-{place}", {"input": dark}, None)
            number += 1


def generate_boxes() -> Iterator[Made]:
    """Yield five whole photographs at three exposures each, with boxes around what a detector should find."""
    number = 0
    for name, boxes in _BOXES.items():
        whole = photograph(name)
        for exposure in EXPOSURES:
            case = f"{name.replace('_', '-')}-{exposure}"
            yield Made(case, {"input": darken(whole, exposure, number)}, None, boxes=boxes)
            number += 1
