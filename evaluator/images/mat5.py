"""MATLAB's MAT-files of versions 5 to 7 (`save -v6`, `-v7`, `scipy.io.savemat`), parsed under limits.

Sizes come from a variable's own header and are known before a value is unpacked, so that a small file cannot ask for
gigabytes. Only what images need is read: real numeric arrays, and cells of them.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evaluator.images.pixels import ImageProblem

MAGIC = b"MATLAB 5.0 MAT-file"
Buffer = bytes | mmap.mmap
Allocate = Callable[[tuple[int, ...], DTypeLike], NDArray[np.generic]]

_HEADER = 128
_COMPRESSED, _MATRIX, _FLAGS = 15, 14, 6  # types of elements
_DIMENSIONS, _NAME = (5, 6), (1, 16)  # the second of each is what other writers than MATLAB take
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    **{1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8"},
    **{10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64", 16: "function", 17: "opaque"},
}
_OPAQUE = 17
_COMPLEX, _LOGICAL = 0x800, 0x200
_RANK_LIMIT = 32
_NAME_LIMIT = 63
_VARIABLES_LIMIT = 1000
_CHUNK = 2**20  # bytes unpacked at a time
_STEP = 2**16  # compressed bytes looked at at a time: what is left of them is copied at every read
_PADDING = 8


@dataclass(frozen=True)
class Variable:
    """A variable as its header describes it.

    `kind` is MATLAB's class, or "logical", "complex" or "empty"; `shape` is in MATLAB's order, rows first.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    place: tuple[int, int, bool] = (0, 0, False)
    """Where it lies in a file of version 5: start, end, whether it is compressed."""


class Mat5:
    """A MAT-file in memory, or mapped."""

    def __init__(self, data: Buffer, allocate: Allocate) -> None:
        """Read the header.

        Args:
            data: the whole file.
            allocate: makes the arrays that compressed values are unpacked into.

        Raises:
            ValueError: it is no such file.
        """
        self._data = data
        self._allocate = allocate
        mark = data[126:128]
        if data[: len(MAGIC)] != MAGIC or mark not in (b"IM", b"MI"):
            raise ValueError("no MAT-file header")
        self._order = "<" if mark == b"IM" else ">"

    def close(self) -> None:
        """Nothing is held open."""

    def variables(self) -> list[Variable]:
        """Return what the file holds; no values are read.

        Raises:
            ValueError: it is damaged.
        """
        found = []
        at = _HEADER
        while at < len(self._data):
            kind, size = self._unpack("II", self._data[at : at + 8])
            at += 8
            if kind not in (_COMPRESSED, _MATRIX) or at + size > len(self._data):
                raise ValueError("a damaged or truncated variable")
            place = (at, at + size, kind == _COMPRESSED)
            found.append(self._head(self._stream(place), place))
            if len(found) > _VARIABLES_LIMIT:
                raise ValueError(f"more than {_VARIABLES_LIMIT} variables")
            at += size
        return found

    def values(self, variable: Variable) -> NDArray[np.generic]:
        """Return a numeric variable's values in MATLAB's shape, in the type that they are stored in.

        Raises:
            ValueError: it is damaged.
        """
        stream = self._stream(variable.place)
        self._head(stream, variable.place)
        values = self._numbers(stream, variable.shape)
        stream.finish()
        return values

    def cells(self, variable: Variable, shape: tuple[int, ...]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield MATLAB's class and the values of each element of a cell, in MATLAB's order (first index fastest).

        Args:
            variable: the cell.
            shape: what each element's must be; it is compared before any value is read.

        Raises:
            ImageProblem: an element is no real numeric array of this shape.
            ValueError: it is damaged.
        """
        stream = self._stream(variable.place)
        self._head(stream, variable.place)
        for number in range(math.prod(variable.shape)):
            kind, size, _ = self._tag(stream)
            end = stream.done + size
            if kind != _MATRIX or size == 0:
                raise ValueError(f"element {number + 1} of the cell {variable.name} is no array")
            element = self._head(stream, variable.place, nested=True)
            check_element(variable, number, element.kind, element.shape, shape)
            yield element.kind, self._numbers(stream, element.shape)
            if end < stream.done:
                raise ValueError(f"element {number + 1} of the cell {variable.name} is longer than it says")
            stream.read(end - stream.done)
        stream.finish()

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        if len(data) < struct.calcsize("=" + form):
            raise ValueError("it ends before its end")
        return struct.unpack(self._order + form, data)

    def _stream(self, place: tuple[int, int, bool]) -> _Stream:
        start, end, compressed = place
        return _Inflated(self._data, start, end) if compressed else _Plain(self._data, start, end)

    def _tag(self, stream: _Stream) -> tuple[int, int, bytes | None]:
        """Return an element's type, size, and its data if it lies in the tag itself."""
        data = stream.read(8)
        kind, size = self._unpack("II", data)
        if kind >> 16:
            if kind >> 16 > 4:
                raise ValueError("a small element that is not small")
            return kind & 0xFFFF, kind >> 16, data[4 : 4 + (kind >> 16)]
        return kind, size, None

    def _element(self, stream: _Stream, kinds: tuple[int, ...], limit: int) -> bytes:
        found, size, small = self._tag(stream)
        if found not in kinds or size > limit:
            raise ValueError(f"an element of type {found} with {size} bytes in a variable's header")
        if small is not None:
            return small
        data = stream.read(size)
        stream.read(-size % 8)
        return data

    def _head(self, stream: _Stream, place: tuple[int, int, bool], nested: bool = False) -> Variable:
        if place[2] and not nested:
            kind, _, small = self._tag(stream)
            if kind != _MATRIX or small is not None:
                raise ValueError("a compressed variable that is no array")
        flags = self._unpack("II", self._element(stream, (_FLAGS,), 8))[0]
        number = flags & 0xFF
        kind_name = _CLASSES.get(number, f"{number}")
        if number == _OPAQUE:
            return Variable("", kind_name, (), place)
        dimensions = self._element(stream, _DIMENSIONS, 4 * _RANK_LIMIT)
        shape = self._unpack(f"{len(dimensions) // 4}i", dimensions)
        if len(shape) < 2 or min(shape) < 0 or len(dimensions) % 4:
            raise ValueError(f"an array of shape {shape}")
        name = self._element(stream, _NAME, _NAME_LIMIT).decode()
        if flags & _LOGICAL:
            kind_name = "logical"
        elif flags & _COMPLEX:
            kind_name = "complex"
        return Variable(name, kind_name, shape, place)

    def _numbers(self, stream: _Stream, shape: tuple[int, ...]) -> NDArray[np.generic]:
        kind, size, small = self._tag(stream)
        if kind not in _STORED:
            raise ValueError(f"values of type {kind}")
        dtype = np.dtype(self._order + _STORED[kind])
        wanted = math.prod(shape) * dtype.itemsize
        if size != wanted:
            raise ValueError(f"{size} bytes of values where its shape needs {wanted}")
        data = stream.take(size, self._allocate) if small is None else np.frombuffer(small, np.uint8)
        return data.view(dtype).reshape(shape, order="F")


def is_numeric(kind: str) -> bool:
    """Tell whether a MATLAB class is one of real numbers."""
    return kind in ("double", "single") or kind.startswith(("int", "uint"))


def check_element(cell: Variable, number: int, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise ImageProblem if an element of a cell is no array of real numbers, or of another shape."""
    down, across = number % max(1, cell.shape[0]) + 1, number // max(1, cell.shape[0]) + 1
    got = f"{shape} {kind} in {cell.name}{{{down},{across}}}"
    if not is_numeric(kind):
        raise ImageProblem(
            "pixel-type",
            expected="a numeric array in each element of the cell",
            got=got,
            fix="Convert each block to uint8, or single in [0, 1].",
        )
    if shape != wanted:
        raise ImageProblem(
            "array-shape",
            expected=f"an array of shape {wanted} in each element of the cell",
            got=got,
            fix="Save each block as (height, width, channels).",
        )


class _Plain:
    """Bytes of a file as they are."""

    def __init__(self, data: Buffer, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, end
        self.done = 0

    def read(self, size: int) -> bytes:
        """Return so many bytes; raise ValueError if there are not."""
        if self._at + size > self._end:
            raise ValueError("it ends before its end")
        self._at += size
        self.done += size
        return self._data[self._at - size : self._at]

    def take(self, size: int, _allocate: Allocate) -> NDArray[np.uint8]:
        """Return so many bytes as an array."""
        if self._at + size > self._end:
            raise ValueError("it ends before its end")
        self._at += size
        self.done += size
        return np.frombuffer(self._data, np.uint8, size, self._at - size)

    def finish(self) -> None:
        """Nothing guards the rest."""


class _Inflated:
    """Bytes of a file after zlib, unpacked only as far as they are asked for."""

    def __init__(self, data: Buffer, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, end
        self._decoder = zlib.decompressobj()
        self._packed = b""
        self.done = 0

    def _some(self, limit: int) -> bytes:
        while True:
            if not self._packed and self._at < self._end:
                step = min(_STEP, self._end - self._at)
                self._packed = self._data[self._at : self._at + step]
                self._at += step
            ended = not self._packed
            data = self._decoder.decompress(self._packed, limit)
            self._packed = self._decoder.unconsumed_tail
            if data or ended or self._decoder.eof:
                return data

    def read(self, size: int) -> bytes:
        """See `_Plain`."""
        parts = []
        self.done += size
        while size:
            part = self._some(size)
            if not part:
                raise ValueError("its compressed values end before their end")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def take(self, size: int, allocate: Allocate) -> NDArray[np.uint8]:
        """See `_Plain`."""
        array = allocate((size,), np.uint8).view(np.uint8)
        at = 0
        while at < size:
            part = self.read(min(_CHUNK, size - at))
            array[at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
        return array

    def finish(self) -> None:
        """Read on to the checksum; raise ValueError if it is wrong or far away."""
        self._some(_PADDING)
        self._some(1)
        if not self._decoder.eof:
            raise ValueError("its compressed values do not end where they should")


_Stream = _Plain | _Inflated
