"""Photographs that the scikit-image package installs, cropped for the mini splits.

Only PNG files are used: a JPEG's pixels may depend on the decoder's build, and mini splits are pinned by digest.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from evaluator.images import decode

CROP = 256
_CORNERS = {
    "astronaut": ((0, 0), (0, 256), (256, 0), (256, 256)),
    "motorcycle_left": ((0, 0), (0, 242), (0, 485), (244, 0), (244, 242), (244, 485)),
    "coffee": ((0, 0), (0, 344), (144, 0), (144, 344)),
    "chelsea": ((0, 0), (44, 195)),
}


def crops() -> dict[str, NDArray[np.uint8]]:
    """Return sixteen 256×256 RGB uint8 crops by id (`astronaut-0` …), in a fixed order."""
    folder = files("skimage") / "data"
    found = {}
    for name, corners in _CORNERS.items():
        photograph = decode((folder / f"{name}.png").read_bytes()).array.astype(np.uint8)
        for number, (row, column) in enumerate(corners):
            crop = photograph[row : row + CROP, column : column + CROP]
            found[f"{name.split('_')[0]}-{number}"] = np.ascontiguousarray(crop)
    return found
