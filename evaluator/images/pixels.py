"""Pixels: an array and the peak that belongs to it, which is never guessed from the values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PEAKS = {"uint8": 255.0, "uint16": 65535.0, "float16": 1.0, "float32": 1.0, "float64": 1.0}
"""Peak by dtype: integers span their whole range, floats span [0, 1]."""


class ImageProblem(Exception):
    """A file that cannot be taken as the image that is wanted; becomes a finding where the file's name is known."""

    def __init__(self, code: str, *, expected: str, got: str, fix: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.code = code
        self.expected = expected
        self.got = got
        self.fix = fix


@dataclass(frozen=True)
class Pixels:
    """An image in memory.

    `array` is `(H, W, C)`, C-contiguous, RGB order; integer pixels keep their dtype. `peak` is the value of full white.
    """

    array: NDArray[np.generic]
    peak: float

    @property
    def kind(self) -> str:
        """`uint8`, `uint16` or `float`: the name that a protocol's `accepts` uses."""
        name = self.array.dtype.name
        return "float" if name.startswith("float") else name


def peak_of(dtype: np.dtype[np.generic]) -> float:
    """Return the peak of a pixel dtype.

    Raises:
        ImageProblem: the dtype is not one that holds pixels.
    """
    try:
        return PEAKS[dtype.name]
    except KeyError:
        raise ImageProblem(
            "pixel-type",
            expected="uint8, uint16 or float (0 to 1) values",
            got=f"{dtype.name} values",
            fix="Convert the array to uint8, uint16, or float in [0, 1].",
        ) from None


def pixels_digest(array: NDArray[np.generic]) -> str:
    """Return the sha256 of an array's dtype, shape and values, independent of any file format."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    head = f"{little.dtype.name} {array.shape}\n".encode()
    return hashlib.sha256(head + np.ascontiguousarray(little).tobytes()).hexdigest()
