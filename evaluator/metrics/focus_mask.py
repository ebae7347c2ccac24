"""In-focus masks for `sharp_region`: from the disparity of dual-pixel views, or from depth where it is exact.

Out of focus, the two views of a dual pixel are shifted against each other; in focus they are not. The mask therefore
rests on the measurement alone, never on the ground truth that methods are trained on, and it abstains (false) where
the views say nothing. Make masks once, publish them frozen (`freeze`), and score with `thaw`: another version of a
library may round differently.

Left and right match as `left(x) = right(x + d)`; d is in pixels, positive to the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.images import ImageProblem, decode, encode_png, pixels_digest
from evaluator.metrics.colour import luma_yiq

Pixels = NDArray[np.generic]
Field = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Options:
    """What the matcher and the mask rest on; publish it with the masks."""

    search: int = 8
    """Disparities from −search to +search px are tried."""
    radius: int = 7
    """The matching window is `2 · radius + 1` px wide and high."""
    texture: float = 1 / 255
    """Least RMS of the luma's horizontal slope in the window, in both views, as a share of the peak per px. Noise of
    standard deviation s shifts a match by about s · √2 / (slope · 15 px): by 0.1 px where s equals the slope."""
    correlation: float = 0.9
    """Least normalised cross-correlation."""
    consistency: float = 0.5
    """Left-to-right and right-to-left disparity differ by less than this, px."""
    disparity: float = 0.5
    """Greatest |d − zero| of a pixel in focus, px."""
    erosion: int | None = None
    """Radius in px by which the mask is eroded at last, so that no window reaches over its edge; None: `radius`."""


@dataclass(frozen=True)
class Match:
    """How left and right fit together, pixel by pixel of the left view."""

    disparity: Field
    """`(H, W)` px, sub-pixel; without meaning where not usable."""
    correlation: Field
    """`(H, W)` normalised cross-correlation at the top of the parabola, −1 to 1."""
    usable: Mask
    """`(H, W)`, true where texture, correlation and consistency vouch for the disparity."""


def match(left: Pixels, right: Pixels, peak: float, options: Options | None = None) -> Match:
    """Match the two views along x by normalised cross-correlation of their luma, refined by a parabola.

    Args:
        left: left view, `(H, W)` or `(H, W, C)` with 1 or 3 channels, 0 to `peak`; black level already subtracted.
        right: right view, of the same shape.
        peak: the value of full white.
        options: the matcher's constants.

    Raises:
        ValueError: the shapes differ, or an image is not wider than twice the search range.
    """
    options = options or Options()
    if left.shape != right.shape or left.ndim not in (2, 3):
        raise ValueError(f"left and right must have one shape (H, W) or (H, W, C); got {left.shape}, {right.shape}")
    if left.shape[1] <= 2 * (options.search + 1):
        raise ValueError(f"±{options.search} px cannot be searched in a view {left.shape[1]} px wide")
    one, two = _luma(left, peak), _luma(right, peak)
    volume = _correlations(one, two, options)
    forward, correlation, peaked = _best(volume)
    backward, _, _ = _best(_seen_from_right(volume))
    usable = (
        peaked
        & (np.minimum(_texture(one, options), _texture(two, options)) > options.texture)
        & (correlation > options.correlation)
        & (_disagreement(forward, backward) < options.consistency)
    )
    return Match(forward, correlation, usable)


def constant_zero(matches: Sequence[Match], limit: float = 1.0, support: float = 0.1) -> float:
    """Return the disparity of points in focus, as one constant: the mode of the usable disparities near 0.

    The zero belongs to the camera, not to the scene: where masks of many pictures of one camera are made, give their
    matches together. The mode is taken, not the median, which follows whatever most of the scene does: in a Pixel 4
    scene without a sharp pixel it is 5.5 px, and would have called the blur in focus. For the same reason a mode
    beyond `limit` is not believed, and without a clear one there is no answer. A scene that lies mostly at a slight
    blur still deceives it: where the zero is known (0 in simulators), state it instead.

    Args:
        matches: of one camera's pictures.
        limit: greatest offset that is believed, px.
        support: least share of the usable pixels that must lie within 0.5 px of the mode.

    Raises:
        ValueError: the usable disparities have no mode within the limit, or too few pixels lie near it.
    """
    values = np.concatenate([m.disparity[m.usable] for m in matches]) if matches else np.empty(0)
    step, half = 0.05, 5
    edges = np.arange(-limit - 1, limit + 1 + step / 2, step)
    # A sliding count of width 0.55 px: wide enough to bridge the lumps of sub-pixel matching at whole pixels.
    count = np.convolve(np.histogram(values, edges)[0], np.ones(2 * half + 1), mode="same")
    centres = (edges[:-1] + edges[1:]) / 2
    top = float(np.median(centres[count == count.max()]))
    near = values[np.abs(values - top) <= 0.5]
    if not near.size or near.size < support * values.size or abs(top) > limit:
        raise ValueError(
            f"no zero disparity can be told from {values.size} usable pixels: expected {support:.0%} of them around "
            f"one value within ±{limit} px; measure the camera's zero and give it"
        )
    return float(np.median(near))


def smooth_zero(matches: Sequence[Match], limit: float = 1.0, reach: float = 1.0) -> Field:
    """Return the disparity of points in focus, as a polynomial of degree 2 over the field.

    For phones, whose zero changes over the field. It follows the scene's own slope where that is gentle (a floor), so
    fit it to many pictures of one camera, never to one: from the simulator's sample alone, whose zero is 0, it bends
    to −1 px in a corner that is out of focus.

    Args:
        matches: of one camera's pictures, all of one size.
        limit: as in `constant_zero`, which the fit starts from.
        reach: disparities farther than this from the fit do not pull on it, px.

    Returns:
        `(H, W)` px.

    Raises:
        ValueError: no constant zero can be told, or the sizes differ.
    """
    constant = constant_zero(matches, limit)
    if len({m.disparity.shape for m in matches}) > 1:
        raise ValueError("a smooth zero needs matches of one size")
    rows, columns = matches[0].disparity.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    design = np.concatenate([basis[m.usable] for m in matches])
    values = np.concatenate([m.disparity[m.usable] for m in matches])
    coefficients = np.array([constant, 0, 0, 0, 0, 0])
    for _ in range(20):
        # Tukey's biweight: what is out of focus loses its say instead of bending the field.
        weight = np.square(np.maximum(0, 1 - np.square((values - design @ coefficients) / reach)))
        weighted = design * weight[:, None]
        coefficients = np.linalg.lstsq(weighted.T @ design, weighted.T @ values, rcond=None)[0]
    return np.asarray(basis @ coefficients)


def mask_from_match(found: Match, zero: float | Field, options: Options | None = None) -> Mask:
    """Return where the disparity differs from `zero` by at most 0.5 px, eroded by the window's radius.

    Args:
        found: the match of the two views, made with the same options.
        zero: disparity of points in focus, px: a number, or `(H, W)`.
        options: the mask's constants.
    """
    options = options or Options()
    focused = found.usable & (np.abs(found.disparity - zero) <= options.disparity)
    return _eroded(focused, options.radius if options.erosion is None else options.erosion)


def focus_mask(
    left: Pixels, right: Pixels, peak: float, *, zero: float | Field | None = None, options: Options | None = None
) -> Mask:
    """Return the in-focus mask of a dual-pixel pair: true where it is in focus, false where not or unknown.

    Args:
        left: left view, `(H, W)` or `(H, W, C)` with 1 or 3 channels, 0 to `peak`; black level already subtracted.
        right: right view, of the same shape.
        peak: the value of full white.
        zero: disparity of points in focus, px: a number, or `(H, W)`. None: `constant_zero` of this pair alone.
        options: the constants of matcher and mask.

    Raises:
        ValueError: the shapes do not fit, or no zero can be told from this pair.
    """
    found = match(left, right, peak, options)
    return mask_from_match(found, constant_zero([found]) if zero is None else zero, options)


def coc_from_depth(depth: Pixels, focus: float, scale: float) -> Field:
    """Return the diameter of the circle of confusion of a thin lens: `scale · |1/depth − 1/focus|`.

    Args:
        depth: `(H, W)`, in any unit of length; holes are 0, negative or not finite.
        focus: the distance in focus, in the same unit.
        scale: aperture · f · focus / (focus − f), with aperture and focal length f in that unit, times px per unit on
            the sensor.

    Returns:
        `(H, W)` px; infinity in holes.
    """
    distance = depth.astype(np.float64)
    known = np.isfinite(distance) & (distance > 0)
    coc = scale * np.abs(1 / np.where(known, distance, 1) - 1 / focus)
    return np.asarray(np.where(known, coc, math.inf))


def mask_from_coc(coc: Pixels, threshold: float, margin: int = 0) -> Mask:
    """Return where the circle of confusion, signed or not, is at most `threshold`.

    Args:
        coc: `(H, W)` px; NaN and infinity are holes, which are never in focus.
        threshold: greatest |coc| in focus, px.
        margin: px by which the mask is eroded, for the blur of near things that spills over in-focus ones behind.
    """
    return _eroded(np.abs(coc.astype(np.float64)) <= threshold, margin)


def mask_from_depth(depth: Pixels, near: float = 0.0, far: float = math.inf, margin: int = 0) -> Mask:
    """Return where the depth lies within the depth of field, `near` to `far`, both included.

    Args:
        depth: `(H, W)`; zero, negative and non-finite values are holes, which are never in focus.
        near: least depth in focus, in the unit of `depth`.
        far: greatest depth in focus.
        margin: as in `mask_from_coc`.
    """
    distance = depth.astype(np.float64)
    known = np.isfinite(distance) & (distance > 0)
    return _eroded(known & (distance >= near) & (distance <= far), margin)


def freeze(mask: Mask) -> tuple[bytes, str]:
    """Return the mask as PNG (255 in focus, 0 not) and the sha256 of its pixels, both to be published.

    The hash is of pixels, not of the file, so it holds for any lossless copy.
    """
    # (H, W, 1), as the PNG is decoded to: the hash covers the shape.
    pixels = mask.astype(np.uint8)[:, :, None] * np.uint8(255)
    return encode_png(pixels), pixels_digest(pixels)


def thaw(png: bytes, sha256: str) -> Mask:
    """Return the `(H, W)` mask of a PNG that `freeze` made.

    Raises:
        ValueError: the file is no PNG of a mask, or its pixels are not those of the hash.
    """
    try:
        pixels = decode(png).array
    except ImageProblem as problem:
        raise ValueError(f"the mask cannot be read: {problem}") from None
    digest = pixels_digest(pixels)
    if digest != sha256:
        raise ValueError(f"the mask is not the published one: expected pixels of sha256 {sha256}, got {digest}")
    if pixels.shape[2] != 1 or pixels.dtype != np.uint8 or not np.isin(pixels, (0, 255)).all():
        raise ValueError("a mask is an 8-bit gray PNG of 0 and 255")
    return np.asarray(pixels[:, :, 0] == 255)


def _luma(image: Pixels, peak: float) -> Field:
    values = image.astype(np.float64) / peak
    return np.asarray(luma_yiq(values if values.ndim == 3 else values[:, :, None])[:, :, 0])


def _mean(image: Field, options: Options) -> Field:
    import cv2

    side = 2 * options.radius + 1
    return np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT_101))


def _texture(luma: Field, options: Options) -> Field:
    # Only slopes along x tell disparity: a window of horizontal lines matches itself at every d.
    slope = np.gradient(luma, axis=1)
    return np.asarray(np.sqrt(np.maximum(_mean(slope * slope, options), 0)))


def _shifted(array: NDArray[np.generic], d: int) -> NDArray[np.generic]:
    """Return `array(x + d)` with the outermost column repeated."""
    columns = np.clip(np.arange(array.shape[1]) + d, 0, array.shape[1] - 1)
    return array[:, columns]


def _correlations(one: Field, two: Field, options: Options) -> NDArray[np.float32]:
    """Return NCC of `one(x)` and `two(x + d)`: `(2 · search + 3, H, W)`, with one d more at each end for parabolas."""
    reach = options.search + 1
    mean_one = _mean(one, options)
    var_one = _mean(one * one, options) - mean_one**2
    volume = np.empty((2 * reach + 1, *one.shape), np.float32)
    columns = np.arange(one.shape[1])
    for d in range(-reach, reach + 1):
        # The moments of the shifted view are taken anew, not shifted, so that they hold at the border too.
        moved = np.asarray(_shifted(two, d), np.float64)
        mean_two = _mean(moved, options)
        var_two = _mean(moved * moved, options) - mean_two**2
        product = np.maximum(var_one, 0) * np.maximum(var_two, 0)
        cov = _mean(one * moved, options) - mean_one * mean_two
        flat = product < 1e-14  # both views below a standard deviation of 0.08/255: rounding errors only
        volume[d + reach] = np.where(flat, 0, cov / np.sqrt(np.where(flat, 1, product)))
        volume[d + reach][:, (columns + d < 0) | (columns + d >= one.shape[1])] = -1
    return volume


def _seen_from_right(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the same correlations, indexed by the right view's pixels: C'(x, d) = C(x − d, d)."""
    reach = len(volume) // 2
    seen = np.full_like(volume, -1)
    for index, plane in enumerate(volume):
        d, columns = index - reach, plane.shape[1]
        seen[index][:, max(d, 0) : columns + min(d, 0)] = plane[:, max(-d, 0) : columns - max(d, 0)]
    return seen


def _best(volume: NDArray[np.float32]) -> tuple[Field, Field, Mask]:
    """Return the best disparity, its correlation, and whether it is a peak and not the end of a slope."""
    reach = len(volume) // 2
    index = np.argmax(volume[1:-1], axis=0)[None] + 1
    before, top, after = (np.take_along_axis(volume, index + step, axis=0)[0].astype(np.float64) for step in (-1, 0, 1))
    peaked = (top >= before) & (top >= after)
    bend = before - 2 * top + after
    curved = peaked & (bend < 0)
    offset = np.where(curved, (before - after) / (2 * np.where(curved, bend, 1)), 0)
    # At the parabola's top: fine texture between two whole pixels correlates badly with either.
    return index[0] - reach + offset, np.minimum(top - (before - after) * offset / 4, 1), peaked


def _disagreement(forward: Field, backward: Field) -> Field:
    """Return how far the right view's match of the left view's match lies from where it began, px."""
    rows, columns = forward.shape
    there = np.clip(np.arange(columns) + forward, 0, columns - 1)
    whole = np.minimum(there.astype(np.intp), columns - 2)
    part = there - whole
    row = np.arange(rows)[:, None]
    back = (1 - part) * backward[row, whole] + part * backward[row, whole + 1]
    return np.asarray(np.abs(forward - back))


def _eroded(mask: Mask, radius: int) -> Mask:
    import cv2

    side = 2 * radius + 1
    # The image's own border does not erode: no window sees past it.
    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
