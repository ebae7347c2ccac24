"""Read an image file's header: what it holds, before any of its pixels are decoded.

Pillow reads the headers of JPEG, BMP and WebP, tifffile those of TIFF (Pillow refuses some TIFF layouts). The chunks
of a PNG are walked here: Pillow reports 16-bit RGB as 8 bit, and decodes the picture to find its orientation.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np

from evaluator.images import mat, npz
from evaluator.images.pixels import ImageProblem

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".npy", ".npz", ".mat")
"""File name suffixes (lower case) that may hold an image."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"\x93NUMPY", "NPY"),
    (b"PK\x03\x04", "NPZ"),
    *((magic, "MAT") for magic in mat.MAGICS),
)
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_NPY_HEADER_LIMIT = 4096
_NPY_HEAD = _NPY_HEADER_LIMIT + 64  # with magic, version and length
_TO_SRGB = "Convert the image to sRGB."
_TIFF_TYPES = ("uint8", "uint16", "float32")
_MIN_IS_BLACK, _RGB, _PALETTE = 1, 2, 3  # values of the tag PhotometricInterpretation
_TIFF_OLD_JPEG, _TIFF_JPEG, _TIFF_WEBP = 6, 7, 50001  # values of the tag Compression
_ORIENTATION = 274  # EXIF tag


@dataclass(frozen=True)
class Header:
    """What an image file says of itself. `channels` counts alpha; `dtype` is the type of the decoded values."""

    format: str
    width: int
    height: int
    channels: int
    dtype: str
    alpha: bool = False
    frames: int = 1
    orientation: int = 1
    lossy: bool = False


def _unreadable(got: str) -> ImageProblem:
    return ImageProblem(
        "unreadable",
        expected="a whole PNG, JPEG, TIFF, BMP or WebP image, or a .npy, .npz or MATLAB array",
        got=got,
        fix="Write the file again and look at it in a viewer before sending it.",
    )


def sniff(data: bytes) -> str:
    """Return the format that the first bytes show.

    Raises:
        ImageProblem: none that is known.
    """
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise _unreadable("an empty file" if not data else f"bytes of another kind ({data[:8].hex(' ')})")


def inspect(data: bytes) -> Header:
    """Return the header of an image file's bytes, without decoding pixels.

    Raises:
        ImageProblem: unknown format, damaged header, or a layout that holds no plain image.
    """
    kind = sniff(data)
    try:
        if kind == "NPY":
            return _inspect_npy(data, len(data))
        if kind == "NPZ":
            return _inspect_npy(*npz.array_head(data, _NPY_HEAD), "NPZ")
        if kind == "MAT":
            return _array_header("MAT", *mat.describe_image(data))
        if kind == "TIFF":
            return _inspect_tiff(data)
        return _inspect_png(data) if kind == "PNG" else _inspect_pillow(data, kind)
    except ImageProblem:
        raise
    except Exception as error:  # the readers raise many kinds of exceptions on damaged headers
        raise _unreadable(f"a damaged {kind} header ({error})") from None


def _inspect_npy(head: bytes, total: int, kind: str = "NPY") -> Header:
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=_NPY_HEADER_LIMIT)
    if dtype.hasobject or dtype.names or dtype.kind not in "uf":
        raise ImageProblem(
            "pixel-type",
            expected="an array of uint8, uint16 or float values",
            got=f"an array of {dtype}",
            fix="Save the plain pixel array with numpy.save.",
        )
    header = _array_header(kind, shape, dtype.name)
    size = math.prod(shape) * dtype.itemsize
    if total - stream.tell() != size:
        raise _unreadable(f"a .npy file with {total - stream.tell()} bytes of values where its header says {size}")
    return header


def _array_header(kind: str, shape: tuple[int, ...], dtype: str) -> Header:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ImageProblem(
            "array-shape",
            expected="an array of shape (height, width, channels)",
            got=f"shape {shape}",
            fix="Save one image a file, channels last.",
        )
    return Header(kind, width=shape[1], height=shape[0], channels=shape[2] if len(shape) == 3 else 1, dtype=dtype)


def _inspect_tiff(data: bytes) -> Header:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        if page.photometric not in (_MIN_IS_BLACK, _RGB, _PALETTE):
            name = getattr(page.photometric, "name", page.photometric)
            raise ImageProblem(
                "colour-space", expected="RGB or gray", got=f"a TIFF file of {name} values", fix=_TO_SRGB
            )
        if page.dtype is None or page.dtype.name not in _TIFF_TYPES:
            raise ImageProblem(
                "pixel-type",
                expected=f"a TIFF file of {', '.join(_TIFF_TYPES)} values",
                got=str(page.dtype or "a type that has no array type"),
                fix="Save it as 8 or 16 bit, or send a .npy array.",
            )
        if any(at + size > len(data) for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise _unreadable("a truncated TIFF file")
        orientation = page.tags.get("Orientation")
        return Header(
            "TIFF",
            width=page.imagewidth,
            height=page.imagelength,
            channels=3 if page.photometric == _PALETTE else page.samplesperpixel,
            dtype=page.dtype.name,
            alpha=bool(page.extrasamples),
            frames=len(tiff.pages),
            orientation=int(orientation.value) if orientation else 1,
            lossy=page.compression in (_TIFF_JPEG, _TIFF_OLD_JPEG, _TIFF_WEBP),
        )


def _inspect_png(data: bytes) -> Header:
    chunks: dict[bytes, memoryview] = {}
    view = memoryview(data)  # one chunk may hold all pixels: it is not copied
    at = 8
    while b"IEND" not in chunks:
        if at + 12 > len(data):
            raise _unreadable("a truncated PNG file")
        size, name = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + size]
        if at + 12 + size > len(data):
            raise _unreadable("a truncated PNG file")
        if zlib.crc32(body, zlib.crc32(name)) != struct.unpack_from(">I", data, at + 8 + size)[0]:
            raise _unreadable(f"a damaged PNG file (checksum of its {name.decode('latin-1')} chunk)")
        chunks.setdefault(name, body)
        at += 12 + size
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    transparent = b"tRNS" in chunks
    return Header(
        "PNG",
        width=width,
        height=height,
        channels=_PNG_CHANNELS[colour] + (1 if transparent else 0),
        dtype="uint16" if depth == 16 else "uint8",
        alpha=transparent or colour in (4, 6),
        frames=struct.unpack_from(">I", chunks[b"acTL"])[0] if b"acTL" in chunks else 1,
        orientation=_exif_orientation(bytes(chunks.get(b"eXIf", b""))),
    )


def _exif_orientation(exif: bytes) -> int:
    from PIL import Image

    tags = Image.Exif()
    tags.load(exif)
    return int(tags.get(_ORIENTATION, 1))


def _inspect_pillow(data: bytes, kind: str) -> Header:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are compared with the case's
        image = Image.open(io.BytesIO(data), formats=(kind,))
    with image:
        if image.mode == "CMYK":
            raise ImageProblem(
                "colour-space",
                expected="RGB or gray",
                got=f"a {kind} file with CMYK colours",
                fix=_TO_SRGB,
            )
        bands = image.getbands()
        return Header(
            kind,
            width=image.width,
            height=image.height,
            channels=3 if image.mode == "P" else len(bands),
            dtype="uint8",
            alpha=bands[-1] == "A" or "transparency" in image.info,
            frames=getattr(image, "n_frames", 1),
            orientation=int(image.getexif().get(_ORIENTATION, 1)),
            lossy=kind == "JPEG" or (kind == "WEBP" and _has_lossy_webp(data, 12, len(data))),
        )


def _has_lossy_webp(data: bytes, at: int, end: int) -> bool:
    """Walk RIFF chunks; frames of an animation hold chunks of their own, after 16 bytes."""
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"VP8 " or (name == b"ANMF" and _has_lossy_webp(data, at + 24, min(at + 8 + size, end))):
            return True
        at += 8 + size + size % 2
    return False
