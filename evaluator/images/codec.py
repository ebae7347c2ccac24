"""Decode image files to pixels and write PNG.

JPEG, WebP and BMP are decoded by Pillow, which refuses truncated files where OpenCV fills them with gray; PNG by
OpenCV, which keeps 16 bits where Pillow drops the low byte, and in long runs by `png_fast`; plain TIFF by tifffile,
compressed TIFF by OpenCV. Pillow and OpenCV give the same pixels for baseline JPEG.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.images import mat, npz
from evaluator.images.header import Header, inspect
from evaluator.images.pixels import ImageProblem, Pixels, peak_of

_COMPILE_FROM = 100_000_000
"""Pixels of PNG files after which a process loads the compiled decoder: the same pixels, in half the time. Loading it
takes as long as it saves on so many."""
_IN_STRIPS = 1 << 25
"""Pixels of a PNG file from which on it is taken whatever came before: it needs less memory for large ones."""
_decoded = 0

_SWAPPED = 256  # rows
_PLAIN_TIFF = (1, 8, 32946, 32773)  # tag Compression: none, Deflate (two numbers), PackBits


def decode(data: bytes, header: Header | None = None) -> Pixels:
    """Decode an image file's bytes to `(H, W, C)` pixels in RGB order, every bit kept, no rotation applied.

    Args:
        data: the file's bytes (PNG, JPEG, TIFF, BMP, WebP, `.npy`, `.npz` or MATLAB).
        header: what `inspect` returned for them, if it was called already.

    Raises:
        ImageProblem: damaged file, unknown format, or values that are no pixels (NaN, infinity).
    """
    header = header or inspect(data)
    if header.format == "PNG" and header.alpha and header.channels == 2:
        # OpenCV expands gray with alpha to four channels, and drops a transparent gray level.
        fix = "Save it without transparency."
        raise ImageProblem("alpha", expected="gray without transparency", got="gray with it", fix=fix)
    try:
        if header.format in ("NPY", "NPZ", "MAT"):
            array = _decode_array(data, header.format)
        elif header.format == "TIFF":
            array = _decode_tiff(data)
        elif header.format == "PNG":
            array = _decode_png(data, header)
        else:
            array = _decode_pillow(data, header)
    except ImageProblem:
        raise
    except Exception as error:  # decoders raise many kinds of exceptions on damaged files
        raise _damaged(header, str(error)) from None
    if array.shape != (header.height, header.width, header.channels) or array.dtype.name != header.dtype:
        raise _damaged(
            header,
            f"decoded to {array.dtype.name} {array.shape}, header says {header.dtype} "
            f"{(header.height, header.width, header.channels)}",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row, column, channel = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ImageProblem(
            "not-finite",
            expected="finite values",
            got=f"{array[row, column, channel]} at row {row}, column {column}, channel {channel}",
            fix="Find out where the NaN or infinity comes from; replace it before saving.",
        )
    return Pixels(array, peak_of(array.dtype))


def read_image(path: Path) -> Pixels:
    """Read an image file. See `decode`.

    Raises:
        ImageProblem: the file is no whole image.
        OSError: it cannot be read.
    """
    return decode(path.read_bytes())


def encode_png(array: NDArray[np.generic]) -> bytes:
    """Encode `(H, W)` or `(H, W, C)` uint8 or uint16 pixels (1 or 3 channels, RGB) as PNG."""
    import cv2

    if array.dtype.name not in ("uint8", "uint16"):
        raise TypeError(f"PNG holds uint8 or uint16 pixels, not {array.dtype.name}")
    integers = array.astype(array.dtype.name, copy=False)
    swapped = integers[:, :, ::-1] if array.ndim == 3 and array.shape[2] == 3 else integers
    done, data = cv2.imencode(".png", np.ascontiguousarray(swapped))
    if not done:
        raise RuntimeError("OpenCV could not encode the image as PNG")
    return bytes(data)


def encode_npy(array: NDArray[np.generic]) -> bytes:
    """Encode an array of any plain type as a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _damaged(header: Header, why: str) -> ImageProblem:
    return ImageProblem(
        "unreadable",
        expected=f"a whole {header.format} image",
        got=f"a damaged file ({why})",
        fix="Write the file again and look at it in a viewer before sending it.",
    )


def _decode_array(data: bytes, kind: str) -> NDArray[np.generic]:
    array: NDArray[np.generic]
    if kind == "MAT":
        array = mat.decode_image(data)
    else:
        array = np.load(io.BytesIO(npz.array_bytes(data) if kind == "NPZ" else data), allow_pickle=False)
    array = array[:, :, None] if array.ndim == 2 else array
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def _refused(code: str, got: str, fix: str) -> ImageProblem:
    return ImageProblem(
        code, expected="an image that is decoded as it is stored", got=f"{got}; {fix}", fix="Or save it as PNG."
    )


def _decode_tiff(data: bytes) -> NDArray[np.generic]:
    """Decode by tifffile what needs no codec of its own, else by OpenCV, which turns pixels by the orientation tag."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        orientation = page.tags.get("Orientation")
        if page.compression in _PLAIN_TIFF and page.photometric != tifffile.PHOTOMETRIC.PALETTE:
            array = page.asarray()
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and array.ndim == 3:
                array = np.moveaxis(array, 0, -1)
            return np.ascontiguousarray(array[:, :, None] if array.ndim == 2 else array)
        if page.extrasamples:
            raise _refused("alpha", "a compressed TIFF file with alpha", "save it without transparency")
        if orientation and orientation.value != 1:
            raise _refused(
                "unreadable", "a compressed TIFF file with an orientation tag", "save it upright and without the tag"
            )
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
            raise _refused(
                "unreadable", "a compressed TIFF file with separate colour planes", "save it with interleaved pixels"
            )
    return _decode_opencv(data)


def _decode_png(data: bytes, header: Header) -> NDArray[np.generic]:
    global _decoded  # noqa: PLW0603  # threads may lose a count: only the moment of the change moves
    _decoded += header.height * header.width
    if _decoded > _COMPILE_FROM or header.height * header.width > _IN_STRIPS:
        from evaluator.images.png_fast import decode_png

        array = decode_png(data)
        if array is not None:
            return array
    return _decode_opencv(data)


def _decode_opencv(data: bytes) -> NDArray[np.generic]:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV could not decode it")
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.shape[2] in (3, 4):
        code = cv2.COLOR_BGR2RGB if array.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        for top in range(0, len(array), _SWAPPED):  # in its place: a second copy of a large image would be for nothing
            array[top : top + _SWAPPED] = cv2.cvtColor(array[top : top + _SWAPPED], code)
    return np.ascontiguousarray(array)


def _decode_pillow(data: bytes, header: Header) -> NDArray[np.generic]:
    from PIL import Image

    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[header.channels]
    with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
        image.load()
        array = np.asarray(image if image.mode == mode else image.convert(mode))
    return np.ascontiguousarray(array[:, :, None] if array.ndim == 2 else array)
