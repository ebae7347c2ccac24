"""Damaged and hostile bytes, whatever they are, end in pixels or in an error that says so: no other exception, no hang.

`EVALUATOR_FUZZ_EXAMPLES=20000 pytest tests/fuzz` looks further than continuous integration does.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import signal
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import ImageProblem, decode, encode_png, inspect
from evaluator.images.png_fast import decode_png
from evaluator.ingest import Expected, Manifest, open_submission, read_output
from evaluator.ingest.sources import TooLarge, open_source
from evaluator.tasks import Protocol
from evaluator.typed_toml import parse_toml
from support import put_mat73, save_mat73

HANG = 30  # seconds that no example needs, on the slowest machine
EXAMPLES = int(os.environ.get("EVALUATOR_FUZZ_EXAMPLES", "1500"))
HEIGHT, WIDTH = 12, 16
LIMIT = 2**22
BLOCKS = [str(n) for n in range(32)]
FINDING = TypeAdapter(Finding)
MANIFEST = b"""
id = "team_x"
team = "Team X"
authors = ["A. Author"]
[links]
paper = "https://example.org"
[outputs]
folder = "results/x"
[reported]
runtime_ratio = 2.5
"""
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    print_blob=False,
    report_multiple_bugs=False,
)
Seeds = dict[str, bytes]


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise AssertionError(f"it took more than {HANG} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def mutations(draw: st.DrawFn, seeds: Seeds) -> tuple[str, bytes]:
    """Draw a seed's name, and its bytes flipped, overwritten, cut, repeated or spliced with another's."""
    name = draw(st.sampled_from(sorted(seeds)))
    data = bytearray(seeds[name])
    for _ in range(draw(st.integers(1, 4))):
        # Most of what can go wrong is near the start or the end, where headers and directories are.
        size = max(1, len(data))
        near = st.integers(0, min(400, size - 1))
        at = draw(st.one_of(near, near.map(lambda n, s=size: s - 1 - n), st.integers(0, size - 1)))
        action = draw(st.sampled_from(("flip", "byte", "number", "cut", "drop", "repeat", "splice")))
        if action == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif action == "byte" and data:
            data[at] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)) | st.integers(0, 255))
        elif action == "number":
            value = draw(st.sampled_from((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)))
            form = draw(st.sampled_from(("<H", ">H", "<I", ">I", "<Q", ">Q")))
            packed = struct.pack(form, value % 2 ** (8 * struct.calcsize(form)))
            data[at : at + len(packed)] = packed
        elif action == "cut":
            del data[at:]
        elif action == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif action == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 600))]
        else:
            other = seeds[draw(st.sampled_from(sorted(seeds)))]
            start = draw(st.integers(0, max(0, len(other) - 1)))
            data[at : at + 64] = other[start : start + 64]
    return name, bytes(data)


def picture(dtype: str = "u1") -> Any:
    values = np.random.default_rng(8).integers(0, 256, (HEIGHT, WIDTH, 3))
    return (values / 255).astype(dtype) if "f" in dtype else values.astype(dtype)


def saved(save: Callable[..., None], *arguments: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *arguments, **options)
    return stream.getvalue()


def pillow(form: str, **options: Any) -> bytes:
    return saved(lambda stream: Image.fromarray(picture()).save(stream, form, **options))


def mat73(folder: Path) -> bytes:
    def build(file: Any) -> None:
        put_mat73(file, "im", picture("f4"), "single", chunks=True, compression="gzip")
        references = np.empty((1, 2), h5py.ref_dtype)
        for number in range(2):
            references[0, number] = put_mat73(file, f"#{number}#", picture(), "uint8").ref
        put_mat73(file, "cell", references, "cell", dtype=h5py.ref_dtype)

    return save_mat73(folder / "seed.mat", build).read_bytes()


@pytest.fixture(scope="module")
def images() -> Seeds:
    array = picture()
    return {
        "png": encode_png(array),
        "png16": encode_png(picture("u2")),
        "palette": saved(lambda s: Image.fromarray(array).quantize().save(s, "PNG", transparency=3)),
        "jpeg": pillow("JPEG", exif=Image.Exif()),
        "progressive": pillow("JPEG", progressive=True),
        "webp": pillow("WEBP"),
        "webp lossless": pillow("WEBP", lossless=True),
        "bmp": pillow("BMP"),
        "tiff": saved(tifffile.imwrite, array, photometric="rgb"),
        "tiff tiles": saved(tifffile.imwrite, array, photometric="rgb", tile=(16, 16), compression="zlib"),
        "tiff planes": saved(tifffile.imwrite, array.transpose(2, 0, 1).copy(), photometric="rgb"),
        "tiff lzw": pillow("TIFF", compression="tiff_lzw"),
        "tiff jpeg": pillow("TIFF", compression="jpeg"),
        "bigtiff": saved(tifffile.imwrite, array, photometric="rgb", bigtiff=True),
    }


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = picture(), picture("f8")
    more = {"im": picture("f4"), "text": "x", "s": {"a": 1}, "c": cell}
    return {
        "npy": saved(np.save, picture()),
        "npy float": saved(np.save, np.asfortranarray(picture("f4"))),
        "npz": saved(np.savez, im=picture()),
        "npz packed": saved(np.savez_compressed, im=picture("f8")),
        "mat": saved(scipy.io.savemat, {"im": picture()}),
        "mat packed": saved(scipy.io.savemat, {"im": picture("f8")}, do_compression=True),
        "mat more": saved(scipy.io.savemat, more),
        "mat 7.3": mat73(tmp_path_factory.mktemp("seed")),
    }


@pytest.fixture(scope="module")
def archives(images: Seeds) -> Seeds:
    files = {"1.png": images["png"], "sub/2.png": images["png16"], "submission.toml": MANIFEST}

    def pack(form: int) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=form) as out:
            for name, data in {**files, "x" * 120: b"1"}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        data = stream.getvalue().rstrip(b"\0")
        return data + bytes(-len(data) % 512 + 1024)

    def zipped(method: int) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as out:
            for name, data in files.items():
                out.writestr(name, data)
        return stream.getvalue()

    return {
        "a.zip": zipped(zipfile.ZIP_STORED),
        "b.zip": zipped(zipfile.ZIP_DEFLATED),
        "c.npz": saved(np.savez, **{"1": picture(), "sub/2": picture("f4")}),
        "d.tar": pack(tarfile.GNU_FORMAT),
        "e.tar": pack(tarfile.PAX_FORMAT),
        "f.tar.gz": gzip.compress(pack(tarfile.GNU_FORMAT)),
        "g.tar.xz": lzma.compress(pack(tarfile.PAX_FORMAT)),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """Files of 32 blocks, small because their blocks are empty."""
    empty = np.zeros((256, 256, 3), np.uint8)
    cell = np.empty((1, 32), object)
    cell[:] = [[empty] * 32]

    def build(file: Any) -> None:
        references = np.empty((1, 32), h5py.ref_dtype)
        references[:] = put_mat73(file, "#a#", empty, "uint8", chunks=True, compression="gzip").ref
        put_mat73(file, "DenoisedBlocksSrgb", references, "cell", dtype=h5py.ref_dtype)

    return {
        "a.mat": saved(scipy.io.savemat, {"DenoisedBlocksSrgb": cell}, do_compression=True),
        "b.mat": save_mat73(tmp_path_factory.mktemp("seed") / "b.mat", build).read_bytes(),
        "c.csv": b"ID,BLOCK\n" + b"".join(b"%d,AAAA\n" % n for n in range(32)),
    }


class _Memory:
    path = Path("memory")

    def __init__(self, data: bytes) -> None:
        self._data = data

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        return {"x": len(self._data)}, []

    def read(self, name: str, limit: int) -> bytes:
        if len(self._data) > limit:
            raise TooLarge
        return self._data


def assert_said(error: EvaluatorError) -> None:
    assert error.findings
    assert all(f.line().isprintable() for f in error.findings)


def read_one(data: bytes) -> None:
    """Read an output as the harness does; it must not raise, and what it gives must be what was expected."""
    with no_hang():
        reading = read_output(_Memory(data), "x", Expected.of(HEIGHT, WIDTH, Protocol()))
    if reading.pixels is None:
        assert reading.findings
    else:
        assert reading.pixels.array.shape == (HEIGHT, WIDTH, 3)
        assert np.isfinite(reading.pixels.array).all()
    for finding in reading.findings:
        assert FINDING.dump_json(finding)


@fuzz
@given(st.data())
def test_images(images: Seeds, data: st.DataObject) -> None:
    read_one(data.draw(mutations(images))[1])


@fuzz
@given(st.data())
def test_png_with_right_checksums(images: Seeds, data: st.DataObject) -> None:
    """Mutate inside of chunks, so that the damage reaches the decoder."""
    body = bytearray(images[data.draw(st.sampled_from(("png", "png16", "palette")))])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(16, len(body) - 13))] = data.draw(st.integers(0, 255))
    at, parts = 8, [bytes(body[:8])]
    while at + 12 <= len(body):
        size, name = struct.unpack_from(">I4s", body, at)
        size = min(size, len(body) - at - 12)
        chunk = name + bytes(body[at + 8 : at + 8 + size])
        parts.append(struct.pack(">I", size) + chunk + struct.pack(">I", zlib.crc32(chunk)))
        at += 12 + size
    damaged = b"".join(parts)
    read_one(damaged)
    with no_hang():
        fast = decode_png(damaged)
    if fast is not None:
        slow = cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_UNCHANGED)
        assert slow is not None, "which decoder is used must not decide what is accepted"
        assert np.array_equal(fast, cv2.cvtColor(slow, cv2.COLOR_BGR2RGB) if slow.ndim == 3 else slow[:, :, None])


@fuzz
@given(st.data())
def test_arrays(arrays: Seeds, data: st.DataObject) -> None:
    name, damaged = data.draw(mutations(arrays))
    read_one(damaged)
    if "mat" in name:
        try:
            with no_hang():
                header = inspect(damaged)
                if header.width * header.height * header.channels < LIMIT:
                    decode(damaged, header)
        except ImageProblem:
            pass


@fuzz
@given(st.data())
def test_archives(archives: Seeds, tmp_path: Path, data: st.DataObject) -> None:
    name, damaged = data.draw(mutations(archives))
    path = tmp_path / name
    path.write_bytes(damaged)
    try:
        with no_hang():
            source = open_source(path)
            for member in source.scan()[0]:
                try:
                    source.read(member, LIMIT)
                except (OSError, TooLarge):
                    continue
            submission = open_submission(path, ["1", "sub/2"])
            assert all(f.line().isprintable() for f in submission.findings)
    except EvaluatorError as error:
        assert_said(error)
    assert {p.name for p in tmp_path.iterdir()} <= set(archives), "nothing is unpacked beside an archive"


@settings(fuzz, max_examples=max(20, EXAMPLES // 5))
@given(st.data())
def test_files_of_all_blocks(whole: Seeds, tmp_path: Path, data: st.DataObject) -> None:
    name, damaged = data.draw(mutations(whole))
    path = tmp_path / name
    path.write_bytes(damaged)
    try:
        with no_hang():
            submission = open_submission(path, BLOCKS)
            for case, file in submission.files.items():
                assert decode(submission.source.read(file, LIMIT)).array.shape == (256, 256, 3), case
    except EvaluatorError as error:
        assert_said(error)


@fuzz
@given(st.data())
def test_manifests(data: st.DataObject) -> None:
    _, damaged = data.draw(mutations({"manifest": MANIFEST, "other": b'[[a]]\nb = [1, {c = 1979-05-27}]\n"' * 3}))
    with no_hang():
        manifest, findings = parse_toml(Manifest, damaged, "submission.toml", "manifest")
    assert (manifest is None) == bool(findings)
    assert all(FINDING.dump_json(f) for f in findings)


def test_the_seeds_themselves_are_read(
    images: Seeds, arrays: Seeds, archives: Seeds, whole: Seeds, tmp_path: Path
) -> None:
    for name, data in {**images, **arrays}.items():
        if name not in ("palette", "mat more", "mat 7.3"):
            assert inspect(data).height == HEIGHT, name
    for name, data in {**archives, **whole}.items():
        (tmp_path / name).write_bytes(data)
        assert open_source(tmp_path / name, BLOCKS if name in whole else ()).scan() is not None, name
