"""The fast PNG decoder: the same pixels as OpenCV and Pillow, and no answer where a file is not plain or not sound."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from evaluator.images import png_fast
from evaluator.images.png_fast import decode_png

Array = NDArray[Any]
Write = Callable[..., bytes]
MAGIC = b"\x89PNG\r\n\x1a\n"
COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
STRATEGIES = (
    cv2.IMWRITE_PNG_FILTER_NONE,
    cv2.IMWRITE_PNG_FILTER_SUB,
    cv2.IMWRITE_PNG_FILTER_UP,
    cv2.IMWRITE_PNG_FILTER_AVG,
    cv2.IMWRITE_PNG_FILTER_PAETH,
    cv2.IMWRITE_PNG_ALL_FILTERS,
)
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@pytest.fixture(autouse=True, scope="module", params=["whole", "in strips"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every file is decoded in both ways."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in strips":
            patch.setattr(png_fast, "LARGE", 0)
            patch.setattr(png_fast, "_STRIP", 500)
            patch.setattr(png_fast, "_PIECE", 100)
        yield


def picture(height: int, width: int, channels: int, dtype: Any, seed: int) -> Array:
    """Smooth, so that encoders choose all filters, and noisy, so that all bytes occur."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    waves = np.sin(np.add.outer(np.arange(height) / 5, np.arange(width) / 7))[:, :, None] * rng.uniform(
        0, 0.5, channels
    )
    return np.clip((waves + 0.5 + rng.normal(0, 0.1, (height, width, channels))) * top, 0, top).astype(dtype)


def by_opencv(data: bytes) -> Array:
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    array = array[:, :, None] if array.ndim == 2 else array
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    return array[:, :, order]


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(array: Array, **changes: int) -> bytes:
    fields = {"width": array.shape[1], "height": array.shape[0], "depth": 8 * array.itemsize}
    fields |= {"colour": COLOUR[array.shape[2]], "compression": 0, "filter": 0, "interlace": 0, **changes}
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *fields.values()))


def packed(array: Array, kinds: bytes | None = None) -> bytes:
    """Compress rows whose bytes are what is left after the filter of type 0, whatever `kinds` says of them."""
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(array.shape[0], -1).view(np.uint8)
    return zlib.compress(
        b"".join(bytes([k]) + r.tobytes() for k, r in zip(kinds or bytes(len(rows)), rows, strict=True))
    )


def png(array: Array, *before: bytes, data: bytes | None = None, **changes: int) -> bytes:
    body = packed(array) if data is None else data
    return MAGIC + header(array, **changes) + b"".join(before) + chunk(b"IDAT", body) + chunk(b"IEND")


@settings(deadline=None, max_examples=150)
@given(
    shape=shapes,
    channels=st.sampled_from([1, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    strategy=st.sampled_from(STRATEGIES),
    seed=st.integers(0, 99),
)
def test_pixels_are_opencvs(shape: tuple[int, int], channels: int, dtype: Any, strategy: int, seed: int) -> None:
    array = picture(*shape, channels, dtype, seed)
    done, data = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_FILTER, strategy])
    assert done
    ours = decode_png(data.tobytes())
    assert ours is not None
    assert ours.dtype == dtype
    assert ours.flags.c_contiguous
    np.testing.assert_array_equal(ours, by_opencv(data.tobytes()))


@settings(deadline=None, max_examples=150)
@given(
    shape=shapes,
    channels=st.sampled_from([1, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 2**31),
)
def test_any_filter_on_any_row_is_undone(shape: tuple[int, int], channels: int, dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rest = rng.integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)
    data = png(rest, data=packed(rest, rng.integers(0, 5, shape[0], np.uint8).tobytes()))
    ours = decode_png(data)
    assert ours is not None
    np.testing.assert_array_equal(ours, by_opencv(data))


@settings(deadline=None, max_examples=40)
@given(shape=shapes, mode=st.sampled_from(["L", "LA", "RGB", "RGBA"]), seed=st.integers(0, 99))
def test_pixels_are_pillows(shape: tuple[int, int], mode: str, seed: int) -> None:
    array = picture(*shape, len(mode) if mode != "L" else 1, np.uint8, seed)
    image = Image.fromarray(array[:, :, 0] if mode == "L" else array, mode=mode)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=bool(seed % 2))
    np.testing.assert_array_equal(decode_png(stream.getvalue()), array)


def test_pixels_split_over_many_chunks_and_notes_between(rgb: Array) -> None:
    data = packed(rgb)
    parts = [chunk(b"IDAT", data[i : i + 7]) for i in range(0, len(data), 7)]
    whole = MAGIC + header(rgb) + chunk(b"tEXt", b"a\0b") + b"".join(parts) + chunk(b"tIME", bytes(7)) + chunk(b"IEND")
    np.testing.assert_array_equal(decode_png(whole), rgb)


IRREGULAR: dict[str, Callable[[Array], bytes]] = {
    "nothing": lambda _: b"",
    "no PNG": lambda _: b"GIF89a",
    "magic alone": lambda _: MAGIC,
    "header alone": lambda a: MAGIC + header(a),
    "cut short": lambda a: png(a)[:-20],
    "no pixels": lambda a: MAGIC + header(a) + chunk(b"IEND"),
    "no header": lambda a: MAGIC + chunk(b"IDAT", packed(a)) + chunk(b"IEND"),
    "two headers": lambda a: png(a, header(a)),
    "short header": lambda a: MAGIC + chunk(b"IHDR", bytes(5)) + chunk(b"IDAT", packed(a)) + chunk(b"IEND"),
    "interlaced": lambda a: png(a, interlace=1),
    "unknown compression": lambda a: png(a, compression=1),
    "unknown filter method": lambda a: png(a, filter=1),
    "unknown colour type": lambda a: png(a, colour=5),
    "depth of 4": lambda a: png(a[:, :, :1], depth=4),
    "palette": lambda a: png(a[:, :, :1], chunk(b"PLTE", bytes(768)), colour=3),
    "transparent colour": lambda a: png(a, chunk(b"tRNS", bytes(6))),
    "animated": lambda a: png(a, chunk(b"acTL", bytes(8))),
    "unknown critical chunk": lambda a: png(a, chunk(b"CgBI", bytes(4))),
    "pixels in two places": lambda a: png(a, chunk(b"IDAT", packed(a)), chunk(b"tEXt", b"a\0b")),
    "no width": lambda a: png(a, width=0),
    "wider than its data": lambda a: png(a, width=a.shape[1] + 1),
    "lower than its data": lambda a: png(a, height=a.shape[0] - 1),
    "enormous": lambda a: png(a, width=1 << 30, height=1 << 30),
    "unknown filter": lambda a: png(a, data=packed(a, bytes([5] * len(a)))),
    "too few pixels": lambda a: png(a, data=zlib.compress(bytes(100))),
    "damaged": lambda a: png(a, data=packed(a)[:-4] + bytes(4)),
    "pixels cut short": lambda a: png(a, data=packed(a)[:-20]),
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_irregular_has_no_answer(kind: str, rgb: Array) -> None:
    assert decode_png(IRREGULAR[kind](rgb)) is None


@settings(deadline=None, max_examples=300)
@given(at=st.integers(0, 2**31), value=st.integers(0, 255))
def test_a_changed_byte_never_gives_other_pixels_than_opencvs(at: int, value: int) -> None:
    data = bytearray(png(picture(9, 11, 3, np.uint8, 1)))
    data[at % len(data)] = value
    ours = decode_png(bytes(data))
    theirs = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if ours is not None and theirs is not None:  # OpenCV checks the chunks' checksums, decode_png leaves that out
        np.testing.assert_array_equal(ours, by_opencv(bytes(data)))


def test_a_bomb_takes_no_memory(rgb: Array) -> None:
    bomb = png(rgb, data=zlib.compress(bytes(200_000_000), 1))
    decode_png(png(rgb))  # compiled before memory is counted
    tracemalloc.start()
    try:
        assert decode_png(bomb) is None
        assert tracemalloc.get_traced_memory()[1] < 4 * len(bomb) + 100_000
    finally:
        tracemalloc.stop()


def test_a_header_that_promises_more_than_its_data_can_hold_takes_no_memory(
    rgb: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("nothing may be allocated")

    monkeypatch.setattr(png_fast, "_inflate", never)
    assert decode_png(png(rgb, width=30_000, height=30_000)) is None
