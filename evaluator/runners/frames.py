"""Messages between the harness and a worker: fixed headers over pipes, large payloads through shared memory.

A message is one text frame (a JSON object) and then its payload frames (bytes or arrays), whose number the text's
`payloads` states. What a worker sends is trusted in nothing: every length is checked against a limit before anything is
allocated, and what lies in shared memory is copied once and then checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import mmap
import os
import select
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Payload = bytes | Array

_HEADER = struct.Struct("<4sBBBB4IQQ")  # magic, kind, dtype, dimensions, shared, dims, offset, bytes
_MAGIC = b"EVF1"
_TEXT, _BYTES, _ARRAY = 1, 2, 3
_DTYPES = {1: "uint8", 2: "uint16", 3: "float16", 4: "float32", 5: "float64"}
_CODES = {name: code for code, name in _DTYPES.items()}
_CHUNK = 1 << 20
_ALIGN = 64
_LARGE = 1 << 26
_BY_PIPE = 1 << 16  # bytes below which shared memory saves nothing


class FrameError(Exception):
    """What came is not what the protocol allows; the message says why."""


class Timeout(Exception):
    """The other side did not finish in time."""


class Closed(Exception):
    """The other side is gone."""


@dataclass(frozen=True)
class Limits:
    """What a message may hold at most."""

    text: int = 1 << 16
    """Bytes of its text."""
    payloads: int = 0
    """How many payloads."""
    payload: int = 0
    """Bytes of one payload."""


class Channel:
    """One end of the connection. Not for two threads at once."""

    def __init__(self, read: int, write: int, shared: mmap.mmap | None = None) -> None:
        """Take two file descriptors, and the memory that both ends share."""
        self._read, self._write, self._shared = read, write, shared
        for descriptor in (read, write):
            os.set_blocking(descriptor, False)
            _widen(descriptor)

    def send(self, text: Mapping[str, Any], payloads: Sequence[Payload] = (), *, seconds: float | None = None) -> None:
        """Send a message.

        Raises:
            TypeError: a payload is no array that frames hold; nothing was sent.
            Timeout: it could not be handed over in time.
            Closed: the other side is gone.
        """
        deadline = _deadline(seconds)
        described = [_describe(payload) for payload in payloads]
        data = json.dumps({**text, "payloads": len(payloads)}).encode()
        # What goes through the pipe is written at once: each write could wake the other side for nothing.
        waiting = bytearray(_HEADER.pack(_MAGIC, _TEXT, 0, 0, 0, 0, 0, 0, 0, 0, len(data)) + data)
        offset = 0
        for kind, code, shape, view in described:
            size = view.nbytes
            shared = self._shared is not None and size >= _BY_PIPE and offset + size <= len(self._shared)
            dims = (*shape, *([0] * (4 - len(shape))))
            waiting += _HEADER.pack(_MAGIC, kind, code, len(shape), shared, *dims, offset if shared else 0, size)
            if shared and self._shared is not None:
                self._shared[offset : offset + size] = view
                offset += -(-size // _ALIGN) * _ALIGN
            elif size < _BY_PIPE:
                waiting += view
            else:
                self._put(waiting, deadline)
                self._put(view, deadline)
                waiting = bytearray()
        self._put(waiting, deadline)

    def receive(self, limits: Limits, *, seconds: float | None = None) -> tuple[dict[str, Any], list[Payload]]:
        """Return the next message: its text and its payloads (arrays are C-contiguous and their own).

        Raises:
            FrameError: it is none that the protocol or the limits allow.
            Timeout: it did not come whole in time.
            Closed: the other side is gone.
        """
        deadline = _deadline(seconds)
        kind, *_, size = self._header(deadline)
        if kind != _TEXT or size > limits.text:
            raise FrameError(f"expected a text of at most {limits.text} bytes")
        try:
            text = json.loads(bytes(self._get(size, deadline)))
        except (ValueError, RecursionError):
            raise FrameError("its text is no JSON") from None
        count = text.get("payloads") if isinstance(text, dict) else None
        if type(count) is not int or not 0 <= count <= limits.payloads:
            raise FrameError(f"expected at most {limits.payloads} payloads")
        return text, [self._payload(limits.payload, deadline) for _ in range(count)]

    def spoke(self) -> bool:
        """Tell whether something came that nobody has asked for yet."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        return any(event & select.POLLIN for _, event in poll.poll(0))

    def _header(self, deadline: float | None) -> tuple[int, int, int, int, tuple[int, ...], int, int]:
        magic, kind, code, count, shared, *dims, offset, size = _HEADER.unpack(self._get(_HEADER.size, deadline))
        if magic != _MAGIC:
            raise FrameError("it does not begin as a frame does")
        return kind, code, count, shared, tuple(dims), offset, size

    def _payload(self, limit: int, deadline: float | None) -> Payload:
        kind, code, count, shared, dims, offset, size = self._header(deadline)
        if kind not in (_BYTES, _ARRAY) or size > limit:
            raise FrameError(f"expected at most {limit} bytes of payload, it announces {size}")
        if kind == _ARRAY:
            if code not in _DTYPES or not 1 <= count <= 4:
                raise FrameError("its array is of an unknown kind")
            shape, dtype = dims[:count], np.dtype(_DTYPES[code])
            if math.prod(shape) * dtype.itemsize != size:
                raise FrameError(f"its array of shape {shape} does not take {size} bytes")
        if shared and (self._shared is None or offset + size > len(self._shared)):
            raise FrameError("its payload lies outside the shared memory")
        data: bytes | bytearray
        if shared and self._shared:
            # A slice of a mapping is a copy already.
            whole = slice(offset, offset + size)
            data = self._shared[whole] if kind == _BYTES else bytearray(memoryview(self._shared)[whole])
            _release(self._shared, offset, size)
        else:
            data = self._get(size, deadline)
        if kind == _BYTES:
            return bytes(data)
        try:
            return np.frombuffer(data, dtype).reshape(shape)
        except ValueError:  # beside a side of 0, others may be of any length
            raise FrameError(f"there can be no array of shape {shape}") from None

    def _get(self, size: int, deadline: float | None) -> bytearray:
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            try:
                count = os.readv(self._read, [view[done : done + _CHUNK]])
            except BlockingIOError:
                _wait(self._read, select.POLLIN, deadline)
                continue
            if count == 0:
                raise Closed
            done += count
        return data

    def _put(self, data: bytearray | memoryview, deadline: float | None) -> None:
        view, done = memoryview(data), 0
        while done < len(view):
            try:
                done += os.write(self._write, view[done : done + _CHUNK])
            except BlockingIOError:
                _wait(self._write, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise Closed from None


def _release(shared: mmap.mmap, offset: int, size: int) -> None:
    """Give back the pages of a large payload that was copied: both sides would hold them until the next one."""
    first, last = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE, (offset + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if size >= _LARGE and hasattr(mmap, "MADV_REMOVE"):
        with contextlib.suppress(OSError):
            shared.madvise(mmap.MADV_REMOVE, first, last - first)


def share(size: int) -> tuple[int, mmap.mmap] | None:
    """Return a descriptor of sealed shared memory and its mapping; None where the system has none.

    It is sparse: pages take memory once something was written to them. The seals keep the other side from changing
    its size, which would end this process at the next access.
    """
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("evaluator", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor, mmap.mmap(descriptor, size)


def _describe(payload: Payload) -> tuple[int, int, tuple[int, ...], memoryview]:
    if isinstance(payload, bytes):
        return _BYTES, 0, (), memoryview(payload)
    array = np.ascontiguousarray(payload)
    if array.dtype.name not in _CODES or not 1 <= array.ndim <= 4:
        raise TypeError(f"a frame holds no {array.dtype} array of {array.ndim} dimensions")
    return _ARRAY, _CODES[array.dtype.name], array.shape, array.reshape(-1).view(np.uint8).data


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = None if deadline is None else (deadline - time.monotonic()) * 1000
    if left is not None and left <= 0:
        raise Timeout
    if not poll.poll(left):
        raise Timeout


def _widen(descriptor: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _CHUNK)
        except OSError:  # above what this user may have: smaller pipes are only slower
            return
