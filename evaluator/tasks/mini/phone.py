"""`dped/mini`: what a phone makes of a scene that a DSLR took."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini.light import SUM, WHITE, Light, blurred, divided, noisy, quantised, to_light, to_srgb8
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import corners, photograph

PATCH = 100
_INSIDE = 75
"""Where a patch begins in its crop."""
_REGION = 120
_OFFSET = 11
"""JPEG works on 120×120 px; its blocks do not begin at the patch's corner, as in patches cut from photographs."""
_UNIT = 4096
# Rows: the phone's red, green, blue. The dyes of its filters overlap, and its own correction is too weak.
_MIX = np.array([[3480, 530, 86], [330, 3450, 316], [130, 690, 3276]], np.int64)
# White balance and exposure, from warm and dark to cool.
_GAINS = ((4100, 3500, 2900), (3300, 3400, 3500), (2900, 3300, 3900), (3700, 3700, 3300))
_VEIL = 30
_NOISE = ((3e-4, 1e-5), (8e-4, 3e-5))
_SEED = 20180920
# The tables of ITU-T T.81, annex K, for brightness and colour.
_TABLES = np.fromstring(
    """
16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55   14 13 16 24  40  57  69  56   14 17 22 29  51  87  80  62
18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92   49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99

17 18 24 47  99  99  99  99   18 21 26 66  99  99  99  99   24 26 56 99  99  99  99  99   47 66 99 99  99  99  99  99
99 99 99 99  99  99  99  99   99 99 99 99  99  99  99  99   99 99 99 99  99  99  99  99   99 99 99 99  99  99  99  99
    """,
    np.int64,
    sep=" ",
).reshape(2, 8, 8)
_TO_YCC = np.array([[19595, 38470, 7471], [-11059, -21709, 32768], [32768, -27439, -5329]], np.int64)
_FROM_YCC = np.array([[65536, 0, 91881], [65536, -22554, -46802], [65536, 116130, 0]], np.int64)


@lru_cache(maxsize=1)
def _cosines() -> Light:
    """Return the 8×8 DCT, times 2¹²."""
    order, place = np.mgrid[0:8, 0:8]
    wave = np.cos((2 * place + 1) * order * np.pi / 16) * np.where(order == 0, np.sqrt(1 / 8), 1 / 2)
    return np.asarray(np.rint(4096 * wave), np.int64)


def compressed(image: NDArray[np.uint8], percent: int) -> NDArray[np.uint8]:
    """Return an 8-bit RGB image after JPEG's loss, without a codec: YCbCr 4:4:4, 8×8 DCT, quantisation.

    Args:
        image: `(H, W, 3)`, H and W multiples of 8.
        percent: size of the quantisation steps; 100 is annex K's own tables, less is finer.
    """
    steps = np.maximum(divided(_TABLES * percent, 100), 1)[[0, 1, 1]]
    rows, columns = image.shape[0] // 8, image.shape[1] // 8
    colours = divided(image.astype(np.int64) @ _TO_YCC.T, 1 << 16)
    colours[:, :, 0] -= 128
    blocks = colours.reshape(rows, 8, columns, 8, 3).transpose(0, 2, 4, 1, 3)
    wave = _cosines()
    kept = divided(wave @ blocks @ wave.T, steps << 24) * steps
    back = divided(wave.T @ kept @ wave, 1 << 24)
    colours = back.transpose(0, 3, 1, 4, 2).reshape(image.shape)
    colours[:, :, 0] += 128
    return np.clip(divided(colours @ _FROM_YCC.T, 1 << 16), 0, 255).astype(np.uint8)


def _lens(number: int) -> Light:
    """Return the phone's spot: a binomial kernel, wider in every second picture."""
    row = np.array([1, 4, 6, 4, 1] if number % 2 == 0 else [1, 6, 15, 20, 15, 6, 1], np.int64)
    return quantised(row[:, None] * row[None], SUM)


def degrade(clean: NDArray[np.uint8], away: Light, number: int) -> NDArray[np.uint8]:
    """Return a phone's rendering of a scene.

    Args:
        clean: `(H, W, 3)` 8-bit sRGB; H and W are multiples of 8 after the lens took 2 or 3 px from each side.
        away: `(H, W, 1)` squared distance from the optical axis; 4096 is the photograph's corner.
        number: chooses lens, white balance and noise, and seeds it.
    """
    random = np.random.RandomState(_SEED + number)
    kernel = _lens(number)
    cut = len(kernel) // 2
    light = blurred(to_light(clean), kernel)
    light = divided(light * (2 * _UNIT - away[cut:-cut, cut:-cut]), 2 * _UNIT)  # half the light in the corners
    light = divided(light @ (_MIX * np.array(_GAINS[number % len(_GAINS)])[:, None]).T, _UNIT * _UNIT)
    light = divided(light * (_UNIT - _VEIL) + WHITE * _VEIL, _UNIT)  # stray light lifts the blacks
    return compressed(to_srgb8(noisy(light, *_NOISE[number // 2 % 2], random)), 60)


def generate() -> Iterator[Made]:
    """Yield sixteen 100×100 patches, the middle of each crop, as phone and DSLR would show them."""
    for number, (case, (name, row, column)) in enumerate(corners().items()):
        whole = photograph(name)
        height, width = whole.shape[:2]
        down = np.square(2 * np.arange(height, dtype=np.int64) + 1 - height)
        across = np.square(2 * np.arange(width, dtype=np.int64) + 1 - width)
        away = divided((down[:, None] + across[None]) * _UNIT, height**2 + width**2)[:, :, None]
        cut = len(_lens(number)) // 2
        top, left = row + _INSIDE - _OFFSET - cut, column + _INSIDE - _OFFSET - cut
        place = (slice(top, top + _REGION + 2 * cut), slice(left, left + _REGION + 2 * cut))
        phone = degrade(whole[place], away[place], number)[_OFFSET : _OFFSET + PATCH, _OFFSET : _OFFSET + PATCH]
        clean = whole[row + _INSIDE : row + _INSIDE + PATCH, column + _INSIDE : column + _INSIDE + PATCH]
        yield Made(case, {"input": np.ascontiguousarray(phone)}, np.ascontiguousarray(clean))
