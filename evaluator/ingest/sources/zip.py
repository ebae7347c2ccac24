"""A zip archive, read member by member and never extracted; `.npz` files are zip archives too."""

from __future__ import annotations

import stat
import struct
import threading
import zipfile
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from evaluator.findings import Finding
from evaluator.ingest.sources.base import (
    ENTRY_LIMIT,
    NAME_LIMIT,
    Names,
    TooLarge,
    inflated,
    inflates,
    read_all,
    special_file,
    too_many,
    unreadable_archive,
)

_ENCRYPTED, _UTF8 = 0x1, 0x800  # general purpose flags
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_END64_LOCATOR = 20
_DIRECTORY_LIMIT = ENTRY_LIMIT * (46 + NAME_LIMIT + 64)
"""Bytes of a central directory with as many members as are allowed: more is not parsed."""


class ZipSource:
    """A zip archive of stored and deflated files."""

    def __init__(self, path: Path, budget: int | None = None) -> None:
        """Name the archive.

        Args:
            path: the archive.
            budget: bytes that all its files may have together; None means 200 times the archive's own.
        """
        self.path = path
        self._budget = budget
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "budget": self._budget}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _archive(self) -> zipfile.ZipFile:
        if not hasattr(self._local, "archive"):
            _check_directory(self.path)
            self._local.archive = zipfile.ZipFile(self.path)
        archive: zipfile.ZipFile = self._local.archive
        return archive

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`.

        Raises:
            EvaluatorError: it is no zip archive, or one with too many members.
        """
        try:
            archive = self._archive()
        except Exception as error:  # zipfile raises many kinds of exceptions on damaged directories
            raise unreadable_archive(self.path, "a zip archive", error) from None
        members = archive.infolist()
        if len(members) > ENTRY_LIMIT:
            raise too_many(self.path, len(members))
        found: dict[str, int] = {}
        names = Names()
        findings = []
        misplaced = _misplaced(archive)
        for member in members:
            name = member.filename
            if name.endswith("/") and "\0" not in member.orig_filename:
                continue
            problem = _problem(member, names) or misplaced.get(member) or names.take(name)
            if problem:
                findings.append(problem)
            else:
                found[name] = member.file_size
        findings += self._over_budget(found)
        return found, findings

    def _over_budget(self, found: dict[str, int]) -> list[Finding]:
        packed, unpacked = self.path.stat().st_size, sum(found.values())
        over = inflates(packed, unpacked) if self._budget is None else unpacked > self._budget
        if not over:
            return []
        allowed = (
            f"at most {self._budget} bytes" if self._budget is not None else "less than 200 times as much unpacked"
        )
        return [inflated(self.path.name, allowed, f"{unpacked} bytes in an archive of {packed}")]

    def open(self, name: str) -> BinaryIO:
        """See `LocalSource`."""
        try:
            return cast(BinaryIO, _Member(self._archive().open(name)))
        except KeyError as error:
            raise OSError(str(error)) from None
        except OSError:
            raise
        except Exception as error:  # zipfile raises many kinds of exceptions on damaged members
            raise OSError(f"damaged archive member ({error})") from None

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        with self.open(name) as file:
            return read_all(file, limit)


class _Member:
    """A member's stream that raises OSError for whatever is wrong with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except (OSError, TooLarge):
            raise
        except Exception as error:  # zlib.error, BadZipFile, EOFError
            raise OSError(f"damaged archive member ({error})") from None
        return data


def _check_directory(path: Path) -> None:
    """Raise BadZipFile for a central directory so vast that parsing it would take minutes and gigabytes."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size - 2**16 - _END64_LOCATOR - _END64.size))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        return  # zipfile says what is missing
    directory = _END.unpack_from(tail, at)[5]
    at64 = tail.rfind(b"PK\x06\x06", 0, at)
    if at64 >= 0 and at64 + _END64.size <= len(tail):
        directory = max(directory if directory != 2**32 - 1 else 0, _END64.unpack_from(tail, at64)[8])
    if _DIRECTORY_LIMIT < directory <= size:
        raise zipfile.BadZipFile(f"a directory of {directory} bytes")


def _misplaced(archive: zipfile.ZipFile) -> dict[zipfile.ZipInfo, Finding]:
    """Return findings by member: a local header that says something else, or members that share bytes.

    Members that share bytes make a small archive unpack to a vast one; a local header of another name makes two
    programs see two different archives.
    """
    findings: dict[zipfile.ZipInfo, Finding] = {}
    ends: list[tuple[int, int, zipfile.ZipInfo]] = []
    file = archive.fp
    assert file is not None  # noqa: S101 - it was opened for reading and is not closed
    for member in archive.infolist():
        end, problem = _local_end(file, member)
        ends.append((member.header_offset, end, member))
        if problem:
            findings[member] = _damaged(member, "a local header like the directory's entry", problem)
    ends.sort(key=lambda e: e[:2])
    followers = [start for start, _, _ in ends[1:]] + [archive.start_dir]
    for (_, end, member), following in zip(ends, followers, strict=False):
        if end > following and member not in findings:
            findings[member] = _damaged(member, "bytes of its own", "bytes that another member, or the directory, has")
    return findings


def _damaged(member: zipfile.ZipInfo, expected: str, got: str) -> Finding:
    return Finding.error("archive", repr(member.filename), expected, got, "Make the archive again.")


def _local_end(file: IO[bytes], member: zipfile.ZipInfo) -> tuple[int, str]:
    """Return where a member's bytes end, and what is wrong with its local header."""
    start = member.header_offset
    if start < 0:
        return start, "an offset before the file's start"
    file.seek(start)
    data = file.read(_LOCAL.size)
    if len(data) < _LOCAL.size or data[:4] != b"PK\x03\x04":
        return start, "no local header"
    _, _, flags, method, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack(data)
    end = start + _LOCAL.size + name_size + extra_size + member.compress_size
    name = file.read(name_size).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    if name != member.orig_filename:
        return end, f"the name {name!r}"
    if method != member.compress_type or (flags ^ member.flag_bits) & _ENCRYPTED:
        return end, "another compression or encryption"
    if method == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        return end, f"{member.compress_size} stored bytes for a file of {member.file_size}"
    return end, ""


def _problem(member: zipfile.ZipInfo, names: Names) -> Finding | None:
    name = member.filename
    unsafe = names.unsafe(name) or names.unsafe(member.orig_filename)
    if unsafe:
        return unsafe
    mode = member.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        return special_file(name)
    if member.flag_bits & _ENCRYPTED:
        return Finding.error(
            "archive", name, "a file that is not encrypted", "an encrypted one", "Make the archive without a password."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Finding.error(
            "archive", name, "stored or deflated", f"compression type {member.compress_type}", "Use plain zip."
        )
    if inflates(member.compress_size, member.file_size):
        got = f"{member.file_size} bytes from {member.compress_size}"
        return inflated(name, "less than 200 times as much unpacked", got)
    return None
