"""Every bit that was saved is read; what is damaged is refused, never guessed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from evaluator.images import ImageProblem, Pixels, codec, decode, encode_png, inspect, peak_of, png_fast, read_image

Lossless = dict[str, tuple[bytes, NDArray[Any]]]
IHDR = struct.pack(">IIBBBBB", 24, 20, 8, 2, 0, 0, 0)
MAGIC = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"BM", b"RIFF\x20\0\0\0WEBP", b"\x93NUMPY")


def problem(data: bytes) -> ImageProblem:
    with pytest.raises(ImageProblem) as caught:
        decode(data)
    return caught.value


def code(data: bytes) -> str:
    return problem(data).code


def read_or_refuse(data: bytes) -> Pixels | None:
    """Decode; anything else than pixels or an ImageProblem fails the test that calls this."""
    try:
        pixels = decode(data)
    except ImageProblem:
        return None
    assert pixels.array.ndim == 3
    assert pixels.peak == peak_of(pixels.array.dtype)
    return pixels


def test_every_lossless_format_keeps_every_bit(lossless: Lossless) -> None:
    for name, (data, saved) in lossless.items():
        pixels = decode(data)
        expected = saved[:, :, None] if saved.ndim == 2 else saved
        assert pixels.array.dtype == expected.dtype, name
        assert np.array_equal(pixels.array, expected), name
        assert pixels.array.flags.c_contiguous, name
        assert pixels.array.dtype.isnative, name
        assert pixels.peak == peak_of(saved.dtype), name


@given(
    st.sampled_from(["u1", "u2"]).flatmap(
        lambda kind: hnp.arrays(kind, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])))
    )
)
def test_png_that_is_written_reads_back(array: NDArray[Any]) -> None:
    assert np.array_equal(decode(encode_png(array)).array, array)


@given(
    st.sampled_from(["<u1", "<u2", ">u2", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]).flatmap(
        lambda kind: hnp.arrays(
            kind,
            hnp.array_shapes(min_dims=2, max_dims=3, max_side=5),
            elements={"allow_nan": False, "allow_infinity": False} if "f" in kind else None,
        )
    ),
    st.booleans(),
)
def test_any_finite_array_reads_back_from_npy(array: NDArray[Any], fortran: bool) -> None:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if fortran else array)
    assert np.array_equal(decode(stream.getvalue()).array.reshape(array.shape), array)


@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_is_near_to_what_was_saved(pillow: Any, gray: bool) -> None:
    rows, columns = np.mgrid[0:20, 0:24]
    ramp = np.stack([rows * 8, columns * 8, 200 - rows * 4], axis=2).astype(np.uint8)
    ramp = ramp[:, :, :1] if gray else ramp
    pixels = decode(pillow(ramp.squeeze(), "JPEG", quality=98, subsampling=0))
    assert pixels.array.shape == ramp.shape
    # Channels in another order, or gray for colour, would be tens of levels away.
    assert np.abs(pixels.array.astype(int) - ramp).max() <= 6


@pytest.mark.parametrize("dtype", ["i2", "f4", "?", "u4"])
def test_png_holds_only_8_and_16_bits(dtype: str) -> None:
    with pytest.raises(TypeError, match=np.dtype(dtype).name):
        encode_png(np.zeros((4, 4, 3), dtype))


def test_image_is_read_from_a_path(tmp_path: Path, deep: NDArray[np.uint16]) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(encode_png(deep))
    assert np.array_equal(read_image(file).array, deep)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "y.png")


def test_file_that_is_cut_anywhere_is_refused(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        step = 1 if name in ("png8", "jpeg", "webp", "bmp", "npy u1", "tiff8", "tiff8 planes") else 37
        accepted = [length for length in range(0, len(data), step) if read_or_refuse(data[:length])]
        assert not accepted, name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_plain_tiff_keeps_pixels_as_stored_whatever_its_orientation(
    tiff: Any, rgb: NDArray[np.uint8], orientation: int
) -> None:
    tag = [(274, "H", 1, orientation, True)]
    for options in ({}, {"compression": "zlib"}, {"tile": (16, 16)}):
        assert np.array_equal(decode(tiff(rgb, extratags=tag, **options)).array, rgb), options


@pytest.mark.parametrize("orientation", range(2, 9))
def test_compressed_tiff_with_an_orientation_is_refused_in_plain_words(
    pillow: Any, rgb: NDArray[np.uint8], orientation: int
) -> None:
    # Its decoder turns the picture by the tag, and pixels are taken as stored.
    palette = Image.fromarray(rgb).quantize()
    tag = {"tiffinfo": {274: orientation}}
    for data in (pillow(rgb, "TIFF", compression="tiff_lzw", **tag), pillow(palette, "TIFF", **tag)):
        found = problem(data)
        assert found.code == "unreadable"
        assert "an orientation tag; save it upright" in found.got


def test_compressed_tiff_that_says_it_is_upright_is_read(pillow: Any, rgb: NDArray[np.uint8]) -> None:
    upright = pillow(rgb, "TIFF", compression="tiff_lzw", tiffinfo={274: 1})
    assert np.array_equal(decode(upright).array, rgb)


def test_compressed_tiff_of_separate_planes_is_refused_in_plain_words(pillow: Any, rgb: NDArray[np.uint8]) -> None:
    found = problem(pillow(rgb, "TIFF", compression="tiff_lzw", tiffinfo={284: 2}))
    assert found.code == "unreadable"
    assert "separate colour planes; save it with interleaved pixels" in found.got


@pytest.mark.parametrize(
    ("mode", "options"), [("LA", {}), ("L", {"transparency": 5})], ids=["channel", "transparent level"]
)
def test_transparent_gray_png_is_refused_and_not_spread(
    pillow: Any, rgb: NDArray[np.uint8], mode: str, options: dict[str, Any]
) -> None:
    # One decodes to four channels, the other loses its transparency: neither is what the header says.
    assert code(pillow(Image.fromarray(rgb).convert(mode), "PNG", **options)) == "alpha"


def test_any_flipped_byte_of_a_png_is_found(rgb: NDArray[np.uint8]) -> None:
    data = encode_png(rgb[:8, :8])
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        assert code(damaged) == "unreadable", at


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        zlib.compress(bytes(73 * 10)),
        zlib.compress(bytes(73 * 20))[:-5],
        zlib.compress(bytes(73 * 20))[:-1] + b"\0",
        b"no deflate",
    ],
    ids=["none", "half the rows", "cut", "checksum", "garbage"],
)
def test_png_with_right_checksums_around_wrong_pixels_is_refused(png_chunks: Any, stream: bytes) -> None:
    # What a writer that ran out of disk, or a hand-made file, looks like: filled up with gray it would get a score.
    assert code(png_chunks((b"IHDR", IHDR), (b"IDAT", stream), (b"IEND", b""))) == "unreadable"


def test_png_of_no_size_is_refused(png_chunks: Any) -> None:
    nothing = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    assert code(png_chunks((b"IHDR", nothing), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))) == "unreadable"


def test_zip_of_other_files_is_no_image() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", encode_png(np.zeros((4, 4, 3), np.uint8)))
    assert code(stream.getvalue()) == "array-count"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_value_that_is_not_finite_is_located(npy: Any, value: float, dtype: str) -> None:
    array = np.zeros((5, 6, 3), dtype)
    array[4, 2, 1] = value
    with pytest.raises(ImageProblem) as caught:
        decode(npy(array))
    assert caught.value.code == "not-finite"
    assert "row 4, column 2, channel 1" in caught.value.got
    assert str(value) in caught.value.got


@pytest.mark.parametrize("dtype", ["u4", "u8", "i2"])
def test_other_integers_are_refused(npy: Any, dtype: str) -> None:
    assert code(npy(np.zeros((4, 4, 3), dtype))) == "pixel-type"


def test_pickle_in_npy_is_never_loaded(npy: Any, tmp_path: Path) -> None:
    marker = tmp_path / "was-here"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    array = np.empty((1, 1, 1), object)
    array[0, 0, 0] = Attack()
    assert code(npy(array)) == "pixel-type"
    assert not marker.exists()


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@example(b"II*\x00", b"\x08\0\0\0\xff\xff")
@example(b"\x93NUMPY", b"\x01\x00")
@example(b"\x93NUMPY", b"")
def test_random_bytes_are_read_or_refused(magic: bytes, rest: bytes) -> None:
    read_or_refuse(magic + rest)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_mutated_files_are_read_or_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    file = bytearray(files[name])
    # Most of what can go wrong is in headers, so half of the changes go there.
    place = st.one_of(st.integers(0, min(120, len(file) - 1)), st.integers(0, len(file) - 1))
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4)):
        file[at] = value
    start, length = data.draw(place), data.draw(st.integers(0, 20))
    if data.draw(st.booleans()):
        del file[start : start + length]
    read_or_refuse(bytes(file))


def test_decoding_takes_a_header_that_is_known(lossless: Lossless) -> None:
    data, saved = lossless["png16"]
    assert np.array_equal(decode(data, inspect(data)).array, saved)


def test_a_long_run_changes_the_decoder_of_png_and_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).integers(0, 65536, (12, 17, 3)).astype(np.uint16)
    data = encode_png(array)
    monkeypatch.setattr(codec, "_COMPILE_FROM", codec._decoded + 12 * 17)
    used = []
    monkeypatch.setattr(png_fast, "decode_png", lambda data, real=png_fast.decode_png: used.append(1) or real(data))
    for count in (0, 1, 2):
        np.testing.assert_array_equal(codec.decode(data).array, array)
        assert len(used) == count
