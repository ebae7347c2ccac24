"""3.3: arrays, and the files that hold them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile.kind import HEIGHT, WIDTH, Class, Place
from numpy.typing import NDArray

from support import put_mat73, save_mat73

arrays = Class()
kind = arrays.kind
SHAPE = (HEIGHT, WIDTH, 3)


def saved(array: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def unit(place: Place, case: str = "a") -> NDArray[np.float64]:
    """An honest output as values from 0 to 1."""
    return place.honest(case) / 255.0


def beside(place: Place, at: Path, data: bytes, name: str = "a.npy") -> None:
    place.put(at, leave_out="a")
    (at / name).write_bytes(data)


def header(text: str) -> bytes:
    """A .npy file with a header of one's own and no values."""
    padded = text.encode() + b" " * (63 - (len(text) + 10) % 64) + b"\n"
    size = struct.pack("<H", len(padded)) if len(padded) < 1 << 16 else struct.pack("<I", len(padded))
    return b"\x93NUMPY" + (b"\1\0" if len(size) == 2 else b"\2\0") + size + padded


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@kind("part", "pixel-type")
def npy_of_pickled_objects(place: Place, at: Path) -> None:
    beside(place, at, saved(np.array([Evil(place.watched / "npy")], object), allow_pickle=True))


@kind("part", "unreadable")
def npy_that_is_a_pickle(place: Place, at: Path) -> None:
    beside(place, at, pickle.dumps(Evil(place.watched / "bare")))


@kind("part", "unreadable")
def mat_that_is_a_pickle(place: Place, at: Path) -> None:
    beside(place, at, pickle.dumps(Evil(place.watched / "mat")), "a.mat")


@kind("part", "pixel-type")
def npz_of_pickled_objects(place: Place, at: Path) -> None:
    out = io.BytesIO()
    np.savez(out, a=np.array([Evil(place.watched / "npz")], object))
    beside(place, at, out.getvalue(), "a.npz")


@kind("part", "unreadable")
def npy_that_claims_224_gigabytes(place: Place, at: Path) -> None:
    beside(place, at, header("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000, 3), }"))


@kind("part", "unreadable")
def npy_of_nine_thousand_brackets(place: Place, at: Path) -> None:
    beside(place, at, header("(" * 9000))


@kind("part", "unreadable")
def npy_with_a_header_of_four_gigabytes(place: Place, at: Path) -> None:
    beside(place, at, b"\x93NUMPY\2\0" + struct.pack("<I", 0xFFFFFFF0) + b"{" * 500)


@kind("part", "unreadable")
def npy_whose_header_is_code(place: Place, at: Path) -> None:
    beside(place, at, header(f"__import__('os').mkdir({str(place.watched / 'header')!r})"))


@kind("part", "array-shape")
def npy_of_impossible_shapes(place: Place, at: Path) -> None:
    at.mkdir()
    (at / "a.npy").write_bytes(header("{'descr': '|u1', 'fortran_order': False, 'shape': (-20, 24, 3), }"))
    (at / "b.npy").write_bytes(
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (1" + "0" * 3000 + ", 0, 3), }")
    )


@kind("part", "not-finite", says=("row 3, column 5",))
def npy_with_nan(place: Place, at: Path) -> None:
    values = unit(place)
    values[3, 5, 1] = np.nan
    beside(place, at, saved(values))


@kind("part", "not-finite")
def npy_with_infinity(place: Place, at: Path) -> None:
    values = unit(place).astype(np.float16)
    values[0, 0, 0] = -np.inf
    beside(place, at, saved(values))


@kind("part", "range", says=("No image holds such values",))
def npy_with_values_as_large_as_can_be(place: Place, at: Path) -> None:
    values = unit(place)
    values[0, 0] = (1.7e308, -1.7e308, 5e-324)
    beside(place, at, saved(values))


@kind("part", "pixel-type")
def npy_of_other_types(place: Place, at: Path) -> None:
    at.mkdir()
    (at / "a.npy").write_bytes(saved(unit(place).astype(np.complex128)))
    (at / "b.npy").write_bytes(saved(place.honest("b").astype("M8[s]")))


@kind("part", "bit-depth")
def npy_of_integers_without_a_peak(place: Place, at: Path) -> None:
    beside(place, at, saved(place.honest("a").astype(np.uint32)))


@kind("part", "size", says=("transpose it",))
def npy_with_channels_first(place: Place, at: Path) -> None:
    beside(place, at, saved(np.ascontiguousarray(unit(place).transpose(2, 0, 1))))


@kind("part", "array-shape")
def npy_of_a_batch(place: Place, at: Path) -> None:
    beside(place, at, saved(unit(place)[None]))


@kind("scored", score="honest")
def npy_in_other_orders(place: Place, at: Path) -> None:
    """Columns first, and the high byte first: unusual, and right."""
    at.mkdir()
    (at / "a.npy").write_bytes(saved(np.asfortranarray(place.honest("a"))))
    (at / "b.npy").write_bytes(saved(unit(place, "b").astype(">f8")))


@kind("part", "unreadable")
def npz_that_unpacks_beyond_its_header(place: Place, at: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", saved(place.honest("a")) + bytes(512 << 20))
    beside(place, at, out.getvalue(), "a.npz")


@kind("part", "unreadable")
def mat_that_unpacks_to_512_megabytes(place: Place, at: Path) -> None:
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    intro = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    beside(place, at, intro + struct.pack("<II", 15, len(packed)) + packed, "a.mat")


def in_hdf5(place: Place, at: Path, build: Callable[[Any], None]) -> None:
    place.put(at, leave_out="a")
    save_mat73(at / "a.mat", build)


def raw_reference(place: Place) -> Path:
    """A reference as bare values, and as HDF5, where only the harness may look."""
    import h5py

    path = place.data / "raw.bin"
    path.write_bytes(np.ascontiguousarray(place.references["a"].T).tobytes())
    with h5py.File(place.data / "raw.h5", "w") as file:
        put_mat73(file, "image", place.references["a"], "uint8")
    return path


@kind("part", "hdf5", says=("another file",))
def hdf5_with_values_in_the_reference(place: Place, at: Path) -> None:
    raw = raw_reference(place)

    def build(file: Any) -> None:
        put_mat73(file, "image", np.zeros(SHAPE, np.uint8), "uint8", external=[(str(raw), 0, int(np.prod(SHAPE)))])

    in_hdf5(place, at, build)


@kind("part", "hdf5", says=("a link",))
def hdf5_with_a_link_to_the_reference(place: Place, at: Path) -> None:
    import h5py

    raw_reference(place)
    in_hdf5(place, at, lambda file: file.__setitem__("image", h5py.ExternalLink(str(place.data / "raw.h5"), "/image")))


@kind("part", "hdf5", says=("virtual",))
def hdf5_with_a_virtual_data_set(place: Place, at: Path) -> None:
    import h5py

    raw_reference(place)

    def build(file: Any) -> None:
        layout = h5py.VirtualLayout(SHAPE[::-1], np.uint8)
        layout[:] = h5py.VirtualSource(str(place.data / "raw.h5"), "image", shape=SHAPE[::-1])
        file.create_virtual_dataset("image", layout).attrs["MATLAB_class"] = np.bytes_("uint8")

    in_hdf5(place, at, build)


@kind("part", "hdf5", says=("a link",))
def hdf5_that_goes_in_circles(place: Place, at: Path) -> None:
    import h5py

    in_hdf5(place, at, lambda file: file.__setitem__("image", h5py.SoftLink("/image")))


@kind("part", "size")
def hdf5_of_a_terabyte(place: Place, at: Path) -> None:
    def build(file: Any) -> None:
        data = file.create_dataset("image", (3, 500_000, 700_000), np.uint8, chunks=(3, 500, 500))
        data.attrs["MATLAB_class"] = np.bytes_("uint8")

    in_hdf5(place, at, build)
