"""Photographs that the scikit-image package installs, for the mini splits.

Only PNG files are used: a JPEG's pixels may depend on the decoder's build, and mini splits are pinned by digest.
"""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from evaluator.images import decode

CROP = 256
DISPARITY_UNIT = 64
"""`motorcycle_disparity` counts in 1/64 px."""
_CORNERS = {
    "astronaut": ((0, 0), (0, 256), (256, 0), (256, 256)),
    "motorcycle_left": ((0, 0), (0, 242), (0, 485), (244, 0), (244, 242), (244, 485)),
    "coffee": ((0, 0), (0, 344), (144, 0), (144, 344)),
    "chelsea": ((0, 0), (44, 195)),
}


def _data(name: str) -> bytes:
    return (files("skimage") / "data" / name).read_bytes()


def photograph(name: str) -> NDArray[np.uint8]:
    """Return a photograph, `(H, W, 3)` RGB."""
    return decode(_data(f"{name}.png")).array.astype(np.uint8)


def window(whole: NDArray[np.generic], row: int, column: int, size: int, margin: int) -> NDArray[np.generic]:
    """Return the square of `size` px at (row, column) and `margin` px around it, mirrored at the picture's border."""
    width = ((margin, margin), (margin, margin), (0, 0))[: whole.ndim]
    padded = np.pad(whole, width, mode="reflect")
    side = size + 2 * margin
    return np.ascontiguousarray(padded[row : row + side, column : column + side])


def corners() -> dict[str, tuple[str, int, int]]:
    """Return (photograph, row, column) of sixteen crops by id (`astronaut-0` …), in a fixed order."""
    return {
        f"{name.split('_')[0]}-{number}": (name, row, column)
        for name, places in _CORNERS.items()
        for number, (row, column) in enumerate(places)
    }


def crops(margin: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Return the sixteen 256×256 RGB crops by id, each with `margin` px around it for kernels to reach into."""
    whole = {name: photograph(name) for name in _CORNERS}
    return {
        case: window(whole[name], row, column, CROP, margin).astype(np.uint8)
        for case, (name, row, column) in corners().items()
    }


def motorcycle_disparity() -> NDArray[np.int64]:
    """Return the measured disparity of `motorcycle_left`, `(500, 741)`, in 1/64 px; near things have more.

    Pixels that only one camera saw have no measurement: they take that of their farther neighbour in the row.
    """
    with np.load(io.BytesIO(_data("motorcycle_disp.npz"))) as archive:
        measured = archive["arr_0"]
    known = np.isfinite(measured)
    disparity = np.where(known, np.rint(np.where(known, measured, 0) * DISPARITY_UNIT), 0).astype(np.int64)
    columns = np.arange(disparity.shape[1])
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, len(columns))[:, ::-1], axis=1)[:, ::-1]
    nothing = np.iinfo(np.int64).max
    padded = np.pad(disparity, ((0, 0), (1, 1)), constant_values=nothing)
    return np.minimum(np.take_along_axis(padded, before + 1, axis=1), np.take_along_axis(padded, after + 1, axis=1))
