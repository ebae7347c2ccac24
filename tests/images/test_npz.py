"""A .npz file of one array is an image; headers that lie cost nothing."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.images import ImageProblem, decode, inspect


def npz(save: Any = np.savez, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def problem(data: bytes) -> ImageProblem:
    with pytest.raises(ImageProblem) as caught:
        decode(data)
    return caught.value


def npy_header(text: str, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8", ">u2", ">f4"])
def test_one_array_reads_back(save: Any, dtype: str) -> None:
    array = (np.arange(60).reshape(4, 5, 3) / (60 if "f" in dtype else 1)).astype(dtype)
    for order in (array, np.asfortranarray(array)):
        data = npz(save, im=order)
        assert np.array_equal(decode(data).array, array)
        assert inspect(data).dtype == array.dtype.newbyteorder("=").name


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (npz(), "unreadable"),
        (npz(a=np.zeros((2, 2)), b=np.zeros((2, 2))), "array-count"),
        (npz(a=np.zeros((2, 2), complex)), "pixel-type"),
        (npz(a=np.zeros((2, 2, 3, 1))), "array-shape"),
        (npz(a=np.full((2, 2), np.nan)), "not-finite"),
    ],
    ids=["none", "two", "complex", "rank", "nan"],
)
def test_what_is_no_single_image_is_said_so(data: bytes, code: str) -> None:
    assert problem(data).code == code


def test_pickle_in_npz_is_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "was-here"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    array = np.empty((1, 1, 1), object)
    array[0, 0, 0] = Attack()
    assert problem(npz(a=array)).code == "pixel-type"
    assert not marker.exists()


@pytest.mark.parametrize(
    "shape",
    [
        (200_000, 150_000, 1),
        (2**32, 2**32, 1),  # the product does not fit into 64 bits
        (-1, 4, 3),
        (-4, -4, 3),
        (0, 4, 3),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_header_with_an_impossible_shape_is_refused_before_anything_is_made(
    shape: tuple[int, ...], packed: bool
) -> None:
    data = npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n")
    data += bytes(48 if math.prod(shape) == 48 else 0)
    if packed:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a.npy", data)
        data = stream.getvalue()
    with pytest.raises(ImageProblem) as caught:
        inspect(data)
    assert caught.value.code in ("unreadable", "array-shape")


@pytest.mark.parametrize(
    "header",
    [
        npy_header("{" + " " * 5000 + "}"),
        npy_header("[" * 3000),
        npy_header("-" * 4000 + "1"),
        npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 1900 + ")}"),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x03\x00\xff\xff\xff\x7f{}",
        b"\x93NUMPY\x09\x00\x02\x00{}",
        npy_header("{'descr': ('<f4', (2, 2)), 'fortran_order': False, 'shape': (2, 2)}"),
        npy_header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2, 2)}"),
        npy_header("__import__('os').abort()"),
    ],
)
def test_header_that_is_an_attack_is_refused(header: bytes) -> None:
    assert problem(header).code in ("unreadable", "pixel-type", "array-shape")


def test_array_whose_directory_lies_about_its_size_is_refused() -> None:
    data = bytearray(npz(np.savez_compressed, a=np.zeros((100, 100))))
    at = bytes(data).index(b"PK\x01\x02") + 24
    for claimed in (2**31, 128 + 10):
        data[at : at + 4] = struct.pack("<I", claimed)
        assert problem(bytes(data)).code == "unreadable"
