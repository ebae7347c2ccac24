"""A folder, or a single file, as a source."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from evaluator.findings import Finding
from evaluator.ingest.sources.base import read_all


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

    def open(self, name: str) -> BinaryIO:
        """See `LocalSource`."""
        return _open_regular(self.path / name, os.O_NOFOLLOW)

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        with self.open(name) as file:
            return read_all(file, limit)


class FileSource:
    """A single file that the submitter named, as a source of one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`."""
        return {self.path.name: self.path.stat().st_size}, []

    def open(self, name: str) -> BinaryIO:
        """See `LocalSource`."""
        if name != self.path.name:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return _open_regular(self.path, 0)

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        with self.open(name) as file:
            return read_all(file, limit)


def _open_regular(path: Path, flags: int) -> BinaryIO:
    # O_NONBLOCK: a pipe put there since the scan must not hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("it is not a regular file")
    return os.fdopen(handle, "rb")
