"""A tar archive, plain or compressed by gzip or xz: parsed here, read by offset, never extracted.

Python's tarfile follows links, trusts sizes and has had endless loops on crafted headers; what a submission needs of
the format (regular files with long names) is little. A compressed archive is unpacked once, under a budget, into an
anonymous temporary file: nothing is ever written under a name that a submission chose.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest.sources.base import (
    CHUNK,
    ENTRY_LIMIT,
    Names,
    inflated,
    inflates,
    once,
    read_all,
    scratch_file,
    special_file,
    stamp,
    too_many,
    unreadable_archive,
)

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz")
_BLOCK = 512
_EXTENSION_LIMIT = 2**20  # bytes of a long name or of pax records
_XZ_MEMORY = 2**28  # `xz -9` needs 65 MB
_REGULAR = (b"0", b"\0")  # kinds of members, as the header's type flag names them
_FOLDER, _SPARSE = b"5", b"S"
_EXTENSIONS = _PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = (b"x", b"g", b"L", b"K")


class _Damaged(Exception):
    pass


@dataclass
class _Extended:
    """What extension headers say of the member that follows them."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False

    def take(self, kind: bytes, data: bytes) -> None:
        """Take an extension header's data into account."""
        if kind == _LONG_NAME:
            self.name = _text(data.split(b"\0")[0])
        if kind not in (_PAX, _PAX_GLOBAL):
            return
        records = _pax(data)
        if kind == _PAX_GLOBAL:
            if {"path", "size"} & set(records):
                raise _Damaged("a name or size for all its files at once")
            return
        self.name = records.get("path", self.name)
        self.size = int(records["size"]) if "size" in records else self.size
        self.sparse = self.sparse or any(key.startswith("GNU.sparse") for key in records)


@dataclass
class _Index:
    """An archive's members: name → offset and size in `file`, which has no compression any more."""

    file: BinaryIO
    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class TarSource:
    """A `.tar`, `.tar.gz`, `.tgz` or `.tar.xz` archive of regular files."""

    def __init__(self, path: Path, budget: int | None = None) -> None:
        """Name the archive.

        Args:
            path: the archive; its name tells its compression.
            budget: bytes that it may have unpacked; None means 200 times its own.
        """
        self.path = path
        self._budget = budget
        self._index: _Index | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "budget": self._budget}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _opened(self) -> _Index:
        if self._index is None:
            self._index = _open_archive(self.path, stamp(self.path), self._budget)
        return self._index

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`.

        Raises:
            EvaluatorError: it is no such archive, is cut, has too many members, or unpacks beyond its budget.
        """
        try:
            index = self._opened()
        except OSError as error:
            raise unreadable_archive(self.path, "a tar archive", error.strerror or error) from None
        return {name: size for name, (_, size) in index.members.items()}, list(index.findings)

    def open(self, name: str) -> BinaryIO:
        """See `LocalSource`."""
        try:
            index = self._opened()
            offset, size = index.members[name]
        except EvaluatorError as error:
            raise OSError(str(error)) from None
        except KeyError:
            raise OSError(f"there is no {name} in the archive") from None
        return cast(BinaryIO, io.BufferedReader(_Window(index.file, offset, size)))

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        with self.open(name) as file:
            return read_all(file, limit)


class _Window(io.RawIOBase):
    """A part of a file; several may be read at once."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file  # held, so that it is not closed before this is
        self._at, self._end = offset, offset + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the standard library's Buffer is newer than Python 3.11
        data = os.pread(self._file.fileno(), min(len(buffer), self._end - self._at), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@once
def _open_archive(path: Path, _stamp: object, budget: int | None) -> _Index:
    packed = path.open("rb")
    try:
        if path.name.lower().endswith(".tar"):
            index = _Index(packed)
        else:
            with packed:
                index = _Index(_unpack(packed, path, budget))
        _list(index, path)
    except (_Damaged, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise unreadable_archive(path, "a whole tar archive", error) from None
    return index


def _unpack(packed: BinaryIO, path: Path, budget: int | None) -> BinaryIO:
    """Return the archive without its compression, in a temporary file that has no name.

    Raises:
        EvaluatorError: it unpacks to more than its budget, or than 200 times what was read of it.
    """
    target = scratch_file()
    stream = _xz(packed) if path.name.lower().endswith(".xz") else _gzip(packed)
    total = 0
    for chunk in stream:
        total += len(chunk)
        read = packed.tell()
        over = budget is not None and total > budget
        if over or inflates(read, total):
            limit = f"at most {budget} bytes" if over else "less than 200 times as much"
            finding = inflated(path.name, f"{limit} unpacked", f"more than {total} bytes from {read}")
            raise EvaluatorError(f"{path} unpacks to too much.", [finding])
        target.write(chunk)
    target.flush()
    return target


def _gzip(packed: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=packed) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _xz(packed: BinaryIO) -> Iterator[bytes]:
    """Unpack one xz stream after the other; LZMAFile has no limit on memory."""
    data = packed.read(CHUNK)
    while data:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not decoder.eof:
            if decoder.needs_input and not data and not (data := packed.read(CHUNK)):
                raise EOFError("it ends before its end")
            yield decoder.decompress(data, CHUNK)
            data = b""
        data = (decoder.unused_data or packed.read(CHUNK)).lstrip(b"\0")  # streams may be padded


def _list(index: _Index, path: Path) -> None:
    """Fill an index with an archive's members.

    Raises:
        EvaluatorError: too many members.
        _Damaged: a header that is none, or an end that is missing.
    """
    end = index.file.seek(0, os.SEEK_END)
    names = Names()
    at, count = 0, 0
    extended = _Extended()
    while True:
        header = _read(index.file, at, _BLOCK)
        if header == bytes(_BLOCK):
            return
        kind, size = header[156:157], _number(header[124:136])
        _check_sum(header)
        at += _BLOCK
        count += 1
        if count > ENTRY_LIMIT:
            raise too_many(path, count)
        if kind in _EXTENSIONS:
            if size > _EXTENSION_LIMIT:
                raise _Damaged(f"a name or header of {size} bytes")
            extended.take(kind, _read(index.file, at, size))
            at += size + -size % _BLOCK
            continue
        name = extended.name if extended.name is not None else _name(header)
        size = size if extended.size is None else extended.size
        kind = _SPARSE if extended.sparse else kind
        extended = _Extended()
        if name.endswith("/") and kind in _REGULAR:
            kind = _FOLDER  # as they were before there was a letter for them
        _add(index, names, _plain(name), kind, (at, size))
        # Links and folders have no bytes, whatever their size says.
        at += size + -size % _BLOCK if kind in (*_REGULAR, _SPARSE) else 0
        if at > end:
            raise _Damaged("it ends inside of a file")


def _add(index: _Index, names: Names, name: str, kind: bytes, place: tuple[int, int]) -> None:
    if kind == _FOLDER:
        return
    problem = names.unsafe(name)
    if problem is None and kind == _SPARSE:
        problem = Finding.error("archive", name, "a whole file", "one with holes", "Make the archive without --sparse.")
    elif problem is None and kind not in _REGULAR:
        problem = special_file(name)
    problem = problem or names.take(name)
    if problem:
        index.findings.append(problem)
    else:
        index.members[name] = place


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    data = os.pread(file.fileno(), size, at)
    if len(data) < size:
        raise _Damaged("it ends before its end")
    return data


def _number(data: bytes) -> int:
    """Return a number of a header: octal digits, or GNU's base 256."""
    if data[0] & 0x80:
        if data[0] != 0x80:
            raise _Damaged("a negative size")
        return int.from_bytes(data[1:], "big")
    digits = data.strip(b"\0 ")
    if digits.strip(b"01234567"):
        raise _Damaged("a header whose size is no number")
    return int(digits or b"0", 8)


def _check_sum(header: bytes) -> None:
    blanked = header[:148] + b" " * 8 + header[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blanked)
    if _number(header[148:156]) not in (sum(blanked), signed):
        raise _Damaged("a header with a wrong checksum")


def _text(data: bytes) -> str:
    # What is no UTF-8 is kept visible as what cannot be shown, and so refused by its name.
    return data.decode("utf-8", "surrogateescape")


def _name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    # GNU's own headers have other things where POSIX has the prefix.
    return _text(prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name)


def _plain(name: str) -> str:
    """Return a name without the `./` that `tar c .` puts before each."""
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def _pax(data: bytes) -> dict[str, str]:
    """Return the records of a pax header: `length key=value`, each with a newline."""
    records = {}
    while data:
        length, blank, _ = data[:20].partition(b" ")
        if not blank or not length.isdigit() or not len(length) + 3 <= int(length) <= len(data):
            raise _Damaged("a damaged pax header")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or (key == b"size" and not (value.isdigit() and len(value) < 20)):
            raise _Damaged("a damaged pax header")
        records[_text(key)] = _text(value)
    return records
