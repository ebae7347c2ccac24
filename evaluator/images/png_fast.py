"""Decode plain PNG files faster than OpenCV does: inflated by libdeflate, filters undone by a compiled kernel.

Large ones are inflated by zlib, strip by strip, so that nothing but the file and its pixels is held: OpenCV holds the
file twice.

Only what needs no interpretation is decoded here: gray or RGB of 8 or 16 bits, with or without an alpha channel, not
interlaced, not animated, no transparent colour. For everything else, and for every irregularity, the answer is None,
so that one decoder (OpenCV) says what such a file holds. The checksums of chunks are not looked at: `header.inspect`
does that.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import deflate
import numpy as np
from numpy.typing import NDArray

from evaluator.images.jit import njit

Array = NDArray[Any]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; type 3 is a palette
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_CHANGING = (b"tRNS", b"acTL")  # ancillary by their names, but they change what the pixels are
_LONGEST_SIDE, _MOST_PIXELS = 1 << 20, 1 << 30  # what OpenCV refuses beyond
_MOST_EXPANSION = 1032  # of deflate
LARGE = 1 << 25
"""Pixels beyond which a file is inflated in strips."""
_STRIP = 1 << 24  # bytes of unfiltered rows
_PIECE = 1 << 16  # bytes that are inflated together


class _Plain(NamedTuple):
    width: int
    height: int
    channels: int
    depth: int
    """Bits of a value: 8 or 16."""
    packed: list[memoryview]
    """The IDAT chunks."""

    @property
    def row_bytes(self) -> int:
        return self.width * self.channels * self.depth // 8


def decode_png(data: bytes) -> Array | None:
    """Decode a PNG file's bytes.

    Args:
        data: the whole file.

    Returns:
        `(H, W, C)` uint8 or uint16, channels in the file's order (RGB, alpha last), C-contiguous; None if the file is
        not plain or not sound. It takes twice the memory of the pixels (but for large ones), however much the file
        would inflate to.
    """
    try:
        plain = _parse(data)
    except struct.error:  # cut short
        return None
    if plain is None:
        return None
    size = plain.height * (plain.row_bytes + 1)
    if size > sum(map(len, plain.packed)) * _MOST_EXPANSION:
        return None
    pixels = np.empty((plain.height, plain.row_bytes), np.uint8)
    if not _fill(pixels, plain):
        return None
    values: Array = pixels
    if plain.depth == 16:
        values = pixels.view(np.uint16)
        if sys.byteorder == "little":
            values.byteswap(inplace=True)
    return values.reshape(plain.height, plain.width, plain.channels)


def _fill(pixels: Array, plain: _Plain) -> bool:
    """Fill `(H, bytes of a row)`; return whether the file is sound."""
    count = plain.height if plain.height * plain.width <= LARGE else max(1, _STRIP // (plain.row_bytes + 1))
    strips = _inflated(plain, count)
    above = np.zeros(plain.row_bytes, np.uint8)
    for first in range(0, plain.height, count):
        rows = pixels[first : first + count]
        raw = next(strips, b"")
        if len(raw) != len(rows) * (plain.row_bytes + 1):
            return False
        step = plain.channels * plain.depth // 8
        if not _unfilter(np.frombuffer(raw, np.uint8).reshape(len(rows), -1), step, rows, above):
            return False
        above = rows[-1]
    return next(strips, None) is None


def _parse(data: bytes) -> _Plain | None:
    """Return what a plain file holds, or None.

    Raises:
        struct.error: the file is cut short.
    """
    parts = _split(data) if data.startswith(_MAGIC) else None
    if parts is None or len(parts[0]) != 13:
        return None
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", parts[0])
    fits = 0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE and width * height <= _MOST_PIXELS
    if not fits or depth not in (8, 16) or colour not in _CHANNELS or any(methods):
        return None
    return _Plain(width, height, _CHANNELS[colour], depth, parts[1:])


def _split(data: bytes) -> list[memoryview] | None:
    """Return the IHDR chunk and the IDAT chunks of a file whose other chunks do not matter, or None."""
    view = memoryview(data)
    parts: list[memoryview] = []
    at, name, last = len(_MAGIC), b"", b""
    while name != b"IEND":
        last = name
        size, name = struct.unpack_from(">I4s", view, at)
        unknown = name in _CHANGING or (name[:1].isupper() and name not in _CRITICAL)
        misplaced = (name == b"IHDR") == bool(parts) or (name == b"IDAT" and len(parts) > 1 and last != b"IDAT")
        if unknown or misplaced or at + 12 + size > len(data):
            return None
        if name in (b"IHDR", b"IDAT"):
            parts.append(view[at + 8 : at + 8 + size])
        at += 12 + size
    return parts


def _inflated(plain: _Plain, count: int) -> Iterator[bytes]:
    """Yield so many rows at a time, fewer bytes where they end; not what a sound file holds if it is not sound."""
    if count == plain.height:
        yield _inflate(b"".join(plain.packed), plain.height * (plain.row_bytes + 1)) or b""
        return
    length, found, inflater = count * (plain.row_bytes + 1), bytearray(), zlib.decompressobj()
    pieces: list[bytes | memoryview] = [
        part[at : at + _PIECE] for part in plain.packed for at in range(0, len(part), _PIECE)
    ]
    try:
        for piece in (*pieces, b""):
            left, more = piece, True
            while more:
                found += inflater.decompress(left, length - len(found))
                left = inflater.unconsumed_tail
                more = len(found) == length  # there may be more of this piece
                if more:
                    yield bytes(found)
                    found.clear()
    except zlib.error:
        return
    if found:
        yield bytes(found)
    if not inflater.eof or inflater.unused_data:
        yield b""


def _inflate(packed: bytes, size: int) -> bytes | None:
    """Return the inflated bytes if there are `size` or fewer, else None; never allocate much more than that."""
    try:
        return bytes(deflate.zlib_decompress(packed, size))
    except deflate.DeflateError:
        return None


@njit(cache=True, nogil=True)
def _unfilter(raw: Array, step: int, pixels: Array, above: Array) -> bool:  # noqa: PLR0912 - a branch a filter
    """Undo the filters of PNG (specification, section 9).

    Args:
        raw: `(H, 1 + bytes of a row)`; the first byte is the filter's number.
        step: bytes from a value to the same channel's value in the next pixel.
        pixels: `(H, bytes of a row)`, to be filled.
        above: the row above the first, `(bytes of a row,)`.

    Returns:
        Whether all filters are known ones.
    """
    n = pixels.shape[1]
    for i in range(raw.shape[0]):
        kind, line, row = raw[i, 0], raw[i, 1:], pixels[i]
        if kind == 0:
            for j in range(n):
                row[j] = line[j]
        elif kind == 1:
            for j in range(step):
                row[j] = line[j]
            for j in range(step, n):
                row[j] = line[j] + row[j - step]
        elif kind == 2:
            for j in range(n):
                row[j] = line[j] + above[j]
        elif kind == 3:
            for j in range(step):
                row[j] = line[j] + above[j] // 2
            for j in range(step, n):
                row[j] = line[j] + (np.int32(row[j - step]) + np.int32(above[j])) // 2
        elif kind == 4:
            for j in range(step):
                row[j] = line[j] + above[j]
            for j in range(step, n):
                left, up, corner = np.int32(row[j - step]), np.int32(above[j]), np.int32(above[j - step])
                # The nearest to left + up − corner; of equals the first. It is packed below its distance and its rank,
                # so that min() chooses: branches, which noise makes unpredictable, would take twice as long.
                by_left = abs(up - corner) << 10 | left
                by_up = abs(left - corner) << 10 | 1 << 8 | up
                by_corner = abs(left + up - 2 * corner) << 10 | 2 << 8 | corner
                row[j] = line[j] + (min(by_left, by_up, by_corner) & 255)
        else:
            return False
        above = row
    return True
