"""PSNR, MAE, RMSE, SSIM and MS-SSIM of integer images in few passes over the pixels, compiled on first use.

The values are those of the plain definitions in `psnr`, `errors`, `ssim` and `ms_ssim`: the errors by exact integer
sums, SSIM and MS-SSIM within 1e-6. These two are computed in float32 around a centre for each tile, and from the
difference d = output − reference instead of the covariance: 1 − contrast = var(d) / (var(x) + var(y) + c2) and
1 − luminance = mean(d)² / (mean(x)² + mean(y)² + c1), so that rounding disturbs only what differs from 1. The kernel
also sums a bound of the rounding errors. Where a mean could be off by more than `_TOLERANCE`, the worst tiles are
computed again in float64.

`ssim.matlab3d` is computed in float64 as it is defined; what it needs of a reference can be kept.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from evaluator.metrics import ms_ssim, ssim
from evaluator.metrics.fast_kernels import (
    HALO,
    TILE_ROWS,
    TILE_VALUES,
    Array,
    Floats,
    error_sums,
    halve_even,
    small_window,
    sum_tiles,
    uniform_total,
    volume_moments,
    volume_total,
)
from evaluator.metrics.ms_ssim import WEIGHTS
from evaluator.metrics.ssim import KEPT, channel_mixing
from evaluator.metrics.strips import AnyImage, Strips, bounds, cut, is_large, padded, shrunk, total
from evaluator.metrics.windows import gaussian_taps

_ERRORS = ("psnr.f64", "mae", "rmse_rel", "rmse_mean")
_COMMON, _PIRM, _VOLUME = "ms_ssim.common", "ms_ssim.pirm", "ssim.matlab3d"
IDS = (*_ERRORS, "ssim.basicsr", "ssim.sk_u7", _VOLUME, _PIRM, _COMMON)
"""Ids that `measure_bundle` knows."""

_MINIMUM = {m.contract.id: m.contract.minimum_size for m in (*ssim.METRICS, *ms_ssim.METRICS) if m.contract.id in IDS}
_G11 = gaussian_taps(11, 1.5)
_EPSILON = 2.2e-7  # the largest error of a tile, in units of its bound, that flat and periodic images showed
_TOLERANCE = 9e-7
_SMALL = 0.5  # the exponents of MS-SSIM magnify errors of means below this
_VANISHING = 1e-8  # and of means below this even those of float64


def measure_bundle(
    output: Array,
    reference: Array,
    peak: float,
    ids: Collection[str] = IDS,
    kept: dict[Any, Any] | None = None,
) -> dict[str, float]:
    """Return metrics of one pair by id.

    Args:
        output: `(H, W, C)`, uint8 or uint16, values from 0 to `peak`.
        reference: the same shape and dtype.
        peak: the value of full white.
        ids: the metrics that are wanted, of `IDS`.
        kept: what was computed of this reference at this peak before; what is computed now is added.

    Returns:
        The values; `inf` for identical images where the contract says so. An id is left out where the image is too
        small for it, and where a mean of MS-SSIM is negative or so near to zero that only the plain definition can
        say what follows: ask that one for ids that are not here.

    Raises:
        ValueError: not two images of the same shape and of one of the dtypes, or an unknown id.
    """
    if output.shape != reference.shape or output.ndim != 3 or not output.size:
        raise ValueError(f"two images of one shape are needed, not {output.shape} and {reference.shape}")
    if output.dtype != reference.dtype or output.dtype.name not in ("uint8", "uint16"):
        raise ValueError(f"two uint8 or two uint16 images are needed, not {output.dtype} and {reference.dtype}")
    if unknown := set(ids).difference(IDS):
        raise ValueError(f"unknown here: {', '.join(sorted(unknown))}")
    rows, columns, channels = output.shape
    least = min(rows, columns)
    x, y = _as_rows(output), _as_rows(reference)
    squares, absolutes = (int(total) for total in error_sums(x, y))
    found = _errors(squares, absolutes, output.size, peak)
    wanted = {"ssim.basicsr", "ssim.sk_u7", _VOLUME, _PIRM, _COMMON}.intersection(ids)
    wanted -= {metric for metric, size in _MINIMUM.items() if least < size}
    if squares == 0:
        found |= dict.fromkeys(wanted, 1.0)
        wanted.clear()
    if "ssim.sk_u7" in wanted:
        count = (rows - 6) * (columns - 6) * channels
        found["ssim.sk_u7"] = uniform_total(x, y, channels, (0.01 * peak) ** 2, (0.03 * peak) ** 2) / count
    if _VOLUME in wanted:
        found[_VOLUME] = _volume(x, y, channels=channels, peak=peak, kept={} if kept is None else kept)
    if wanted - {"ssim.sk_u7", _VOLUME}:
        means = _means(_picture(x, channels), _picture(y, channels), peak)
        if "ssim.basicsr" in wanted:
            found["ssim.basicsr"] = float(means[0].mean())
        found |= _multi_scale(x, y, channels=channels, peak=peak, first=means, wanted=wanted)
    return {metric: found[metric] for metric in ids if metric in found}


def _as_rows(image: Array) -> Array:
    """Return a `(H, W·C)` view; always marked read-only, so that each kernel is compiled for one kind of array."""
    view: Array = np.ascontiguousarray(image).reshape(image.shape[0], -1).view()
    view.flags.writeable = False
    return view


def _errors(squares: float, absolutes: float, count: int, peak: float) -> dict[str, float]:
    mse = squares / count
    rmse = math.sqrt(mse) / peak
    return {
        "psnr.f64": 10 * math.log10(peak * peak / mse) if squares else math.inf,
        "mae": absolutes / count / peak,
        "rmse_rel": rmse or math.inf,
        "rmse_mean": rmse,
    }


def _volume(output: Array, reference: Array, *, channels: int, peak: float, kept: dict[Any, Any]) -> float:
    """Return `ssim.matlab3d` of `(H, W·C)` values."""
    pixel, window = (0,) * channels, (channel_mixing(channels), _G11)
    constants = np.array([(0.01 * peak) ** 2, (0.03 * peak) ** 2])
    if reference.size <= KEPT:
        if volume_moments not in kept:
            kept[volume_moments] = volume_moments(reference, (0, len(reference)), pixel, window)
        parts = iter([(0, kept[volume_moments])])
    else:
        spans = bounds(len(reference), reference.shape[1] // channels)
        parts = ((first, volume_moments(reference, (first, last - first), pixel, window)) for first, last in spans)
    sums = (volume_total((output, reference), part, pixel, window, constants) for part in parts)
    return total(sums) / output.size


def _multi_scale(
    output: Array, reference: Array, *, channels: int, peak: float, first: Floats, wanted: set[str]
) -> dict[str, float]:
    """Return the MS-SSIM variants among `wanted`; they share what they have in common: all, where sides are even.

    Args:
        output: `(H, W·C)`.
        reference: the same.
        channels: C.
        peak: the value of full white.
        first: the means at full size, as `_means` returns them.
        wanted: ids.
    """
    images = [_picture(image, channels) for image in (output, reference)]
    pairs = {metric: (images[0], images[1]) for metric in (_PIRM, _COMMON) if metric in wanted}
    terms: dict[str, list[Floats]] = {metric: [first[1]] for metric in pairs}
    for level in range(1, len(WEIGHTS)):
        halved: dict[tuple[int, bool], tuple[AnyImage, AnyImage]] = {}
        means: dict[int, Floats] = {}
        for metric, (x, y) in pairs.items():
            key = (id(x), any(side % 2 for side in x.shape[:2]) and metric == _PIRM)
            if key not in halved:
                halved[key] = _halve(x, repeat=key[1]), _halve(y, repeat=key[1])
            pairs[metric] = small = halved[key]
            if id(small) not in means:
                means[id(small)] = _means(*small, peak)
            terms[metric].append(means[id(small)][0 if level == len(WEIGHTS) - 1 else 1])
    found = {}
    for metric, values in terms.items():
        table = np.array(values)  # (scales, channels)
        if metric == _PIRM:
            table = table.mean(axis=1, keepdims=True)
        if (np.abs(table) < _VANISHING).any() or (metric == _PIRM and (table < 0).any()):
            continue
        found[metric] = float(np.mean(np.prod(np.maximum(table, 0) ** WEIGHTS[:, None], axis=0)))
    return found


def _picture(image: Array, channels: int) -> AnyImage:
    """Return `(H, W·C)` values as an image `(H, W, C)`, a large one in strips."""
    cube: Array = image.reshape(image.shape[0], -1, channels)
    if not is_large(cube.shape):
        return cube
    return Strips((cube.shape[0], cube.shape[1], channels), lambda first, last: cube[first:last])


def _halve(image: AnyImage, *, repeat: bool) -> AnyImage:
    """Return the means of 2×2 pixels as float32, which holds them exactly down to the fifth scale of 16 bits.

    Where a side is odd, its last row is repeated, or else a row of zeros is put on both ends (and the last row of
    what comes out odd again is dropped).
    """
    odd = [image.shape[0] % 2, image.shape[1] % 2]
    if any(odd):
        before = [0, 0] if repeat else odd
        down, right = ((ahead, behind) for ahead, behind in zip(before, odd, strict=True))
        image = padded(image, down, right, "edge" if repeat else "constant")
        image = cut(image, slice(image.shape[0] // 2 * 2), slice(image.shape[1] // 2 * 2))
    return shrunk(image, 2, image.shape[0] // 2, _halve_cube) if isinstance(image, Strips) else _halve_cube(image)


def _halve_cube(image: Array) -> Array:
    return halve_even(_as_rows(image), image.shape[2]).reshape(image.shape[0] // 2, -1, image.shape[2])


def _means(output: AnyImage, reference: AnyImage, peak: float) -> Floats:
    """Return the means of SSIM and of its contrast part over the valid region, `(2, C)`.

    The window is a Gaussian of 11 taps and σ 1.5, or of n taps and σ 1.5·n/11 if a side is as short as n.
    """
    rows, columns, channels = output.shape
    constants = np.array([(0.01 * peak) ** 2, (0.03 * peak) ** 2])
    size = min(11, rows, columns)
    count = (rows - size + 1) * (columns - size + 1)
    if size < 11:
        window = gaussian_taps(size, 1.5 * size / 11)
        x, y = (_doubles(_rows(image, 0, rows)) for image in (output, reference))
        losses = small_window(x, y, channels, window, constants)
        return np.asarray(1 - losses / count)
    single, pixel = np.float32, (0,) * channels
    taps, singles = _G11.astype(single), constants.astype(single)
    width = max(1, TILE_VALUES // channels)
    across = -(-(columns - HALO) // width)
    found = []
    weight = output.weight if isinstance(output, Strips) else 1
    for first, last in bounds(rows - HALO, weight, multiple=TILE_ROWS):  # of a whole image, all rows at once
        pair = _rows(output, first, last + HALO), _rows(reference, first, last + HALO)
        found.append(sum_tiles(pair, pixel, taps, singles, first // TILE_ROWS * across))
    losses, spreads = (np.concatenate(each) for each in zip(*found, strict=True))
    means = 1 - losses.sum(axis=0) / count
    # Tiles are computed again, the worst first, until the others can no longer move a mean too far. Their errors are
    # independent (see `_load`), so the squares add up.
    allowed = _TOLERANCE * min(1, max(0, means.min()) / _SMALL) / _EPSILON * count * channels
    order = np.argsort(spreads)
    worst = order[np.searchsorted(np.cumsum(spreads[order] ** 2), allowed**2, side="right") :]
    for row in np.unique(worst // across):  # of tiles
        top = int(row) * TILE_ROWS
        x, y = (_rows(image, top, min(top + TILE_ROWS + HALO, rows)) for image in (output, reference))
        for tile in worst[worst // across == row]:
            left = tile % across * width * channels
            part = slice(left, left + (width + HALO) * channels)
            again, _ = sum_tiles((_doubles(x[:, part]), _doubles(y[:, part])), pixel, _G11, constants, 0)
            losses[tile] = again[0]
    return np.asarray(1 - losses.sum(axis=0) / count)


def _rows(image: AnyImage, first: int, last: int) -> Array:
    return _as_rows(image.rows(first, last) if isinstance(image, Strips) else image[first:last])


def _doubles(image: Array) -> Floats:
    return np.array(image, dtype=np.float64, order="C")
