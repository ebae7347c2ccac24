"""The compiled kernels of `fast`: they see an image as `(H, W·C)` values, where a step of one column is C values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from evaluator.images.jit import njit

Array = NDArray[Any]
Floats = NDArray[np.float64]
Pixel = tuple[int, ...]

HALO = 10
"""Columns and rows that an 11-tap window needs beyond its first."""
TILE_ROWS = 32
TILE_VALUES = 384
"""Of a row: what a tile needs stays in the second-level cache."""
_BLOCK = 4  # rows that the vertical filter makes from one load of its input
_STRIP_VALUES = 48 << 10  # of a plane of `_volume_strip`, likewise

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])


def _exact(kernel: _Kernel) -> _Kernel:
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(kernel)
    return cast(_Kernel, compiled)


def _fast(kernel: _Kernel) -> _Kernel:
    """Compile with the order of sums left to the compiler, which it needs to compute several values at once."""
    compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath=True)(kernel)
    return cast(_Kernel, compiled)


@_exact
def error_sums(output: Array, reference: Array) -> tuple[np.int64, np.int64]:
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
def halve_even(image: Array, channels: int) -> Array:
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
def sum_tiles(
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
    valid_rows = reference.shape[0] - HALO
    valid_columns = reference.shape[1] // channels - HALO
    width = max(1, TILE_VALUES // channels)
    halo = HALO * channels
    tiles = -(-valid_rows // TILE_ROWS) * -(-valid_columns // width)
    losses, bounds = np.zeros((tiles, 2, channels)), np.zeros(tiles)
    stride = _whole_vectors(width * channels + halo)
    planes = np.zeros((4, TILE_ROWS + HALO + _BLOCK - 1, stride), taps.dtype)
    filtered = np.empty((4, _BLOCK, stride + halo), taps.dtype)
    centres = np.empty((2, stride), taps.dtype)
    sums = np.zeros((3, stride), taps.dtype)
    totals = np.zeros((3, stride))
    parameters = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], constants[0], constants[1]
    off = math.sqrt(constants[0])
    tile = 0
    for top in range(0, valid_rows, TILE_ROWS):
        rows = min(TILE_ROWS, valid_rows - top)
        for left in range(0, valid_columns, width):
            n = min(width, valid_columns - left) * channels
            m = _whole_vectors(n)
            area = top, left * channels, rows + HALO, n + halo
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
def small_window(output: Array, reference: Array, channels: int, taps: Floats, constants: Floats) -> Floats:
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


@_fast
def uniform_total(output: Array, reference: Array, channels: int, c1: float, c2: float) -> float:
    """Return the sum of SSIM with a uniform 7×7 window and sample covariance, from exact window sums.

    They are integers below 2⁵³, of 16-bit images, too: exact as float64, which is computed several at once.
    """
    n, width = output.shape[1] - 6 * channels, output.shape[1]
    down = np.zeros((4, width))
    sums_x, sums_y, sums_squares, sums_products = down[0], down[1], down[2], down[3]
    total = 0.0
    for i in range(output.shape[0]):
        xs, ys = output[i], reference[i]
        for j in range(width):
            one, other = np.float64(xs[j]), np.float64(ys[j])
            sums_x[j] += one
            sums_y[j] += other
            sums_squares[j] += one * one + other * other
            sums_products[j] += one * other
        if i < 6:
            continue
        row = 0.0
        for j in range(n):
            x = y = squares = products = 0.0
            for k in range(7):
                at = j + k * channels
                x += sums_x[at]
                y += sums_y[at]
                squares += sums_squares[at]
                products += sums_products[at]
            # Means are sums / 49, covariances are (49·Σxy − Σx·Σy) / (49·48).
            covariance = (49 * products - x * y) / 2352.0
            variances = (49 * squares - x * x - y * y) / 2352.0
            luminance = 2.0 * (x * y) / 2401.0 + c1
            energy = (x * x + y * y) / 2401.0 + c1
            row += luminance * (2.0 * covariance + c2) / (energy * (variances + c2))
        total += row
        xs, ys = output[i - 6], reference[i - 6]
        for j in range(width):
            one, other = np.float64(xs[j]), np.float64(ys[j])
            sums_x[j] -= one
            sums_y[j] -= other
            sums_squares[j] -= one * one + other * other
            sums_products[j] -= one * other
    return total


@_fast
def volume_moments(image: Array, area: Pixel, pixel: Pixel, window: tuple[Floats, Floats]) -> Floats:
    """Return the window means of an image and of its square, `(2, rows, W·C)`, where the window covers colours too.

    Args:
        image: `(H, W·C)`; its border is replicated.
        area: the first row that is wanted, and how many.
        pixel: a tuple of C values.
        window: how it filters along the colour axis, `(C, C)`, and the 11 taps.
    """
    first, last = area[0], area[0] + area[1]
    found = np.empty((2, last - first, image.shape[1]))
    planes, filtered, means = _volume_buffers(image.shape[1], len(pixel))
    for top in range(first, last, means.shape[1]):
        rows = min(means.shape[1], last - top)
        _volume_strip((image, image), (top, rows), pixel, window, (planes, filtered, means))
        found[:, top - first : top - first + rows] = means[:2, :rows]
    return found


@_fast
def volume_total(
    pair: tuple[Array, Array],
    part: tuple[int, Floats],
    pixel: Pixel,
    window: tuple[Floats, Floats],
    constants: Floats,
) -> float:
    """Return the sum of SSIM over rows, where the window covers colours too.

    Args:
        pair: output and reference, `(H, W·C)`; their borders are replicated.
        part: the first row, and the `volume_moments` of the reference from there on; as many rows are summed.
        pixel: a tuple of C values.
        window: see there.
        constants: SSIM's c1 and c2.
    """
    c1, c2 = constants[0], constants[1]
    first, moments = part
    n, last = moments.shape[2], first + moments.shape[1]
    planes, filtered, means = _volume_buffers(n, len(pixel))
    total = 0.0
    for top in range(first, last, means.shape[1]):
        rows = min(means.shape[1], last - top)
        _volume_strip(pair, (top, rows), pixel, window, (planes, filtered, means))
        for i in range(rows):
            xs, squares, products = means[0, i], means[1, i], means[2, i]
            ys, squares_y = moments[0, top - first + i], moments[1, top - first + i]
            row = 0.0
            for j in range(n):
                x, y = xs[j], ys[j]
                product, energy = x * y, x * x + y * y
                variances = squares[j] + squares_y[j] - energy
                above = (2 * product + c1) * (2 * (products[j] - product) + c2)
                row += above / ((energy + c1) * (variances + c2))
            total += row
    return total


@_exact
def _volume_buffers(n: int, channels: int) -> tuple[Floats, Floats, Floats]:
    """Return room for a strip: planes with their halo, rows that are filtered down, and window means."""
    width = _whole_vectors(n + HALO * channels)
    rows = max(4 * _BLOCK, _STRIP_VALUES // width // _BLOCK * _BLOCK)
    planes = np.zeros((3, rows + HALO + _BLOCK, width))
    return planes, np.zeros((_BLOCK, width + HALO * channels)), np.empty((3, rows, n))


@_fast
def _volume_strip(
    pair: tuple[Array, Array],
    area: Pixel,
    pixel: Pixel,
    window: tuple[Floats, Floats],
    room: tuple[Array, Array, Array],
) -> None:
    """Fill the window means of x, x² and x·y of some rows.

    Args:
        pair: x and y, `(H, W·C)`; their borders are replicated.
        area: the first row, and how many.
        pixel: a tuple of C values.
        window: the filter along the colour axis, `(C, C)`, and the 11 taps.
        room: see `_volume_buffers`.
    """
    top, rows = area
    mixing, taps = window
    planes, filtered, means = room
    x, y = pair
    channels, height = len(pixel), x.shape[0]
    columns, edge = x.shape[1] // channels, HALO // 2
    six = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    for i in range(rows + HALO):
        row = min(max(top + i - edge, 0), height - 1)
        xs, ys = x[row], y[row]
        values, squares, products = planes[0, i], planes[1, i], planes[2, i]
        for j in range(columns):
            at = (j + edge) * channels
            for c in range(channels):
                value = square = product = 0.0
                for k in range(channels):
                    one, other = np.float64(xs[j * channels + k]), np.float64(ys[j * channels + k])
                    weight = mixing[k, c]
                    value += weight * one
                    square += weight * (one * one)
                    product += weight * (one * other)
                values[at + c] = value
                squares[at + c] = square
                products[at + c] = product
        for plane in range(3):
            line = planes[plane, i]
            for j in range(edge):
                for c in range(channels):
                    line[j * channels + c] = line[edge * channels + c]
                    line[(columns + edge + j) * channels + c] = line[(columns + edge - 1) * channels + c]
    for plane in range(3):
        for i in range(0, rows, _BLOCK):
            _filter_down(planes[plane], i, planes.shape[2], taps, filtered)
            for k in range(min(_BLOCK, rows - i)):
                line, given = filtered[k], means[plane, i + k]
                for j in range(len(given)):
                    given[j] = _window(line, j, channels, six)
