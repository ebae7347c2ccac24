"""Large images, handed out in strips of rows, so that no metric needs one whole in float64.

What is computed of a strip is bit for bit what it is of the whole image: each row is made by the same operations, and
windows are given the rows beyond their strip that they reach into. Only sums over an image are added up in another
order, exactly from strip to strip; values differ from those of the whole by less than 1e-12 of themselves.

The functions here take whole images as well, and do to them what numpy would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
Shape = tuple[int, int, int]

LARGE = 1 << 22
"""Height × width beyond which an image is taken in strips: on every machine, so that its digits are the same."""
_STRIP = 1 << 20  # pixels of the image, as it was read, that are looked at together


class Strips:
    """An image of which any rows can be had, made anew whenever they are asked for."""

    def __init__(self, shape: Shape, rows: Callable[[int, int], Array], weight: int | None = None) -> None:
        """Describe an image.

        Args:
            shape: `(H, W, C)`.
            rows: returns the rows from `first` up to `last`, `(last - first, W, C)`.
            weight: pixels that must be read for one row; the width if not given.
        """
        self.shape, self.rows = shape, rows
        self.weight = shape[1] if weight is None else weight

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    def whole(self) -> Array:
        """Return the whole image."""
        return np.concatenate([self.rows(*bound) for bound in bounds(self.shape[0], self.weight)])


AnyImage = Floats | Strips
"""An image, whole or in strips; as float64, its values from 0 to the peak that is given with it."""


def is_large(shape: tuple[int, ...]) -> bool:
    """Tell whether an image `(H, W, …)` is taken in strips."""
    return shape[0] * shape[1] > LARGE


def strips_of(array: Array) -> Strips:
    """Return an array as an image in strips of float64."""

    def rows(first: int, last: int) -> Array:
        return np.ascontiguousarray(array[first:last], dtype=np.float64)

    height, width, channels = array.shape
    return Strips((height, width, channels), rows)


def bounds(height: int, weight: int, *, least: int = 1, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the first row of each strip, and that after its last.

    Args:
        height: rows in all.
        weight: pixels that must be read for a row.
        least: rows of a strip, at least (but for the last one).
        multiple: what the number of rows is a multiple of.
    """
    count = max(_STRIP // weight, least, 1)
    count = -(-count // multiple) * multiple
    for first in range(0, height, count):
        yield first, min(first + count, height)


def total(sums: Iterable[float]) -> float:
    """Add up the sums of strips, rounding once; of a whole image, there is one."""
    return math.fsum(sums)


def changed(image: AnyImage, change: Callable[[Floats], Floats]) -> AnyImage:
    """Return an image with each pixel changed; it may get another number of channels."""
    if not isinstance(image, Strips):
        return change(image)
    height, width, _ = image.shape
    channels = change(image.rows(0, 1)).shape[2]
    return Strips((height, width, channels), lambda first, last: change(image.rows(first, last)), image.weight)


def cut(image: AnyImage, rows: slice, columns: slice) -> AnyImage:
    """Return a part of an image."""
    if not isinstance(image, Strips):
        return image[rows, columns]
    top, bottom, _ = rows.indices(image.shape[0])
    left, right, _ = columns.indices(image.shape[1])

    def found(first: int, last: int) -> Array:
        return np.asarray(image.rows(top + first, top + last)[:, left:right])

    return Strips((bottom - top, right - left, image.shape[2]), found, image.weight)


def padded(
    image: AnyImage,
    down: tuple[int, int],
    right: tuple[int, int],
    mode: Literal["edge", "symmetric", "constant"] = "constant",
) -> AnyImage:
    """Return `numpy.pad(image, (down, right, (0, 0)), mode)`."""
    if not isinstance(image, Strips):
        return np.asarray(np.pad(image, (down, right, (0, 0)), mode=mode))
    height, width, channels = image.shape
    numbers = np.arange(height)  # the row of the image that each is, or -1
    sources = np.pad(numbers, down, constant_values=-1) if mode == "constant" else np.pad(numbers, down, mode=mode)

    def rows(first: int, last: int) -> Array:
        wanted = sources[first:last]
        known = wanted[wanted >= 0]
        low, high = (int(known.min()), int(known.max()) + 1) if known.size else (0, 1)
        found = image.rows(low, high)[np.clip(wanted, low, high - 1) - low]
        found[wanted < 0] = 0
        return np.pad(found, ((0, 0), right, (0, 0)), mode=mode)

    return Strips((len(sources), width + sum(right), channels), rows, image.weight)


def shrunk(image: Strips, factor: int, height: int, shrink: Callable[[Array], Array]) -> Array | Strips:
    """Return an image of which each row is made of `factor` rows of another; whole, once it is no longer large.

    Args:
        image: the larger image.
        factor: rows that become one.
        height: of the smaller image.
        shrink: makes n rows of n · `factor`.
    """
    _, width, channels = shrink(image.rows(0, factor)).shape

    def rows(first: int, last: int) -> Array:
        return shrink(image.rows(first * factor, last * factor))

    small = Strips((height, width, channels), rows, factor * image.weight)
    return small if is_large(small.shape) else small.whole()


def parts(*images: AnyImage) -> Iterator[tuple[Floats, ...]]:
    """Yield images of one shape together: strip by strip, or whole."""
    first = images[0]
    if not isinstance(first, Strips):
        yield tuple(image for image in images if not isinstance(image, Strips))
        return
    strips = [image for image in images if isinstance(image, Strips)]
    for bound in bounds(first.shape[0], max(image.weight for image in strips)):
        yield tuple(image.rows(*bound) for image in strips)


def mean(measure: Callable[..., Floats], *images: AnyImage) -> float:
    """Return the mean over all values of what a function makes of images of one shape."""
    if not isinstance(images[0], Strips):
        return float(np.mean(measure(*images)))
    return total(float(np.sum(measure(*strip))) for strip in parts(*images)) / images[0].size


def equal(one: AnyImage, other: AnyImage) -> bool:
    """Tell whether two images of one shape hold the same values."""
    return all(np.array_equal(a, b) for a, b in parts(one, other))
