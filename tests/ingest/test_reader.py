"""Every way in which an output can differ from what a case wants is a finding; nothing is bent to fit."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluator.findings import Severity, has_errors
from evaluator.images import encode_png
from evaluator.ingest import Expected, FolderSource, Reading, ZipSource, read_output
from evaluator.tasks import Protocol

EXPECTED = Expected.of(height=20, width=24, protocol=Protocol())
RGB = np.random.default_rng(5).integers(0, 256, (20, 24, 3), dtype=np.uint8)
DEEP = np.random.default_rng(6).integers(0, 65536, (20, 24, 3), dtype=np.uint16)
ERROR, WARNING = Severity.ERROR, Severity.WARNING


def pillow(image: Any, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, form, **options)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def read(folder: Path, data: bytes, **protocol: Any) -> Reading:
    (folder / "1.png").write_bytes(data)
    expected = Expected.of(20, 24, Protocol(**protocol))
    return read_output(FolderSource(folder), "1.png", expected)


def found(reading: Reading) -> list[tuple[str, Severity]]:
    assert all(f.file == "1.png" and f.expected and f.got and f.fix for f in reading.findings)
    assert (reading.pixels is None) == has_errors(reading.findings)
    return [(f.code, f.severity) for f in reading.findings]


def test_right_output_is_read_without_a_word(tmp_path: Path) -> None:
    data = encode_png(RGB)
    reading = read(tmp_path, data)
    assert found(reading) == []
    assert reading.pixels is not None
    assert np.array_equal(reading.pixels.array, RGB)
    assert reading.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("shape", [(24, 20), (20, 23), (21, 24), (40, 48), (10, 12)])
def test_wrong_size_is_an_error_and_never_resized(tmp_path: Path, shape: tuple[int, int]) -> None:
    reading = read(tmp_path, encode_png(np.zeros((*shape, 3), np.uint8)))
    assert found(reading) == [("size", ERROR)]
    (finding,) = reading.findings
    assert (finding.expected, finding.got) == ("24×20 pixels", f"{shape[1]}×{shape[0]}")


@pytest.mark.parametrize(
    "data",
    [
        pillow(np.dstack([RGB, RGB[:, :, :1]]), "PNG"),
        pillow(RGB[:, :, :2].copy(), "PNG"),
        pillow(RGB, "PNG", transparency=(0, 0, 0)),
        pillow(np.dstack([RGB, RGB[:, :, :1]]), "WEBP", lossless=True),
    ],
    ids=["rgba", "gray and alpha", "transparent colour", "webp"],
)
def test_alpha_is_an_error_and_never_dropped(tmp_path: Path, data: bytes) -> None:
    assert found(read(tmp_path, data)) == [("alpha", ERROR)]


def test_gray_is_an_error_and_never_spread(tmp_path: Path) -> None:
    assert found(read(tmp_path, encode_png(RGB[:, :, 0]))) == [("gray", ERROR)]


def test_colour_where_gray_is_wanted_is_an_error(tmp_path: Path) -> None:
    reading = read(tmp_path, encode_png(RGB), channels=1)
    assert found(reading) == [("channels", ERROR)]
    assert reading.findings[0].fix == "Save it as gray."
    assert found(read(tmp_path, encode_png(RGB[:, :, 0]), channels=1)) == []


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_counts_of_channels_are_an_error(tmp_path: Path, channels: int) -> None:
    reading = read(tmp_path, npy(np.zeros((20, 24, channels), np.uint8)))
    assert found(reading) == [("channels", ERROR)]
    assert reading.findings[0].got == f"{channels} channels"


def test_channels_first_is_said_to_be_another_size(tmp_path: Path) -> None:
    assert ("size", ERROR) in found(read(tmp_path, npy(np.moveaxis(RGB, 2, 0).copy())))


@pytest.mark.parametrize(
    ("data", "kind"), [(encode_png(RGB), "uint8"), (encode_png(DEEP), "uint16"), (npy(RGB / 255), "float")]
)
def test_depth_that_is_not_accepted_is_an_error(tmp_path: Path, data: bytes, kind: str) -> None:
    others = [k for k in ("uint8", "uint16", "float") if k != kind]
    reading = read(tmp_path, data, accepts=others)
    assert found(reading) == [("bit-depth", ERROR)]
    assert reading.findings[0].expected == " or ".join(others)


@pytest.mark.parametrize(("quantise", "words"), [("none", "not rounded"), ("round", "rounded to")])
def test_depth_other_than_the_protocols_is_a_warning(tmp_path: Path, quantise: str, words: str) -> None:
    reading = read(tmp_path, encode_png(DEEP), quantise=quantise)
    assert found(reading) == [("bit-depth", WARNING)]
    assert words in reading.findings[0].fix
    assert reading.pixels is not None
    assert np.array_equal(reading.pixels.array, DEEP), "all 16 bits are kept"


def test_8_bit_for_16_bit_references_is_a_warning(tmp_path: Path) -> None:
    assert found(read(tmp_path, encode_png(RGB), bit_depth=16)) == [("bit-depth", WARNING)]
    assert found(read(tmp_path, encode_png(DEEP), bit_depth=16)) == []


def test_float_has_no_depth_to_differ(tmp_path: Path) -> None:
    assert found(read(tmp_path, npy(RGB / 255))) == []


def test_animation_is_an_error(tmp_path: Path) -> None:
    data = pillow(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    reading = read(tmp_path, data)
    assert found(reading) == [("frames", ERROR)]
    assert reading.findings[0].got == "2"


def test_orientation_is_a_warning_and_pixels_stay(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    reading = read(tmp_path, pillow(RGB, "PNG", exif=exif))
    assert found(reading) == [("orientation", WARNING)]
    assert reading.pixels is not None
    assert np.array_equal(reading.pixels.array, RGB)


@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 90})])
def test_lossy_compression_is_a_warning(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    reading = read(tmp_path, pillow(RGB, form, **options))
    assert found(reading) == [("lossy", WARNING)]
    assert reading.findings[0].got == form


def test_8_bit_values_in_a_16_bit_file_are_a_warning_and_stay(tmp_path: Path) -> None:
    reading = read(tmp_path, encode_png(RGB.astype(np.uint16)), bit_depth=16)
    assert found(reading) == [("range", WARNING)]
    assert reading.pixels is not None
    assert np.array_equal(reading.pixels.array, RGB), "a suspicion changes no value"


def test_black_16_bit_image_is_not_suspected(tmp_path: Path) -> None:
    assert found(read(tmp_path, encode_png(np.zeros((20, 24, 3), np.uint16)), bit_depth=16)) == []


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-0.1, 1), (0, 1.0001)])
def test_floats_outside_0_to_1_are_a_warning_and_stay(tmp_path: Path, low: float, high: float) -> None:
    array = np.full((20, 24, 3), 0.5)
    array[0, 0], array[1, 1] = low, high
    reading = read(tmp_path, npy(array))
    assert found(reading) == [("range", WARNING)]
    assert reading.pixels is not None
    assert np.array_equal(reading.pixels.array, array)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_value_that_is_not_finite_is_an_error(tmp_path: Path, value: float) -> None:
    array = np.full((20, 24, 3), 0.5, np.float32)
    array[3, 4, 1] = value
    reading = read(tmp_path, npy(array))
    assert found(reading) == [("not-finite", ERROR)]
    assert "row 3, column 4, channel 1" in reading.findings[0].got


def test_file_beyond_the_limit_is_an_error(tmp_path: Path) -> None:
    reading = read(tmp_path, encode_png(RGB) + bytes(EXPECTED.byte_limit))
    assert found(reading) == [("too-large", ERROR)]


def test_bomb_in_an_archive_is_an_error(archive: Any) -> None:
    source = ZipSource(archive("x", {"1.png": bytes(30_000_000)}))
    assert [f.code for f in read_output(source, "1.png", EXPECTED).findings] == ["too-large"]


def test_largest_honest_file_is_below_the_limit() -> None:
    for height, width in ((1, 1), (20, 24), (256, 256), (3000, 4000)):
        assert height * width * 3 * 8 + 4096 < Expected.of(height, width, Protocol()).byte_limit


def test_bomb_of_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    # 81 million pixels in a small file: its size is known before memory is asked for.
    reading = read(tmp_path, pillow(Image.new("1", (9000, 9000)), "PNG"))
    assert ("size", ERROR) in found(reading)


@pytest.mark.parametrize("data", [b"", b"text", encode_png(RGB)[:-20], b"PK\x03\x04"])
def test_damaged_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    reading = read(tmp_path, data)
    assert found(reading) == [("unreadable", ERROR)]
    assert reading.sha256 == hashlib.sha256(data).hexdigest()


def test_file_that_is_gone_or_no_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("gone.png", "pipe.png", "folder.png"):
        reading = read_output(FolderSource(tmp_path), name, EXPECTED)
        assert [(f.code, f.severity, f.file) for f in reading.findings] == [("unreadable", ERROR, name)]
        assert (reading.pixels, reading.sha256) == (None, "")


def test_everything_wrong_is_reported_together(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 3
    gray = Image.fromarray(RGB[:10, :, 0].copy())
    reading = read(tmp_path, pillow(gray, "JPEG", exif=exif), accepts=["float"])
    assert set(found(reading)) == {
        ("size", ERROR),
        ("gray", ERROR),
        ("bit-depth", ERROR),
        ("orientation", WARNING),
        ("lossy", WARNING),
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_content_raises(tmp_path: Path, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([encode_png(RGB), npy(RGB), pillow(RGB, "JPEG"), pillow(RGB, "TIFF")]))
    file = bytearray(start)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 255)), max_size=3)):
        file[at] = value
    found(read(tmp_path, bytes(file[: data.draw(st.integers(0, len(file)))])))
