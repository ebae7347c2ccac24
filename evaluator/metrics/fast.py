"""PSNR, MAE, RMSE, SSIM and MS-SSIM of integer images in few passes over the pixels, compiled on first use.

The values are those of the plain definitions in `psnr`, `errors`, `ssim` and `ms_ssim`: the errors by exact integer
sums, SSIM and MS-SSIM within 1e-6. These two are computed in float32 around a centre for each tile, and from the
difference d = output − reference instead of the covariance: 1 − contrast = var(d) / (var(x) + var(y) + c2) and
1 − luminance = mean(d)² / (mean(x)² + mean(y)² + c1), so that rounding disturbs only what differs from 1. The kernel
also sums a bound of the rounding errors. Where a mean could be off by more than `_TOLERANCE`, the worst tiles are
computed again in float64.

Kernels see an image as `(H, W·C)` values: a step of one column is a step of C values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from evaluator.images.jit import njit
from evaluator.metrics import ms_ssim, ssim
from evaluator.metrics.ms_ssim import WEIGHTS
from evaluator.metrics.strips import AnyImage, Strips, bounds, cut, is_large, padded, shrunk
from evaluator.metrics.windows import gaussian_taps

Array = NDArray[Any]
Floats = NDArray[np.float64]
Pixel = tuple[int, ...]

_ERRORS = ("psnr.f64", "mae", "rmse_rel", "rmse_mean")
_COMMON, _PIRM = "ms_ssim.common", "ms_ssim.pirm"
IDS = (*_ERRORS, "ssim.basicsr", "ssim.sk_u7", _PIRM, _COMMON)
"""Ids that `measure_bundle` knows."""

_MINIMUM = {m.contract.id: m.contract.minimum_size for m in (*ssim.METRICS, *ms_ssim.METRICS) if m.contract.id in IDS}
_G11 = gaussian_taps(11, 1.5)
_HALO = 10  # columns and rows that an 11-tap window needs beyond its first
_BLOCK = 4  # rows that the vertical filter makes from one load of its input
_TILE_ROWS = 32
_TILE_VALUES = 384  # of a row: what a tile needs stays in the second-level cache
_EPSILON = 2.2e-7  # the largest error of a tile, in units of its bound, that flat and periodic images showed
_TOLERANCE = 9e-7
_SMALL = 0.5  # the exponents of MS-SSIM magnify errors of means below this
_VANISHING = 1e-8  # and of means below this even those of float64

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def _exact(kernel: _Kernel) -> _Kernel:
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(kernel)
    return cast(_Kernel, compiled)


def _fast(kernel: _Kernel) -> _Kernel:
    """Compile with the order of sums left to the compiler, which it needs to compute several values at once."""
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath=True)(kernel)
    return cast(_Kernel, compiled)


def measure_bundle(output: Array, reference: Array, peak: float, ids: Collection[str] = IDS) -> dict[str, float]:
    """Return metrics of one pair by id.

    Args:
        output: `(H, W, C)`, uint8 or uint16, values from 0 to `peak`.
        reference: the same shape and dtype.
        peak: the value of full white.
        ids: the metrics that are wanted, of `IDS`.

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
    squares, absolutes = (int(total) for total in _error_sums(x, y))
    found = _errors(squares, absolutes, output.size, peak)
    wanted = {"ssim.basicsr", "ssim.sk_u7", _PIRM, _COMMON}.intersection(ids)
    wanted -= {metric for metric, size in _MINIMUM.items() if least < size}
    if squares == 0:
        found |= dict.fromkeys(wanted, 1.0)
        wanted.clear()
    if "ssim.sk_u7" in wanted:
        count = (rows - 6) * (columns - 6) * channels
        found["ssim.sk_u7"] = _uniform_total(x, y, channels, (0.01 * peak) ** 2, (0.03 * peak) ** 2) / count
    if wanted - {"ssim.sk_u7"}:
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
    return _halve_even(_as_rows(image), image.shape[2]).reshape(image.shape[0] // 2, -1, image.shape[2])


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
        losses = _small_window(x, y, channels, window, constants)
        return np.asarray(1 - losses / count)
    single, pixel = np.float32, (0,) * channels
    taps, singles = _G11.astype(single), constants.astype(single)
    width = max(1, _TILE_VALUES // channels)
    across = -(-(columns - _HALO) // width)
    found = []
    weight = output.weight if isinstance(output, Strips) else 1
    for first, last in bounds(rows - _HALO, weight, multiple=_TILE_ROWS):  # of a whole image, all rows at once
        pair = _rows(output, first, last + _HALO), _rows(reference, first, last + _HALO)
        found.append(_tiles(pair, pixel, taps, singles, first // _TILE_ROWS * across))
    losses, spreads = (np.concatenate(each) for each in zip(*found, strict=True))
    means = 1 - losses.sum(axis=0) / count
    # Tiles are computed again, the worst first, until the others can no longer move a mean too far. Their errors are
    # independent (see `_load`), so the squares add up.
    allowed = _TOLERANCE * min(1, max(0, means.min()) / _SMALL) / _EPSILON * count * channels
    order = np.argsort(spreads)
    worst = order[np.searchsorted(np.cumsum(spreads[order] ** 2), allowed**2, side="right") :]
    for row in np.unique(worst // across):  # of tiles
        top = int(row) * _TILE_ROWS
        x, y = (_rows(image, top, min(top + _TILE_ROWS + _HALO, rows)) for image in (output, reference))
        for tile in worst[worst // across == row]:
            left = tile % across * width * channels
            part = slice(left, left + (width + _HALO) * channels)
            again, _ = _tiles((_doubles(x[:, part]), _doubles(y[:, part])), pixel, _G11, constants, 0)
            losses[tile] = again[0]
    return np.asarray(1 - losses.sum(axis=0) / count)


def _rows(image: AnyImage, first: int, last: int) -> Array:
    return _as_rows(image.rows(first, last) if isinstance(image, Strips) else image[first:last])


def _doubles(image: Array) -> Floats:
    return np.array(image, dtype=np.float64, order="C")


@_exact
def _error_sums(output: Array, reference: Array) -> tuple[np.int64, np.int64]:
    """Return the sums of squared and of absolute differences, exact."""
    squares = np.int64(0)
    absolutes = np.int64(0)
    for i in range(output.shape[0]):
        x, y = output[i], reference[i]
        for j in range(x.shape[0]):
            d = np.int64(x[j]) - np.int64(y[j])
            squares += d * d
            absolutes += abs(d)
    return squares, absolutes


@_fast
def _halve_even(image: Array, channels: int) -> Array:
    """Return the means of 2×2 pixels, `(H/2, W/2·C)` float32."""
    rows, width = image.shape[0] // 2, image.shape[1] // 2
    small = np.empty((rows, width), np.float32)
    pairs = np.empty(image.shape[1], np.float32)
    for i in range(rows):
        upper, lower, row = image[2 * i], image[2 * i + 1], small[i]
        for j in range(2 * width):
            pairs[j] = (np.float32(upper[j]) + np.float32(lower[j])) * np.float32(0.25)
        if channels == 3:  # written out, so that the compiler vectorises it
            for j in range(width // 3):
                row[3 * j] = pairs[6 * j] + pairs[6 * j + 3]
                row[3 * j + 1] = pairs[6 * j + 1] + pairs[6 * j + 4]
                row[3 * j + 2] = pairs[6 * j + 2] + pairs[6 * j + 5]
        else:
            for j in range(width // channels):
                for c in range(channels):
                    row[j * channels + c] = pairs[2 * j * channels + c] + pairs[(2 * j + 1) * channels + c]
    return small


@_exact
def _whole_vectors(n: int) -> int:
    """Round up to what registers hold: computing values that nobody reads is faster than a loop for the rest."""
    return (n + 15) // 16 * 16


@_fast
def _tiles(
    pair: tuple[Array, Array], pixel: Pixel, taps: Array, constants: Array, number: int
) -> tuple[Floats, Floats]:
    """Sum 1 − SSIM and 1 − contrast tile by tile.

    Args:
        pair: output and reference, `(H, W·C)`.
        pixel: a tuple of C values: its length is part of its type, and so a constant in the compiled code.
        taps: the 11 taps; their dtype is that of the computation.
        constants: SSIM's c1 and c2 in that dtype.
        number: that of the first tile: the images may be a strip of larger ones.

    Returns:
        The sums over each tile's pixels, `(tiles, 2, C)`, and over their error bounds, `(tiles,)`, in units of the
        dtype's rounding error.
    """
    channels = len(pixel)
    reference = pair[1]
    valid_rows = reference.shape[0] - _HALO
    valid_columns = reference.shape[1] // channels - _HALO
    width = max(1, _TILE_VALUES // channels)
    halo = _HALO * channels
    tiles = -(-valid_rows // _TILE_ROWS) * -(-valid_columns // width)
    losses, bounds = np.zeros((tiles, 2, channels)), np.zeros(tiles)
    stride = _whole_vectors(width * channels + halo)
    planes = np.zeros((4, _TILE_ROWS + _HALO + _BLOCK - 1, stride), taps.dtype)
    filtered = np.empty((4, _BLOCK, stride + halo), taps.dtype)
    centres = np.empty((2, stride), taps.dtype)
    sums = np.zeros((3, stride), taps.dtype)
    totals = np.zeros((3, stride))
    parameters = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], constants[0], constants[1]
    off = math.sqrt(constants[0])
    tile = 0
    for top in range(0, valid_rows, _TILE_ROWS):
        rows = min(_TILE_ROWS, valid_rows - top)
        for left in range(0, valid_columns, width):
            n = min(width, valid_columns - left) * channels
            m = _whole_vectors(n)
            area = top, left * channels, rows + _HALO, n + halo
            _load(pair, area, (number + tile, off), pixel, (planes, centres))
            for i in range(0, rows, _BLOCK):
                for plane in range(4):
                    _filter_down(planes[plane], i, _whole_vectors(n + halo), taps, filtered[plane])
                for k in range(min(_BLOCK, rows - i)):
                    across = filtered[0, k], filtered[1, k], filtered[2, k], filtered[3, k]
                    _filter_across(across, pixel, parameters, centres, (sums[0, :m], sums[1, :m], sums[2, :m]))
                # Sums of a few rows only: long ones would round in float32.
                for k in range(3):
                    for j in range(n):
                        totals[k, j] += sums[k, j]
                sums[:] = 0
            for j in range(n):
                losses[tile, 0, j % channels] += totals[0, j]
                losses[tile, 1, j % channels] += totals[1, j]
                bounds[tile] += totals[2, j]
            totals[:] = 0
            tile += 1
    return losses, bounds


@_fast
def _load(
    pair: tuple[Array, Array], area: Pixel, seed: tuple[int, float], pixel: Pixel, buffers: tuple[Array, Array]
) -> None:
    """Fill planes with y, d = x − y, d² and x² + y² of a tile, y and d less their centres.

    A centre is the mean of a few pixels plus something else in each tile: equal tiles then round differently, and
    their errors cancel as those of noise do.

    Args:
        pair: output and reference, `(H, W·C)`.
        area: first row, first value of a row, number of rows, number of values of a row.
        seed: the tile's number, and how far the centre may be off.
        pixel: a tuple of C values.
        buffers: planes `(4, rows, values)` and centres `(2, values)`, to be filled.
    """
    output, reference = pair
    top, left, rows, n = area
    number, off = seed
    planes, centres = buffers
    channels = len(pixel)
    for c in range(channels):
        sum_y, sum_d, count = 0.0, 0.0, 0
        for i in range(top, top + rows, 8):
            for j in range(left + c, left + n, 4 * channels):
                sum_y += np.float64(reference[i, j])
                sum_d += np.float64(output[i, j]) - np.float64(reference[i, j])
                count += 1
        # Multiples of irrational numbers, less their whole parts, are spread evenly over [0, 1).
        off_y, off_d = (number + 1) * 0.7548776662 + c * 0.4501, (number + 1) * 0.5698402910 + c * 0.3137
        for j in range(c, n, channels):
            centres[0, j] = sum_y / count + (off_y % 1 - 0.5) * off
            centres[1, j] = sum_d / count + (off_d % 1 - 0.5) * off
    centre_y, centre_d = centres[0], centres[1]
    for i in range(rows):
        x, y = output[top + i, left : left + n], reference[top + i, left : left + n]
        ys, ds, squares_d, squares = planes[0, i], planes[1, i], planes[2, i], planes[3, i]
        for j in range(n):
            value = centres.dtype.type(y[j])
            d = centres.dtype.type(x[j]) - value - centre_d[j]
            value -= centre_y[j]
            other = value + d
            ys[j] = value
            ds[j] = d
            squares_d[j] = d * d
            squares[j] = value * value + other * other


@_fast
def _filter_down(plane: Array, top: int, n: int, taps: Array, filtered: Array) -> None:
    """Filter `_BLOCK` rows of a plane, from `top` on, along columns; symmetric taps share a multiplication."""
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    r0, r1, r2, r3, r4 = plane[top], plane[top + 1], plane[top + 2], plane[top + 3], plane[top + 4]
    r5, r6, r7, r8, r9 = plane[top + 5], plane[top + 6], plane[top + 7], plane[top + 8], plane[top + 9]
    r10, r11, r12, r13 = plane[top + 10], plane[top + 11], plane[top + 12], plane[top + 13]
    f0, f1, f2, f3 = filtered[0], filtered[1], filtered[2], filtered[3]
    for j in range(n):
        a0, a1, a2, a3, a4, a5, a6 = r0[j], r1[j], r2[j], r3[j], r4[j], r5[j], r6[j]
        a7, a8, a9, a10, a11, a12, a13 = r7[j], r8[j], r9[j], r10[j], r11[j], r12[j], r13[j]
        f0[j] = t0 * (a0 + a10) + t1 * (a1 + a9) + t2 * (a2 + a8) + t3 * (a3 + a7) + t4 * (a4 + a6) + t5 * a5
        f1[j] = t0 * (a1 + a11) + t1 * (a2 + a10) + t2 * (a3 + a9) + t3 * (a4 + a8) + t4 * (a5 + a7) + t5 * a6
        f2[j] = t0 * (a2 + a12) + t1 * (a3 + a11) + t2 * (a4 + a10) + t3 * (a5 + a9) + t4 * (a6 + a8) + t5 * a7
        f3[j] = t0 * (a3 + a13) + t1 * (a4 + a12) + t2 * (a5 + a11) + t3 * (a6 + a10) + t4 * (a7 + a9) + t5 * a8


@_fast
def _window(row: Floats, j: int, step: int, taps: tuple[float, ...]) -> np.float64:
    """Return the filtered value of a row at j."""
    value: np.float64 = taps[5] * row[j + 5 * step]
    for k in range(5):
        value += taps[k] * (row[j + k * step] + row[j + (10 - k) * step])
    return value


@_fast
def _filter_across(
    rows: tuple[Array, ...], pixel: Pixel, parameters: tuple[float, ...], centres: Array, sums: tuple[Array, ...]
) -> None:
    """Filter along a row, and add 1 − SSIM, 1 − contrast and the error bound of each value to the sums.

    Args:
        rows: the window means along columns of y, d, d² and x² + y².
        pixel: a tuple of C values.
        parameters: six taps, c1 and c2.
        centres: `(2, values)`, of y and d.
        sums: three of `(values,)`; their length says how many values are wanted.
    """
    row_y, row_d, row_dd, row_s = rows
    t0, t1, t2, t3, t4, t5, c1, c2 = parameters
    taps = t0, t1, t2, t3, t4, t5
    step = len(pixel)
    centre_y, centre_d = centres[0], centres[1]
    sum_ssim, sum_contrast, sum_bound = sums
    for j in range(len(sum_ssim)):
        y, d = _window(row_y, j, step, taps), _window(row_d, j, step, taps)
        squares_d, squares = _window(row_dd, j, step, taps), _window(row_s, j, step, taps)
        x = y + d
        variances = squares - y * y - x * x + c2
        contrast = (squares_d - d * d) / variances
        mean_d, mean_y = d + centre_d[j], y + centre_y[j]
        mean_x = mean_y + mean_d
        means = mean_x * mean_x + mean_y * mean_y + c1
        luminance = mean_d * mean_d / means
        sum_ssim[j] += contrast + luminance - contrast * luminance
        sum_contrast[j] += contrast
        # To first order, what an error of each window mean does to the two ratios.
        spread = abs(mean_d * d) + luminance * (abs(mean_x * x) + abs(mean_y * y))
        sum_bound[j] += (squares_d + contrast * squares) / variances + (spread + spread) / means + luminance


@_exact
def _small_window(output: Array, reference: Array, channels: int, taps: Floats, constants: Floats) -> Floats:
    """Return the sums of 1 − SSIM and 1 − contrast over the valid region, `(2, C)`, for any number of taps."""
    c1, c2 = constants[0], constants[1]
    size = len(taps)
    rows, n = output.shape[0] - size + 1, output.shape[1] - (size - 1) * channels
    losses = np.zeros((2, channels))
    down = np.empty((4, output.shape[1]))
    for i in range(rows):
        down[:] = 0
        for k in range(size):
            for j in range(output.shape[1]):
                x, y = output[i + k, j], reference[i + k, j]
                down[0, j] += taps[k] * y
                down[1, j] += taps[k] * (x - y)
                down[2, j] += taps[k] * (x - y) * (x - y)
                down[3, j] += taps[k] * (x * x + y * y)
        for j in range(n):
            y = d = squares_d = squares = 0.0
            for k in range(size):
                at = j + k * channels
                y += taps[k] * down[0, at]
                d += taps[k] * down[1, at]
                squares_d += taps[k] * down[2, at]
                squares += taps[k] * down[3, at]
            x = y + d
            contrast = (squares_d - d * d) / (squares - x * x - y * y + c2)
            luminance = d * d / (x * x + y * y + c1)
            losses[0, j % channels] += contrast + luminance - contrast * luminance
            losses[1, j % channels] += contrast
    return losses


@_exact
def _uniform_total(output: Array, reference: Array, channels: int, c1: float, c2: float) -> float:
    """Return the sum of SSIM with a uniform 7×7 window and sample covariance, from exact integer window sums."""
    n, width = output.shape[1] - 6 * channels, output.shape[1]
    down = np.zeros((4, width), np.int64)
    total = 0.0
    for i in range(output.shape[0]):
        for j in range(width):
            x, y = np.int64(output[i, j]), np.int64(reference[i, j])
            down[0, j] += x
            down[1, j] += y
            down[2, j] += x * x + y * y
            down[3, j] += x * y
        if i < 6:
            continue
        row = 0.0
        for j in range(n):
            x = y = squares = products = np.int64(0)
            for k in range(7):
                at = j + k * channels
                x += down[0, at]
                y += down[1, at]
                squares += down[2, at]
                products += down[3, at]
            # Means are sums / 49, covariances are (49·Σxy − Σx·Σy) / (49·48).
            covariance = (49 * products - x * y) / 2352.0
            variances = (49 * squares - x * x - y * y) / 2352.0
            luminance = 2.0 * (x * y) / 2401.0 + c1
            energy = (x * x + y * y) / 2401.0 + c1
            row += luminance * (2.0 * covariance + c2) / (energy * (variances + c2))
        total += row
        for j in range(width):
            x, y = np.int64(output[i - 6, j]), np.int64(reference[i - 6, j])
            down[0, j] -= x
            down[1, j] -= y
            down[2, j] -= x * x + y * y
            down[3, j] -= x * y
    return total
