"""MATLAB files of one image: read as scipy and MATLAB's own layout say, and never further than their own bytes."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.io.matlab
from numpy.typing import NDArray

from evaluator.images import ImageProblem, decode, inspect, mat
from support import put_mat73, save_mat73

REAL = sorted((Path(scipy.io.matlab.__file__).parent / "tests" / "data").glob("*.mat"))
DTYPES = {"uint8": "u1", "uint16": "u2", "single": "f4", "double": "f8"}
Build = Callable[[Any], None]
Array = NDArray[Any]


def v5(compressed: bool = False, **variables: Any) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def image(dtype: str, shape: tuple[int, ...] = (5, 7, 3)) -> Array:
    random = np.random.default_rng(3)
    return random.random(shape).astype(dtype) if "f" in dtype else random.integers(0, 256, shape).astype(dtype)


def problem(data: bytes) -> ImageProblem:
    with pytest.raises(ImageProblem) as caught:
        decode(data)
    return caught.value


@pytest.fixture
def v73(tmp_path: Path) -> Callable[[Build], bytes]:
    """Return the bytes of a MAT-file of version 7.3."""
    return lambda build: save_mat73(tmp_path / "made.mat", build).read_bytes()


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (1, 1, 3), (4, 9, 1)])
def test_image_of_each_class_reads_back(v73: Any, kind: str, shape: tuple[int, ...]) -> None:
    array = image(DTYPES[kind], shape)
    for data in (
        v5(im=array),
        v5(True, im=array),
        v73(lambda f: put_mat73(f, "im", array, kind)),
        v73(lambda f: put_mat73(f, "im", array, kind, chunks=True, compression="gzip", shuffle=True)),
    ):
        pixels = decode(data)
        assert pixels.array.dtype == array.dtype
        assert np.array_equal(pixels.array, array.reshape(*shape[:2], -1))
        assert pixels.array.flags.c_contiguous
        header = inspect(data)
        assert (header.format, header.height, header.width, header.dtype) == ("MAT", *shape[:2], array.dtype.name)


def test_files_of_other_versions_and_systems_read_as_scipy_reads_them() -> None:
    # Files that MATLAB 5.3 to 7.4 wrote on three systems, one of them big-endian; they lie in scipy's tests.
    if not REAL:
        pytest.skip("this scipy came without its tests")
    compared = 0
    for path in REAL:
        data = path.read_bytes()
        if not data.startswith(b"MATLAB 5.0") or path.name.startswith(("bad_", "corrupted", "malformed")):
            continue
        expected = scipy.io.loadmat(path)
        with mat.open_mat(data) as file:
            for variable in file.variables():
                if variable.name and mat.is_numeric(variable.kind):
                    assert np.array_equal(file.values(variable), expected[variable.name]), path
                    compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", ["bad_miuint32.mat", "corrupted_zlib_checksum.mat", "malformed1.mat"])
def test_files_that_scipy_refuses_are_refused(name: str) -> None:
    path = next((p for p in REAL if p.name == name), None)
    if path is None:
        pytest.skip("this scipy came without its tests")
    assert problem(path.read_bytes()).code == "unreadable"


@pytest.mark.parametrize("name", ["gt", "noisy"])
def test_blocks_that_matlab_wrote_read_as_scipy_reads_them(data_root: Path, name: str) -> None:
    path = data_root / "sidd" / f"{name}.mat"
    expected = scipy.io.loadmat(path)[f"im_{name}"]
    assert np.array_equal(decode(path.read_bytes()).array, expected)


def test_whole_numbers_that_are_stored_small_keep_their_class(v73: Any) -> None:
    # MATLAB stores doubles that are whole numbers as bytes; scipy does not, so the file is made by hand.
    values = bytes(range(12))
    body = struct.pack("<IIIIIIiiHH4sII", 6, 8, 6, 0, 5, 8, 3, 4, 1, 2, b"im", 2, len(values)) + values + bytes(4)
    data = v5(im=np.zeros((1, 1)))[:128] + struct.pack("<II", 14, len(body)) + body
    assert np.array_equal(scipy.io.loadmat(io.BytesIO(data))["im"], decode(data).array[:, :, 0])
    assert decode(data).array.dtype == np.float64


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "array-count"),
        ({"a": image("u1"), "b": image("u1")}, "array-count"),
        ({"a": image("u1"), "psnr": 31.5}, "array-count"),
        ({"a": "text"}, "array-count"),
        ({"a": {"im": image("u1")}}, "array-count"),
        ({"a": image("i2")}, "pixel-type"),
        ({"a": image("u1") > 9}, "pixel-type"),
        ({"a": image("f8") * 1j}, "pixel-type"),
        ({"a": image("u1", (2, 5, 7, 3))}, "array-shape"),
        ({"a": image("u1", (0, 7))}, "array-shape"),
        ({"a": np.full((5, 7, 3), np.nan)}, "not-finite"),
    ],
)
def test_what_is_no_single_image_is_said_so(variables: dict[str, Any], code: str) -> None:
    for compressed in (False, True):
        assert problem(v5(compressed, **variables)).code == code


def test_text_beside_the_image_is_no_second_image() -> None:
    assert np.array_equal(decode(v5(True, a=image("u1"), note="by us", more={"x": 1})).array, image("u1"))


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda f: None, "array-count"),
        (lambda f: [put_mat73(f, n, image("u1"), "uint8") for n in "ab"], "array-count"),
        (lambda f: put_mat73(f, "a", image("i2"), "int16"), "pixel-type"),
        (lambda f: put_mat73(f, "a", image("u1"), "logical"), "pixel-type"),
        (lambda f: put_mat73(f, "a", image("c16"), "double"), "pixel-type"),
        (lambda f: put_mat73(f, "a", image("f4"), "uint8"), "unreadable"),
        (lambda f: put_mat73(f, "a", np.full((5, 7), np.inf), "double"), "not-finite"),
        (lambda f: put_mat73(f, "a", image("u1", (2, 5, 7, 3)), "uint8"), "array-shape"),
        (lambda f: f.create_group("a"), "array-count"),
        (lambda f: f.create_dataset("a", data=h5py.Empty("u1")), "hdf5"),
    ],
    ids=["none", "two", "int16", "logical", "complex", "lie", "infinite", "rank", "struct", "no shape"],
)
def test_what_is_no_single_image_in_hdf5_is_said_so(v73: Any, build: Build, code: str) -> None:
    assert problem(v73(build)).code == code


def external_storage(file: Any, secret: Path) -> None:
    file.create_dataset("im", (3, 7, 5), "u1", external=[(str(secret), 0, 105)])


def external_link(file: Any, secret: Path) -> None:
    file["im"] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "/im")


def virtual(file: Any, secret: Path) -> None:
    layout = h5py.VirtualLayout((3, 7, 5), "u1")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "im", (3, 7, 5))
    file.create_virtual_dataset("im", layout)


def soft_link(file: Any, secret: Path) -> None:
    file["#hidden#"] = np.transpose(np.frombuffer(secret.read_bytes(), "u1").reshape(5, 7, 3))
    file["im"] = h5py.SoftLink("/#hidden#")


@pytest.mark.parametrize("build", [external_storage, external_link, virtual, soft_link])
def test_pixels_from_elsewhere_are_refused(tmp_path: Path, build: Callable[[Any, Path], None]) -> None:
    secret = tmp_path / "reference.bin"
    secret.write_bytes(image("u1").tobytes())
    with h5py.File(tmp_path / "reference.h5", "w") as other:
        other["im"] = np.transpose(image("u1"))
    path = save_mat73(tmp_path / "x.mat", lambda f: build(f, secret))
    with h5py.File(path) as plain:
        assert sorted(plain["im"][()].flat) == sorted(image("u1").flat), "a plain reader gets the other file's values"
    assert problem(path.read_bytes()).code == "hdf5"


def test_filters_of_plug_ins_are_refused(v73: Any) -> None:
    def build(file: Any) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((3, 7, 5))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((3, 7, 5))
        h5py.h5d.create(file.id, b"im", h5py.h5t.STD_U8LE, space, properties)

    found = problem(v73(build))
    assert (found.code, "filter 32015" in found.got) == ("hdf5", True)


def test_chunks_far_larger_than_the_image_are_refused(v73: Any) -> None:
    def build(file: Any) -> None:
        file.create_dataset("im", (3, 7, 5), "u1", maxshape=(None, None, None), chunks=(3, 7000, 5000), compression=9)

    assert problem(v73(build)).code == "hdf5"


def test_reader_that_is_not_installed_is_named(v73: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = v73(lambda f: put_mat73(f, "im", image("u1"), "uint8"))
    monkeypatch.setitem(sys.modules, "h5py", None)
    found = problem(data)
    assert found.code == "missing-reader"
    assert "pip install 'restoration-evaluator[hdf5]'" in found.fix
    assert decode(v5(im=image("u1"))).array.shape == (5, 7, 3), "older files need no more than is there"


def test_mat_file_that_is_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "was-here"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    for head in (b"", b"MATLAB 5.0 MAT-file".ljust(126) + b"IM", b"MATLAB 7.3 MAT-file".ljust(512)):
        assert problem(head + pickle.dumps(Attack())).code == "unreadable"
    assert not marker.exists()


def test_header_that_claims_224_gib_costs_nothing() -> None:
    honest = v5(im=image("f8", (4, 4)))
    at = honest.index(struct.pack("<ii", 4, 4))
    claims = honest[:at] + struct.pack("<ii", 150_000, 200_000) + honest[at + 8 :]
    packed = zlib.compress(claims[128:])
    for data in (claims, claims[:128] + struct.pack("<II", 15, len(packed)) + packed):
        assert inspect(data).height == 150_000, "so that the size that a case must have refuses it first"
        assert "bytes of values where its shape needs" in problem(data).got


def test_bomb_in_a_compressed_variable_is_not_unpacked() -> None:
    body = v5(im=image("u1", (4, 4)))[128:]
    vast = bytearray(body)
    at = body.index(struct.pack("<II", 2, 16))
    vast[at : at + 8] = struct.pack("<II", 2, 2**29)
    long = body + bytes(2**25)
    for values, got in ((bytes(vast), "where its shape needs 16"), (long, "do not end where they should")):
        packed = zlib.compress(values)
        assert got in problem(v5()[:128] + struct.pack("<II", 15, len(packed)) + packed).got


def test_file_that_is_cut_anywhere_is_refused(v73: Any) -> None:
    for data in (v5(im=image("u1")), v5(True, im=image("u1"))):
        for length in range(len(data)):
            assert problem(data[:length]).code in ("unreadable", "array-count"), length
    data = v73(lambda f: put_mat73(f, "im", image("u1"), "uint8"))
    for length in range(0, len(data), 97):
        assert problem(data[:length]).code == "unreadable", length


def test_any_flipped_byte_of_compressed_values_is_found() -> None:
    data, refused = v5(True, im=image("u1")), 0
    for at in range(136, len(data)):
        try:
            # A bit that fills up the last byte means nothing.
            assert np.array_equal(decode(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]).array, image("u1")), at
        except ImageProblem:
            refused += 1
    assert refused >= len(data) - 137
