"""The header tells all that `check` needs, before a pixel is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from evaluator.images import ImageProblem, decode, inspect
from evaluator.images.header import Header

IHDR = struct.pack(">IIBBBBB", 24, 20, 8, 2, 0, 0, 0)
ALPHA_8 = np.random.default_rng(3).integers(0, 256, (20, 24, 4), dtype=np.uint8)


def problem(data: bytes) -> ImageProblem:
    with pytest.raises(ImageProblem) as caught:
        inspect(data)
    return caught.value


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def npy_header(version: tuple[int, int], text: str, values: bytes = b"") -> bytes:
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text.encode("latin-1") + values


def test_header_equals_what_is_decoded(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        header, pixels = inspect(data), decode(data)
        assert (header.height, header.width, header.channels) == pixels.array.shape, name
        assert header.dtype == pixels.array.dtype.name, name
        assert (header.alpha, header.frames, header.orientation) == (False, 1, 1), name


def test_header_names_format_and_loss(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        header = inspect(data)
        assert header.format == name.split()[0].rstrip("0123456789").upper(), name
        assert header.lossy == (name.startswith("jpeg") or "lossy" in name), name


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})], ids=["png", "webp", "tiff"]
)
def test_alpha_channel_is_seen(pillow: Any, form: str, options: dict[str, Any]) -> None:
    header = inspect(pillow(ALPHA_8, form, **options))
    assert (header.channels, header.alpha) == (4, True)


def test_alpha_beside_gray_is_seen(pillow: Any) -> None:
    header = inspect(pillow(ALPHA_8[:, :, :2].copy(), "PNG"))
    assert (header.channels, header.alpha) == (2, True)


def test_transparent_colour_is_alpha(pillow: Any, rgb: NDArray[np.uint8]) -> None:
    palette = Image.fromarray(rgb).quantize()
    for data in (pillow(rgb, "PNG", transparency=(1, 2, 3)), pillow(palette, "PNG", transparency=3)):
        assert inspect(data).alpha
        assert inspect(data).channels == decode(data).array.shape[2] == 4


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_palette_is_colour(pillow: Any, rgb: NDArray[np.uint8], form: str) -> None:
    palette = Image.fromarray(rgb).quantize()
    data = pillow(palette, form)
    assert (inspect(data).channels, inspect(data).alpha) == (3, False)
    assert np.array_equal(decode(data).array, np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("JPEG", {}), ("WEBP", {"lossless": True})], ids=["png", "jpeg", "webp"]
)
def test_orientation_is_told_and_not_applied(
    pillow: Any, rgb: NDArray[np.uint8], form: str, options: dict[str, Any], orientation: int
) -> None:
    tagged = pillow(rgb, form, exif=exif(orientation), **options)
    assert inspect(tagged).orientation == orientation
    assert (inspect(tagged).width, inspect(tagged).height) == (24, 20)
    assert np.array_equal(decode(tagged).array, decode(pillow(rgb, form, **options)).array)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_tiff_is_told(tiff: Any, rgb: NDArray[np.uint8], orientation: int) -> None:
    header = inspect(tiff(rgb, extratags=[(274, "H", 1, orientation, True)]))
    assert (header.orientation, header.width, header.height) == (orientation, 24, 20)


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})], ids=["png", "webp", "tiff"]
)
def test_frames_are_counted(pillow: Any, rgb: NDArray[np.uint8], form: str, options: dict[str, Any]) -> None:
    more = [Image.fromarray(255 - rgb), Image.fromarray(rgb // 2)]
    assert inspect(pillow(rgb, form, save_all=True, append_images=more, **options)).frames == 3


def test_cmyk_is_refused(pillow: Any, rgb: NDArray[np.uint8]) -> None:
    found = problem(pillow(Image.fromarray(rgb).convert("CMYK"), "JPEG"))
    assert found.code == "colour-space"
    assert "CMYK" in found.got


@pytest.mark.parametrize("photometric", ["miniswhite", "ycbcr", "cielab"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_tiff_of_other_colours_is_refused(
    tiff: Any, rgb: NDArray[np.uint8], photometric: str, compression: str | None, dtype: str
) -> None:
    # Taken as they are, such values would be scored as a negative, or in colours that nobody meant.
    image = rgb[:, :, 0] if photometric == "miniswhite" else rgb
    found = problem(tiff(image.astype(dtype), photometric=photometric, compression=compression))
    assert found.code == "colour-space"
    assert photometric.upper() in found.got


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}], ids=["plain", "lzw"])
def test_cmyk_tiff_is_refused_and_not_taken_for_alpha(
    pillow: Any, rgb: NDArray[np.uint8], options: dict[str, Any]
) -> None:
    found = problem(pillow(Image.fromarray(rgb).convert("CMYK"), "TIFF", **options))
    assert found.code == "colour-space"
    assert "SEPARATED" in found.got


@pytest.mark.parametrize("dtype", ["f2", "f8", "i1", "i2", "u4", "c8"])
def test_tiff_of_other_values_is_refused(tiff: Any, dtype: str) -> None:
    found = problem(tiff(np.zeros((20, 24, 3), dtype)))
    assert (found.code, found.got) == ("pixel-type", np.dtype(dtype).name)
    assert "float32" in found.expected, "what can be sent instead is named"


def test_loss_of_webp_is_seen_behind_other_chunks(pillow: Any) -> None:
    # Alpha and frames stand in chunks before, or around, the one that tells how pixels were compressed.
    more = {"save_all": True, "append_images": [Image.fromarray(255 - ALPHA_8)]}
    for options in ({}, more, {"icc_profile": bytes(501)}):
        assert inspect(pillow(ALPHA_8, "WEBP", quality=80, **options)).lossy, options
        assert not inspect(pillow(ALPHA_8, "WEBP", lossless=True, **options)).lossy, options


def test_header_is_read_without_decoding(png_chunks: Any) -> None:
    # A bomb: 60,000×60,000 pixels would fill memory; nobody asks for them before the size is compared.
    bomb = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0)
    header = inspect(png_chunks((b"IHDR", bomb), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")))
    assert header == Header("PNG", 60_000, 60_000, 4, "uint16", alpha=True)


@pytest.mark.parametrize(("chunk", "body"), [(b"IHDR", b"ab"), (b"IHDR", IHDR[:9] + b"\x05" + IHDR[10:])])
def test_wrong_ihdr_is_damage(png_chunks: Any, chunk: bytes, body: bytes) -> None:
    assert problem(png_chunks((chunk, body), (b"IEND", b""))).code == "unreadable"


def test_png_without_ihdr_is_damage(png_chunks: Any) -> None:
    assert problem(png_chunks((b"IEND", b""))).code == "unreadable"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("body", [b"", b"x", b"MM\x00*\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00\x05\x00"])
def test_broken_exif_is_no_crash(png_chunks: Any, body: bytes) -> None:
    data = png_chunks((b"IHDR", IHDR), (b"eXIf", body), (b"IEND", b""))
    try:
        assert inspect(data).orientation == 1
    except ImageProblem as found:
        assert found.code == "unreadable"  # noqa: PT017 - either outcome is right


def test_empty_file_is_named_so() -> None:
    assert problem(b"").got == "an empty file"


@pytest.mark.parametrize(
    "data", [b"7z\xbc\xaf\x27\x1c", b"GIF89a", b"%PDF-1.7", b"\x89PN", b"RIFF\0\0\0\0WAVE", b"<svg/>"]
)
def test_other_formats_are_refused_whatever_their_name(data: bytes) -> None:
    assert problem(data).code == "unreadable"
    assert data[:4].hex(" ") in problem(data).got


@pytest.mark.parametrize("dtype", ["i1", "i4", "?", "c8", "O", "U3", "M8[s]", "u1,u1"])
def test_npy_of_other_values_is_no_image(npy: Any, dtype: str) -> None:
    found = problem(npy(np.zeros((2, 2, 3), dtype)))
    assert found.code == "pixel-type"


@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 4, 3)])
def test_npy_of_other_shape_is_no_image(npy: Any, shape: tuple[int, ...]) -> None:
    found = problem(npy(np.zeros(shape, np.uint8)))
    assert found.code == "array-shape"
    assert str(shape) in found.got


@pytest.mark.parametrize("change", [-1, 1, -300])
def test_npy_of_wrong_length_is_damage(npy: Any, rgb: NDArray[np.uint8], change: int) -> None:
    data = npy(rgb)
    data = data + bytes(change) if change > 0 else data[:change]
    assert problem(data).code == "unreadable"
    assert f"{20 * 24 * 3 + change} bytes" in problem(data).got


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,3), }" + " " * 60_000,
        "(" * 3000,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (%s, 1, 3), }" % (10**30),
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 3), }",
        "{'descr': '|u1'}",
        "__import__('os')",
        "",
    ],
    ids=["long", "nested", "vast", "overflow", "incomplete", "code", "empty"],
)
def test_hostile_npy_header_is_a_problem_and_no_crash(text: str) -> None:
    for version in ((1, 0), (2, 0)):
        with pytest.raises(ImageProblem) as caught:
            decode(npy_header(version, text))
        assert caught.value.code == "unreadable"


def test_npy_of_format_2_is_read(rgb: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, rgb, version=(2, 0))
    assert np.array_equal(decode(stream.getvalue()).array, rgb)
