"""3.1: archives, and folders with what is no plain file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import socket
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile.kind import CASES, Class, Place

archives = Class()
kind = archives.kind
REFUSED = "rejected"


def zipped(path: Path, place: Place, *extra: tuple[str | zipfile.ZipInfo, bytes]) -> None:
    """A zip archive of honest outputs and more."""
    with zipfile.ZipFile(path, "w") as out:
        for case in CASES:
            out.writestr(f"{case}.png", place.png(case))
        for name, data in extra:
            out.writestr(name, data)


def tarred(path: Path, place: Place, *extra: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> None:
    """A tar archive of honest outputs and more."""
    with tarfile.open(path, mode) as out:
        for case in CASES:
            out.addfile(*member(f"{case}.png", place.png(case)))
        for info, data in extra:
            out.addfile(info, io.BytesIO(data))


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, io.BytesIO(data)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    return member(name, data, kind, link)[0], data


# --- names -----------------------------------------------------------------------------------------------------------
@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_slip(place: Place, at: Path) -> None:
    zipped(at, place, ("../../watched/slipped.txt", b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_absolute(place: Place, at: Path) -> None:
    zipped(at, place, (zipfile.ZipInfo(str(place.watched / "absolute.txt")), b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip", says=("backslash",))
def zip_backslash(place: Place, at: Path) -> None:
    zipped(at, place, (zipfile.ZipInfo("..\\..\\watched\\x.txt"), b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_drive(place: Place, at: Path) -> None:
    zipped(at, place, ("C:x.txt", b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_steering_names(place: Place, at: Path) -> None:
    zipped(
        at, place, ("\x1b[2J\x1b]0;owned\x07.png", b"x"), ("line\nerror [size] honest.png", b"x"), ("\u202egnp.b", b"x")
    )


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_long_name(place: Place, at: Path) -> None:
    zipped(at, place, ("x" * 10_000 + ".png", b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_deep_name(place: Place, at: Path) -> None:
    zipped(at, place, ("d/" * 3000 + "x.png", b"x"))


@kind(REFUSED, "unsafe-name", suffix=".zip")
def zip_name_with_nul(place: Place, at: Path) -> None:
    zipped(at, place, ("cXpng", b"x"))
    at.write_bytes(at.read_bytes().replace(b"cXpng", b"c\0png"))


@kind(REFUSED, "duplicate-name", suffix=".zip")
def zip_twins_by_case(place: Place, at: Path) -> None:
    zipped(at, place, ("A.PNG", place.png("b")))


@kind(REFUSED, "duplicate-name", suffix=".zip")
def zip_twins_by_form(place: Place, at: Path) -> None:
    zipped(at, place, ("caf\u00e9.txt", b"1"), ("cafe\u0301.txt", b"2"))


@kind(REFUSED, "duplicate-name", suffix=".zip")
def zip_the_same_name_twice(place: Place, at: Path) -> None:
    zipped(at, place)
    with zipfile.ZipFile(at, "a") as out, pytest.warns(UserWarning, match="Duplicate"):
        out.writestr("a.png", place.reference().read_bytes())


@kind(REFUSED, "unsafe-name", suffix=".tar")
def tar_slip(place: Place, at: Path) -> None:
    tarred(at, place, entry("../../watched/slipped.txt", data=b"x"))


@kind(REFUSED, "unsafe-name", suffix=".tar.gz")
def tar_absolute(place: Place, at: Path) -> None:
    tarred(at, place, entry(str(place.watched / "absolute.txt"), data=b"x"), mode="w:gz")


@kind(REFUSED, "unsafe-name", suffix=".tar")
def tar_path_by_extension(place: Place, at: Path) -> None:
    info, data = entry("innocent.txt", data=b"x")
    info.pax_headers = {"path": "../../watched/extended.txt"}
    tarred(at, place, (info, data))


# --- what is no file -------------------------------------------------------------------------------------------------
@kind(REFUSED, "not-a-file", suffix=".zip")
def zip_link_to_the_reference(place: Place, at: Path) -> None:
    info = zipfile.ZipInfo("c.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    zipped(at, place, (info, str(place.reference()).encode()))


@kind(REFUSED, "not-a-file", suffix=".tar")
def tar_link_to_the_reference(place: Place, at: Path) -> None:
    with tarfile.open(at, "w") as out:
        for case in CASES:
            out.addfile(entry(f"{case}.png", tarfile.SYMTYPE, str(place.reference(case)))[0])


@kind(REFUSED, "not-a-file", suffix=".tar")
def tar_hard_link_to_the_reference(place: Place, at: Path) -> None:
    with tarfile.open(at, "w") as out:
        for case in CASES:
            out.addfile(entry(f"{case}.png", tarfile.LNKTYPE, str(place.reference(case)))[0])


@kind(REFUSED, "not-a-file", suffix=".tar")
def tar_links_longer_than_a_path(place: Place, at: Path) -> None:
    """CVE-2025-4517: links whose resolved path is longer than the system resolves."""
    steps = []
    path = ""
    for letter in "abcdefghijklmnop":
        folder = "d" * 247
        steps += [entry(path + folder, tarfile.DIRTYPE), entry(path + letter, tarfile.SYMTYPE, folder)]
        path += folder + "/"
    short = "/".join("abcdefghijklmnop")
    escape = "escape"
    steps += [
        entry(short + "/" + "l" * 254, tarfile.SYMTYPE, "../" * 16),
        entry(escape, tarfile.SYMTYPE, short + "/" + "l" * 254 + "/../../watched"),
        entry(escape + "/canary.txt", data=b"x"),
    ]
    tarred(at, place, *steps)


@kind(REFUSED, "not-a-file", suffix=".tar")
def tar_devices(place: Place, at: Path) -> None:
    tarred(at, place, entry("fifo.png", tarfile.FIFOTYPE), entry("null.png", tarfile.CHRTYPE))


@kind(REFUSED, "archive", suffix=".tar")
def tar_with_holes(place: Place, at: Path) -> None:
    """A sparse member that claims 16 GiB."""
    tarred(at, place)
    info = tarfile.TarInfo("c.png")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"\x80\0\0\0" + struct.pack(">Q", 16 << 30)
    at.write_bytes(summed(header) + at.read_bytes())


def summed(header: bytearray) -> bytes:
    """Give a header of a tar archive its checksum."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@kind(REFUSED, "not-a-file", says=("a link",))
def folder_with_links_to_the_references(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        (at / f"{case}.png").symlink_to(place.reference(case))


@kind(REFUSED, "not-a-file", says=("a link",))
def folder_that_links_to_the_folder_of_references(place: Place, at: Path) -> None:
    at.mkdir()
    (at / "outputs").symlink_to(place.reference().parent)
    (at / "submission.toml").write_text('[outputs]\nfolder = "outputs"\n')


@kind(REFUSED, "not-a-file", says=("second name",))
def folder_with_hard_links_to_the_references(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        os.link(place.reference(case), at / f"{case}.png")


@kind(REFUSED, "not-a-file", says=("a special file",))
def folder_with_a_pipe_and_a_socket(place: Place, at: Path) -> None:
    place.put(at, leave_out="a")
    os.mkfifo(at / "a.png")
    here = Path.cwd()
    os.chdir(at)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("b.sock")
    finally:
        os.chdir(here)


@kind(REFUSED, "unsafe-name")
def folder_with_names_that_steer(place: Place, at: Path) -> None:
    place.put(at)
    for name in (b"\x1b[2J.png", b"two\nlines.png", "\u202egnp.b".encode(), b"\xff\xfe.png", b"\xed\xa0\x80.png"):
        Path(os.fsdecode(bytes(at) + b"/" + name)).write_bytes(b"x")


@kind(REFUSED, "unsafe-name", says=("deep",))
def folder_without_a_bottom(place: Place, at: Path) -> None:
    place.put(at)
    here = os.open(at, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@kind(REFUSED, "kind")
def a_pipe_as_a_submission(place: Place, at: Path) -> None:
    os.mkfifo(at)


# --- bombs -----------------------------------------------------------------------------------------------------------
def deflated(size: int) -> bytes:
    """Zeros, deflated, without a header."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


@kind(REFUSED, "archive-bomb", suffix=".zip")
def zip_bomb(place: Place, at: Path) -> None:
    zipped(at, place)
    with zipfile.ZipFile(at, "a", zipfile.ZIP_DEFLATED) as out:
        out.writestr("c.png", bytes(256 << 20))


@kind(REFUSED, "archive", suffix=".zip", says=("another member",))
def zip_whose_members_share_bytes(place: Place, at: Path) -> None:
    """A thousand names for the same bytes (CVE-2024-0450)."""
    data = place.png("a")
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), 5, 0) + b"a.png"
    )
    directory = b""
    for number in range(1000):
        name = b"a.png" if number == 0 else b"x%03d.png" % number
        sizes = (zlib.crc32(data), len(data), len(data), len(name), 0, 0, 0, 0, 0, 0)
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, *sizes) + name
    start = len(local) + len(data)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, len(directory), start, 0)
    at.write_bytes(local + data + directory + end)


@kind("part", "unreadable", suffix=".zip")
def zip_that_lies_about_sizes(place: Place, at: Path) -> None:
    """Its directory says 100 bytes where a megabyte comes out."""
    packed = deflated(1 << 20)
    zipped(at, place)
    with zipfile.ZipFile(at, "w") as out:
        out.writestr("b.png", place.png("b"))
    honest = at.read_bytes()
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, 1, len(packed), 100, 5, 0) + b"a.png" + packed
    middle = honest.find(b"PK\1\2")
    offset = middle
    record = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, 1, len(packed), 100, 5, 0, 0, 0, 0, 0, offset)
    old = honest[middle : honest.find(b"PK\5\6")]
    directory = old + record + b"a.png"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(directory), middle + len(head), 0)
    at.write_bytes(honest[:middle] + head + directory + end)


@kind(REFUSED, "archive", suffix=".zip")
def zip_with_two_truths(place: Place, at: Path) -> None:
    """The local header names another file than the directory."""
    zipped(at, place)
    at.write_bytes(at.read_bytes().replace(b"a.png", b"z.png", 1))


@kind(REFUSED, "archive-bomb", suffix=".tar.gz")
def gzip_bomb(place: Place, at: Path) -> None:
    with gzip.open(at, "wb", compresslevel=6) as out:
        info = tarfile.TarInfo("a.png")
        info.size = 300 << 20
        out.write(info.tobuf())
        for _ in range(300):
            out.write(bytes(1 << 20))


@kind(REFUSED, "archive-bomb", suffix=".tar.xz")
def xz_bomb(place: Place, at: Path) -> None:
    info = tarfile.TarInfo("a.png")
    info.size = 300 << 20
    at.write_bytes(lzma.compress(info.tobuf() + bytes(100 << 20), preset=0))


@kind(REFUSED, "archive-bomb", suffix=".npz")
def npz_bomb(place: Place, at: Path) -> None:
    with zipfile.ZipFile(at, "w", zipfile.ZIP_DEFLATED) as out:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 25,)})
        out.writestr("a.npy", head.getvalue() + bytes(1 << 28))


@kind(REFUSED, "no-outputs", suffix=".zip")
def zip_in_a_zip(place: Place, at: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as out:
        out.writestr("a.png", place.png("a"))
    with zipfile.ZipFile(at, "w") as out:
        out.writestr("outputs.zip", inner.getvalue())


# --- damaged, or something else --------------------------------------------------------------------------------------
@kind(REFUSED, "archive", suffix=".zip")
def zip_cut_short(place: Place, at: Path) -> None:
    zipped(at, place)
    at.write_bytes(at.read_bytes()[:-30])


@kind("part", "unreadable", suffix=".zip")
def zip_with_a_damaged_member(place: Place, at: Path) -> None:
    zipped(at, place)
    data = bytearray(at.read_bytes())
    data[60] ^= 0xFF
    at.write_bytes(data)


@kind(REFUSED, "archive", suffix=".zip", says=("encrypted",))
def zip_with_a_password(place: Place, at: Path) -> None:
    zipped(at, place)
    data = bytearray(at.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    at.write_bytes(data)


@kind(REFUSED, "archive", suffix=".zip", says=("compression type 12",))
def zip_packed_with_bzip2(place: Place, at: Path) -> None:
    zipped(at, place)
    with zipfile.ZipFile(at, "a", zipfile.ZIP_BZIP2) as out:
        out.writestr("c.png", bytes(64 << 20))


@kind(REFUSED, "archive", suffix=".tar.gz")
def tar_that_is_a_pickle(place: Place, at: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(place.watched / "unpickled"),)

    at.write_bytes(pickle.dumps(Evil()))


@kind(REFUSED, "archive", suffix=".tar")
def tar_cut_short(place: Place, at: Path) -> None:
    tarred(at, place)
    at.write_bytes(at.read_bytes()[:1500])


@kind(REFUSED, "archive", suffix=".tar")
def tar_with_a_negative_size(place: Place, at: Path) -> None:
    """Readers that trust it go round and round."""
    info = tarfile.TarInfo("a.png")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    at.write_bytes(summed(header) + bytes(1024))


@kind(REFUSED, "kind", suffix=".rar")
def an_unknown_archive(place: Place, at: Path) -> None:
    at.write_bytes(b"Rar!\x1a\x07\x00" + bz2.compress(b"x"))


@kind(REFUSED, "archive", suffix=".zip")
def an_empty_file_as_an_archive(place: Place, at: Path) -> None:
    at.write_bytes(b"")


@kind(REFUSED, "duplicate-name", suffix=".zip")
def zip_whose_file_is_a_folder_too(place: Place, at: Path) -> None:
    """One name is a file and the folder of another: it cannot be written out."""
    with zipfile.ZipFile(at, "w") as out:
        out.writestr("submission.toml", 'kind = "python"\n[python]\nentry = "net:restore"\n')
        out.writestr("net.py", "def restore(image): return image\n")
        out.writestr("net", b"x")
        out.writestr("net/__init__.py", b"x")
