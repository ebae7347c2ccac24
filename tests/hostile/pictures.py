"""3.2: image files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from hostile.kind import HEIGHT, WIDTH, Class, Place
from PIL import Image as PillowImage

from evaluator.images import encode_png

pictures = Class()
kind = pictures.kind
PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def head(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def beside(place: Place, at: Path, data: bytes, name: str = "a.png") -> None:
    """An honest output of one case, and a file of the other."""
    place.put(at, leave_out="a")
    (at / name).write_bytes(data)


def with_chunk(data: bytes, extra: bytes) -> bytes:
    """Put a chunk behind the header of a PNG file."""
    return data[:33] + extra + data[33:]


def pillow(array: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image = array if isinstance(array, PillowImage.Image) else PillowImage.fromarray(array)
    image.save(out, kind, **options)
    return out.getvalue()


@kind("part", "size")
def a_png_of_900_million_pixels(place: Place, at: Path) -> None:
    rows = zlib.compress(bytes(1 << 20), 9)
    beside(place, at, PNG + head(30000, 30000, 1, 0) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


@kind("part", "unreadable")
def a_png_that_unpacks_beyond_its_size(place: Place, at: Path) -> None:
    """Its header is the case's; its data unpacks to 300 MB of something else."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(b"\7" * (1 << 20)) for _ in range(300)) + packer.flush()
    beside(place, at, PNG + head(WIDTH, HEIGHT) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@kind("part", "unreadable", says=("4290250000 pixels",))
def a_jpeg_of_4_billion_pixels(place: Place, at: Path) -> None:
    data = bytearray(pillow(place.honest("a"), "JPEG"))
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    beside(place, at, bytes(data))


@kind("part", "size")
def a_tiff_of_3_billion_pixels(place: Place, at: Path) -> None:
    tags = [
        (256, 4, 60000),
        (257, 4, 60000),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (279, 4, 64),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
    beside(place, at, b"II*\0" + struct.pack("<I", 72) + bytes(64) + directory + bytes(4))


@kind("scored", score="honest")
def a_tiff_whose_pages_go_in_circles(place: Place, at: Path) -> None:
    data = bytearray(pillow(place.honest("a"), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    place.put(at, leave_out="a")
    (at / "a.tif").write_bytes(bytes(data))


@kind("part", "unreadable")
def a_tiff_whose_pixels_lie_behind_its_end(place: Place, at: Path) -> None:
    data = bytearray(pillow(place.honest("a"), "TIFF"))
    entry = data.find(struct.pack("<HH", 273, 4))
    struct.pack_into("<I", data, entry + 8, 1 << 30)
    place.put(at, leave_out="a")
    (at / "a.tif").write_bytes(bytes(data))


@kind("scored", score="honest")
def a_png_with_text_that_unpacks_to_300_megabytes(place: Place, at: Path) -> None:
    place.put(at)
    packer = zlib.compressobj(9)
    text = b"".join(packer.compress(b"x" * (1 << 20)) for _ in range(300)) + packer.flush()
    profile = chunk(b"iCCP", b"p\0\0" + text)
    (at / "a.png").write_bytes(with_chunk(place.png("a"), profile + chunk(b"zTXt", b"Comment\0\0" + text)))


@kind("scored", score="honest")
def a_png_that_is_a_web_page_too(place: Place, at: Path) -> None:
    place.put(at)
    page = b"<script>alert(document.domain)</script>"
    (at / "a.png").write_bytes(with_chunk(place.png("a"), chunk(b"tEXt", b"Comment\0" + page)) + page)


@kind("part", "unreadable", says=("bytes of another kind",))
def a_web_page_named_png(place: Place, at: Path) -> None:
    beside(place, at, b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")


@kind("part", "unreadable", says=("bytes of another kind",))
def postscript_named_png(place: Place, at: Path) -> None:
    beside(place, at, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 20\n(/etc/passwd) run\n")


@kind("part", "unreadable", says=("bytes of another kind",))
def a_photoshop_file_named_png(place: Place, at: Path) -> None:
    beside(place, at, b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, HEIGHT, WIDTH, 8, 3) + bytes(64))


@kind("part", "unreadable")
def a_png_cut_short(place: Place, at: Path) -> None:
    beside(place, at, place.png("a")[:-40])


@kind("part", "unreadable", says=("checksum",))
def a_png_with_a_wrong_checksum(place: Place, at: Path) -> None:
    data = bytearray(place.png("a"))
    data[60] ^= 1
    beside(place, at, bytes(data))


@kind("part", "unreadable")
def an_empty_file(place: Place, at: Path) -> None:
    beside(place, at, b"")


@kind("part", "alpha")
def a_png_with_alpha(place: Place, at: Path) -> None:
    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    beside(place, at, pillow(np.concatenate([place.honest("a"), opaque], axis=2), "PNG"))


@kind("part", "alpha")
def a_png_with_a_transparent_colour(place: Place, at: Path) -> None:
    beside(place, at, with_chunk(place.png("a"), chunk(b"tRNS", bytes(6))))


@kind("part", "gray")
def a_gray_png(place: Place, at: Path) -> None:
    beside(place, at, encode_png(place.honest("a")[:, :, 0]))


@kind("scored", "bit-depth", score="honest")
def a_png_of_16_bits(place: Place, at: Path) -> None:
    place.put(at)
    (at / "a.png").write_bytes(encode_png(place.honest("a").astype(np.uint16) * 257))


@kind("scored", "range", "bit-depth")
def a_png_of_16_bits_that_holds_8(place: Place, at: Path) -> None:
    beside(place, at, encode_png(place.honest("a").astype(np.uint16)))


@kind("scored", "orientation", score="honest")
def a_png_that_asks_to_be_turned(place: Place, at: Path) -> None:
    place.put(at)
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, 6, 0, 0)
    (at / "a.png").write_bytes(with_chunk(place.png("a"), chunk(b"eXIf", exif)))


@kind("part", "frames")
def an_animation(place: Place, at: Path) -> None:
    beside(place, at, with_chunk(place.png("a"), chunk(b"acTL", struct.pack(">II", 2, 0))))


@kind("part", "colour-space")
def a_jpeg_for_printers(place: Place, at: Path) -> None:
    beside(place, at, pillow(PillowImage.fromarray(place.honest("a")).convert("CMYK"), "JPEG"))


@kind("scored", "lossy")
def a_jpeg(place: Place, at: Path) -> None:
    beside(place, at, pillow(place.honest("a"), "JPEG", quality=95))


@kind("part", "size", says=("20×24",))
def a_png_turned(place: Place, at: Path) -> None:
    beside(place, at, encode_png(np.ascontiguousarray(np.rot90(place.honest("a")))))


@kind("part", "too-large")
def a_png_with_megabytes_behind_its_end(place: Place, at: Path) -> None:
    beside(place, at, place.png("a") + bytes(4 << 20))


@kind("scored", "lossy", "junk", "unexpected-file", "wrapping-folder")
def what_a_mac_makes_of_it(place: Place, at: Path) -> None:
    place.put(at / "My Results")
    (at / "My Results" / "a.png").unlink()
    (at / "My Results" / "a.jpg").write_bytes(pillow(place.honest("a"), "JPEG", quality=95))
    (at / "My Results" / ".DS_Store").write_bytes(b"x")
    (at / "My Results" / "._b.png").write_bytes(b"x")
    (at / "My Results" / "preview.png").write_bytes(place.png("b"))


@kind("part", "duplicate-output")
def two_files_for_one_case(place: Place, at: Path) -> None:
    place.put(at)
    (at / "a.bmp").write_bytes(pillow(place.references["a"], "BMP"))


@kind("part", "missing-output", says=("Is it A.png?",))
def a_name_in_capitals(place: Place, at: Path) -> None:
    beside(place, at, place.png("a"), "A.png")
