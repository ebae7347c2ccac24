"""Where a submission's files come from: a folder or a zip archive, read under limits and never extracted."""

from __future__ import annotations

import os
import stat
import threading
import zipfile
from pathlib import Path
from typing import Any, Protocol

from evaluator.findings import EvaluatorError, Finding

NAME_LIMIT = 255
DEPTH_LIMIT = 8
ENTRY_LIMIT = 200_000
_ENCRYPTED = 0x1
_WINDOWS_SEPARATORS = ("\\", ":")


class TooLarge(Exception):
    """A file holds more bytes than its case can need."""


class Source(Protocol):
    """Files by name. Cheap to pickle; opens nothing until it is read."""

    path: Path

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """Return `{name: size}` of the files, in the archive's order, and what is wrong with the names."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's bytes; raise TooLarge beyond `limit`, OSError if it cannot be read."""
        ...


class FolderSource:
    """A folder of regular files; links are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`."""
        found: dict[str, int] = {}
        findings = []
        for folder, subfolders, files in os.walk(self.path):
            subfolders.sort()
            for file in sorted([*files, *(s for s in subfolders if (Path(folder) / s).is_symlink())]):
                path = Path(folder) / file
                name = path.relative_to(self.path).as_posix()
                if not name.isprintable():
                    shown = name.encode("utf-8", "backslashreplace").decode()
                    what = "a name with bytes or characters that cannot be shown"
                    findings.append(
                        Finding.error("unsafe-name", repr(shown), "a printable UTF-8 name", what, "Rename it.")
                    )
                    continue
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found[name] = status.st_size
                else:
                    what = "a link" if stat.S_ISLNK(status.st_mode) else "a special file"
                    findings.append(
                        Finding.error("not-a-file", name, "a regular file", what, "Put the file itself there.")
                    )
        return found, findings

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        # O_NONBLOCK: a pipe put there since the scan must not hang the run.
        handle = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("it is not a regular file")
            data = file.read(limit + 1)
        if len(data) > limit:
            raise TooLarge
        return data


class ZipSource:
    """A zip archive, read member by member into memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _archive(self) -> zipfile.ZipFile:
        if not hasattr(self._local, "archive"):
            self._local.archive = zipfile.ZipFile(self.path)
        archive: zipfile.ZipFile = self._local.archive
        return archive

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`.

        Raises:
            EvaluatorError: it is no zip archive, or one with too many members.
        """
        try:
            members = self._archive().infolist()
        except Exception as error:  # zipfile raises many kinds of exceptions on damaged directories
            finding = Finding.error("archive", self.path.name, "a zip archive", f"{error}", "Make the archive again.")
            raise EvaluatorError(f"{self.path} cannot be opened.", [finding]) from None
        if len(members) > ENTRY_LIMIT:
            finding = Finding.error(
                "archive", self.path.name, f"at most {ENTRY_LIMIT} files", f"{len(members)}", "Send outputs only."
            )
            raise EvaluatorError(f"{self.path} holds too many files.", [finding])
        found: dict[str, int] = {}
        findings = []
        folded: dict[str, str] = {}
        for member in members:
            name = member.filename
            if name.endswith("/"):
                continue
            problem = _member_problem(member, folded)
            if problem:
                findings.append(problem)
                continue
            folded[name.casefold()] = name
            found[name] = member.file_size
        return found, findings

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        try:
            with self._archive().open(name) as file:
                data = file.read(limit + 1)  # counts what really comes out, whatever the directory claims
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            raise OSError(str(error)) from None
        except Exception as error:  # zlib.error and its like
            raise OSError(f"damaged archive member ({error})") from None
        if len(data) > limit:
            raise TooLarge
        return data


def _member_problem(member: zipfile.ZipInfo, folded: dict[str, str]) -> Finding | None:
    name = member.filename
    parts = name.split("/")
    unsafe = (
        name.startswith("/")
        or any(part in ("", ".", "..") for part in parts)
        or any(s in name for s in _WINDOWS_SEPARATORS)
        or not name.isprintable()
        or len(name.encode("utf-8", "replace")) > NAME_LIMIT
        or len(parts) > DEPTH_LIMIT
    )
    if unsafe:
        return Finding.error(
            "unsafe-name",
            repr(name),
            "a plain relative path with forward slashes",
            "a name with backslashes" if "\\" in name else "a name that could lead outside, or cannot be shown",
            "Make the archive again.",
        )
    mode = member.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        return Finding.error(
            "not-a-file", name, "a regular file", "a link or special file", "Put the file itself there."
        )
    if member.flag_bits & _ENCRYPTED:
        return Finding.error(
            "archive", name, "a file that is not encrypted", "an encrypted one", "Make the archive without a password."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Finding.error(
            "archive", name, "stored or deflated", f"compression type {member.compress_type}", "Use plain zip."
        )
    if name.casefold() in folded:
        twin = folded[name.casefold()]
        return Finding.error(
            "duplicate-name", name, "each name once, whatever its case", f"also {twin}", "Remove one of them."
        )
    return None
