"""Image files of every format, and the pixels that they hold."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from evaluator.images import encode_png

Array = NDArray[Any]
Write = Callable[..., bytes]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def _pillow(array: Array | Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(stream, form, **options)
    return stream.getvalue()


def _tiff(array: Array, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **{"photometric": "rgb" if array.shape[-1] == 3 else "minisblack", **options})
    return stream.getvalue()


def _planes(array: Array, **options: Any) -> bytes:
    """Write with tifffile, each colour by itself, one after the other."""
    return _tiff(np.moveaxis(array, 2, 0).copy(), photometric="rgb", planarconfig="separate", **options)


def _npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """Assemble a PNG of chunks, each with a correct checksum."""
    parts = [struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks]
    return PNG_MAGIC + b"".join(parts)


@pytest.fixture(scope="session")
def pillow() -> Write:
    """Write with Pillow: `pillow(array or image, format, **options)`."""
    return _pillow


@pytest.fixture(scope="session")
def tiff() -> Write:
    """Write with tifffile."""
    return _tiff


@pytest.fixture(scope="session")
def npy() -> Write:
    """Write with numpy.save."""
    return _npy


@pytest.fixture(scope="session")
def png_chunks() -> Write:
    """Assemble a PNG of (name, body) pairs."""
    return _png_chunks


@pytest.fixture(scope="session")
def rgb() -> NDArray[np.uint8]:
    """20×24 RGB, 8 bit: not square, and different in every channel."""
    return np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def deep() -> NDArray[np.uint16]:
    """20×24 RGB, 16 bit: low bytes matter."""
    return np.random.default_rng(2).integers(0, 65536, (20, 24, 3), dtype=np.uint16)


@pytest.fixture(scope="session")
def lossless(rgb: NDArray[np.uint8], deep: NDArray[np.uint16]) -> dict[str, tuple[bytes, Array]]:
    """Files by a name of their kind, with the pixels that went in."""
    gray, gray16 = rgb[:, :, 0].copy(), deep[:, :, 0].copy()
    floats = rgb / 255.0
    return {
        "png8": (encode_png(rgb), rgb),
        "png8 gray": (encode_png(gray), gray),
        "png16": (encode_png(deep), deep),
        "png16 gray": (encode_png(gray16), gray16),
        "png8 by pillow": (_pillow(rgb, "PNG"), rgb),
        "tiff8": (_tiff(rgb), rgb),
        "tiff8 gray": (_tiff(gray), gray),
        "tiff16": (_tiff(deep), deep),
        "tiff16 gray": (_tiff(gray16), gray16),
        "tiff16 big-endian": (_tiff(deep, byteorder=">"), deep),
        "tiff16 bigtiff": (_tiff(deep, bigtiff=True), deep),
        "tiff8 tiled": (_tiff(rgb, tile=(16, 16)), rgb),
        "tiff16 tiled": (_tiff(deep, tile=(16, 16)), deep),
        "tiff8 planes": (_planes(rgb), rgb),
        "tiff8 planes deflate": (_planes(rgb, compression="zlib"), rgb),
        "tiff8 deflate": (_tiff(rgb, compression="zlib"), rgb),
        "tiff8 lzw": (_pillow(rgb, "TIFF", compression="tiff_lzw"), rgb),
        "tiff float32": (_tiff(floats.astype(np.float32)), floats.astype(np.float32)),
        "bmp": (_pillow(rgb, "BMP"), rgb),
        "bmp gray": (_pillow(gray, "BMP"), gray),
        "webp": (_pillow(rgb, "WEBP", lossless=True), rgb),
        "npy u1": (_npy(rgb), rgb),
        "npy u2": (_npy(deep), deep),
        "npy f2": (_npy(floats.astype(np.float16)), floats.astype(np.float16)),
        "npy f4": (_npy(floats.astype(np.float32)), floats.astype(np.float32)),
        "npy f8": (_npy(floats), floats),
        "npy u2 big-endian": (_npy(deep.astype(">u2")), deep),
        "npy f4 big-endian": (_npy(floats.astype(">f4")), floats.astype(np.float32)),
        "npy fortran": (_npy(np.asfortranarray(deep)), deep),
        "npy gray": (_npy(gray), gray),
    }


@pytest.fixture(scope="session")
def lossy(rgb: NDArray[np.uint8]) -> dict[str, bytes]:
    """Files whose pixels are only near to what went in."""
    return {
        "jpeg": _pillow(rgb, "JPEG", quality=95),
        "jpeg gray": _pillow(rgb[:, :, 0].copy(), "JPEG", quality=95),
        "jpeg progressive": _pillow(rgb, "JPEG", progressive=True),
        "webp lossy": _pillow(rgb, "WEBP", quality=80),
        # The profile's chunk stands before the pixels', so that the first chunk does not tell the compression.
        "webp lossy with profile": _pillow(rgb, "WEBP", quality=80, icc_profile=bytes(500)),
    }


@pytest.fixture(scope="session")
def files(lossless: dict[str, tuple[bytes, Array]], lossy: dict[str, bytes]) -> dict[str, bytes]:
    """All of them."""
    return {**{name: data for name, (data, _) in lossless.items()}, **lossy}
