"""A folder, or a single file, as a source."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from evaluator.findings import Finding
from evaluator.ingest.sources.base import DEPTH_LIMIT, read_all, unprintable


class FolderSource:
    """A folder of regular files; links are not followed, and what has a second name elsewhere is not read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`."""
        found: dict[str, int] = {}
        findings: list[Finding] = []
        from evaluator.ingest.baselines import is_baseline  # loads what manifests are read with: not for workers

        # Installers link the files of packages, and so of baselines, to copies of their own.
        linked = is_baseline(self.path)
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(self.path / folder), key=lambda e: e.name)
            except OSError as error:
                expected, got = "a readable folder", error.strerror or str(error)
                findings.append(Finding.error("unreadable", folder or ".", expected, got, "Give leave to read it."))
                continue
            below = []
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                problem = _bad_name(name) or _no_file(entry, name, linked=linked)
                if problem:
                    findings.append(problem)
                elif entry.is_dir(follow_symlinks=False):
                    below.append(name)
                else:
                    found[name] = entry.stat(follow_symlinks=False).st_size
            folders += reversed(below)
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


def _bad_name(name: str) -> Finding | None:
    if name.count("/") >= DEPTH_LIMIT:
        expected, got = f"files at most {DEPTH_LIMIT} levels deep", "deeper ones"
        return Finding.error("unsafe-name", name, expected, got, "Leave out what is not needed.")
    return None if name.isprintable() else unprintable(name)


def _no_file(entry: os.DirEntry[str], name: str, *, linked: bool) -> Finding | None:
    """Return what is wrong with an entry that is neither a folder nor a regular file with one name."""
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and (status.st_nlink == 1 or linked)):
        return None
    what = "a file with a second name (hard link)" if stat.S_ISREG(status.st_mode) else "a special file"
    what = "a link" if stat.S_ISLNK(status.st_mode) else what
    return Finding.error("not-a-file", name, "a regular file", what, "Put the file itself there.")


def _open_regular(path: Path, flags: int) -> BinaryIO:
    # O_NONBLOCK: a pipe put there since the scan must not hang the run.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("it is not a regular file")
    return os.fdopen(handle, "rb")
