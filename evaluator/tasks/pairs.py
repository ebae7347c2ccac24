"""What can be measured of one pair of a data set: shift, exposure, noise and sharpness of its two sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.images import Pixels, pixels_digest
from evaluator.metrics.colour import luma_yiq

Plane = NDArray[np.float64]
"""`(H, W)` luma, 0 to 1 (beyond 1 in linear light)."""

THUMBNAIL = 32
_CROP = 1024
"""The middle of larger images is enough to find a shift."""
_FINE, _COARSE = 0.08, 0.04
"""Frequencies, in cycles a pixel, up to which a shift is found and confirmed: above them there is mostly noise."""
_CLEARER = 0.8
"""A shift is one only if undoing it leaves less than this of what the coarse parts of the images disagree in."""
_BLOCK = 8
_DARK = 0.02
"""Mean above which a block tells its brightness."""
_FLAT = 1 / 255
"""Standard deviation below which an image has nothing to compare."""
_ALIKE = 0.5
"""Correlation of details below which edges are noise, and sharpness means nothing."""
_LITTLE = 4 / 255
"""Noise that the texture of a clean photograph can pass for."""
_QUANTISED = 0.3 / 255
"""Noise of rounding to 8 bit: less is not told apart."""


@dataclass(frozen=True)
class Shift:
    """How far the input lies from the reference, in pixels: positive is to the right, and down."""

    right: float
    down: float

    @property
    def length(self) -> float:
        """The distance in pixels."""
        return math.hypot(self.right, self.down)


@dataclass(frozen=True)
class Sides:
    """How the two sides compare, after the input is brought to the reference's contrast."""

    noise_input: float
    """Standard deviation of the noise, as a share of white."""
    noise_reference: float
    sharpness: float
    """Strength of the input's edges over that of the reference's: above 1 if the input is sharper."""

    @property
    def swapped(self) -> str:
        """In words, what is the wrong way round; empty if nothing is.

        Of degraded pairs, an input is noisier than its reference, or less sharp. A blurred input is the cleaner one,
        and a noisy input can look a little sharper, so only both together are a sign.
        """
        more = math.log2(max(self.noise_input, _QUANTISED) / max(self.noise_reference, _QUANTISED))
        if self.sharpness > 1.25 and (more < 1 or self.noise_input < _LITTLE):
            return f"an input that is {self.sharpness:.2f} times as sharp as its reference"
        no_sharper = self.sharpness > (0.75 if more < -2 else 0.95)
        if more < -1 and self.noise_reference > _LITTLE and no_sharper:
            return f"a reference with {2**-more:.1f} times the noise of its input"
        return ""


@dataclass(frozen=True)
class Pair:
    """All that is kept of a pair once it was looked at."""

    identical: bool
    shift: Shift | None
    """None where none can be told: flat images, or too little in common."""
    gain: float | None
    """Brightness of the reference over that of the input; None where nothing is neither black nor white."""
    sides: Sides | None
    """None where the two have too little in common, such as a plain sky."""
    thumbnails: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    """Input and reference, `(THUMBNAIL²,)`, mean 0 and length 1; None where one is flat."""
    digests: tuple[str, str]
    """sha256 of the pixels of input and reference."""


def measure(given: Pixels, reference: Pixels) -> Pair:
    """Measure a pair.

    Args:
        given: the input, `(H, W, C)`.
        reference: of the same height and width.

    Raises:
        ValueError: the sizes differ.
    """
    if given.array.shape[:2] != reference.array.shape[:2]:
        raise ValueError(f"input is {given.array.shape}, reference is {reference.array.shape}")
    one, other = luma(given), luma(reference)
    digests = (pixels_digest(given.array), pixels_digest(reference.array))
    identical = digests[0] == digests[1]
    flat = min(float(one.std()), float(other.std())) < _FLAT
    return Pair(
        identical=identical,
        shift=None if flat or identical else find_shift(one, other),
        gain=None if identical else find_gain(one, other, _clipped(given) | _clipped(reference)),
        sides=None if flat or identical or agreement(one, other) < _ALIKE else compare_sides(one, other),
        thumbnails=None if flat else (thumbnail(one), thumbnail(other)),
        digests=digests,
    )


def luma(pixels: Pixels) -> Plane:
    """Return the full-range luma of an image, `(H, W)`, 0 to 1."""
    return luma_yiq(pixels.array.astype(np.float64) / pixels.peak)[:, :, 0]


def find_shift(given: Plane, reference: Plane) -> Shift | None:
    """Return the global shift of one image against the other, to a fraction of a pixel, or None.

    Phase correlation below `_FINE`, where its peak is a Gaussian, whose middle three samples give exactly. It finds
    the strongest path of a motion blur, too, which is no shift: so undoing it must also bring the coarse parts of the
    images closer, for which a blur around the middle is none.
    """
    one, other = _spectrum(_middle(given)), _spectrum(_middle(reference))
    height, width = _middle(given).shape
    cross = one * np.conj(other)
    size = np.abs(cross)
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    square = down**2 + right**2
    phase = np.divide(cross, size, out=np.zeros_like(cross), where=size > 1e-12 * size.max())
    surface = np.fft.irfft2(phase * np.exp(-square / (2 * _FINE**2)), s=(height, width))
    row, column = (int(n) for n in np.unravel_index(int(np.argmax(surface)), surface.shape))
    found = Shift(
        right=_signed(column + _peak([surface[row, (column + n) % width] for n in (-1, 0, 1)]), width),
        down=_signed(row + _peak([surface[(row + n) % height, column] for n in (-1, 0, 1)]), height),
    )
    weight = np.exp(-square / _COARSE**2) * np.where(right > 0, 2.0, 1.0)  # the other half is its mirror image
    undone = np.exp(2j * np.pi * (down * found.down + right * found.right))
    power = math.sqrt(float((np.abs(one) ** 2 * weight).sum()) * float((np.abs(other) ** 2 * weight).sum()))
    before, after = (1 - float((np.real(cross * way) * weight).sum()) / power for way in (1.0, undone))
    return found if after < _CLEARER * before or found.length < 0.1 else None


def find_gain(given: Plane, reference: Plane, clipped: NDArray[np.bool_]) -> float | None:
    """Return the median of reference over input, of means over 8×8 pixels that are not nearly black.

    Args:
        given: the input.
        reference: of the same shape.
        clipped: of the same shape; blocks with a pixel that is true here are left out.
    """
    one, other = (_blocks(plane).mean(axis=1) for plane in (given, reference))
    usable = (np.minimum(one, other) > _DARK) & ~_blocks(clipped).any(axis=1)
    return float(np.median(other[usable] / one[usable])) if usable.any() else None


def compare_sides(given: Plane, reference: Plane) -> Sides:
    """Return noise and sharpness of both sides.

    Noise is the median of the finest diagonal differences, which edges do not reach. Sharpness is the slope where
    either image is steepest, less that of their flatter half, which is noise.
    """
    soft = [_blurred(plane, 3) for plane in (given, reference)]
    scaled = given * (float(soft[1].std()) / max(float(soft[0].std()), 1e-6))
    slopes = []
    for plane in (scaled, reference):
        down, right = (_blurred(plane, 1.5, order) for order in ((1, 0), (0, 1)))
        slopes.append(down**2 + right**2)
    both = slopes[0] / max(float(slopes[0].mean()), 1e-12) + slopes[1] / max(float(slopes[1].mean()), 1e-12)
    steep, gentle = both >= np.percentile(both, 95), both <= np.percentile(both, 50)
    edges = [max(float(slope[steep].mean() - slope[gentle].mean()), 1e-12) for slope in slopes]
    return Sides(_noise(scaled), _noise(reference), math.sqrt(edges[0] / edges[1]))


def thumbnail(plane: Plane) -> NDArray[np.float32]:
    """Return an image as 32×32 means in one row, mean 0 and length 1: what does not depend on exposure or noise."""
    import cv2

    small = cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    centred = small - small.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-12), dtype=np.float32)


def agreement(one: Plane, other: Plane) -> float:
    """Return the correlation of the details of two images of one shape, coarser than noise, finer than a thumbnail."""
    a, b = (_blurred(plane, 1.5) - _blurred(plane, 8) for plane in (one, other))
    return float((a * b).sum() / max(math.sqrt(float((a * a).sum() * (b * b).sum())), 1e-12))


def _blurred(plane: Plane, sigma: float, order: tuple[int, int] = (0, 0)) -> Plane:
    """Return an image under a Gaussian, or under its derivative down or to the right."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(plane, sigma, order))  # type: ignore[attr-defined]


def _middle(plane: Plane) -> Plane:
    height, width = plane.shape
    top, left = max(0, (height - _CROP) // 2), max(0, (width - _CROP) // 2)
    return plane[top : top + _CROP, left : left + _CROP]


def _spectrum(plane: Plane) -> NDArray[np.complex128]:
    height, width = plane.shape
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    mean = float((plane * window).sum() / window.sum())
    return np.asarray(np.fft.rfft2((plane - mean) * window))


def _peak(three: list[float]) -> float:
    """Return where a Gaussian through three samples, the middle one the highest, has its top: −½ to ½."""
    before, at, after = (math.log(max(value, 1e-9)) for value in three)
    bend = before - 2 * at + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def _signed(place: float, size: int) -> float:
    return place - size if place > size / 2 else place


def _clipped(pixels: Pixels) -> NDArray[np.bool_]:
    """Return where a channel is white, and may have been brighter; nowhere in linear light, which has no white."""
    if pixels.kind == "float":
        return np.zeros(pixels.array.shape[:2], np.bool_)
    return np.asarray((pixels.array == pixels.peak).any(axis=2))


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """Return the blocks of an image, one a row; what is left over at the right and below is cut off."""
    high, wide = (min(_BLOCK, side) for side in plane.shape)
    rows, columns = plane.shape[0] // high, plane.shape[1] // wide
    cut = plane[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, high * wide)


def _noise(plane: Plane) -> float:
    height, width = (side // 2 * 2 for side in plane.shape)
    cut = plane[:height, :width]
    diagonal = (cut[::2, ::2] - cut[1::2, ::2] - cut[::2, 1::2] + cut[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal))) / 0.6745 if diagonal.size else 0.0
