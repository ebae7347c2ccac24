"""What all sources share: the interface, the limits, the check of names."""

from __future__ import annotations

import tempfile
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar, cast

from evaluator.findings import EvaluatorError, Finding

if TYPE_CHECKING:
    from evaluator.remote import Url

NAME_LIMIT = 255
DEPTH_LIMIT = 8
ENTRY_LIMIT = 200_000
RATIO_LIMIT = 200
"""Times its own size that a file, or a whole archive, may unpack to, beyond RATIO_FREE bytes."""
RATIO_FREE = 2**20
CHUNK = 2**20
_WINDOWS_SEPARATORS = ("\\", ":")
_KEPT = 32
_PIECE = 2**26

T = TypeVar("T")


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


class LocalSource(Source, Protocol):
    """A source whose files can also be read as streams."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; raise OSError if it cannot be."""
        ...


class Names:
    """Checks the names of an archive's members, one after the other."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def unsafe(self, name: str) -> Finding | None:
        """Return what is wrong with a name by itself."""
        parts = name.split("/")
        unsafe = (
            name.startswith("/")
            or any(part in ("", ".", "..") for part in parts)
            or any(s in name for s in _WINDOWS_SEPARATORS)
            or not name.isprintable()
            or len(name.encode("utf-8", "replace")) > NAME_LIMIT
            or len(parts) > DEPTH_LIMIT
        )
        if not unsafe:
            return None
        return Finding.error(
            "unsafe-name",
            repr(name.encode("utf-8", "backslashreplace").decode()[: 4 * NAME_LIMIT]),
            "a plain relative path with forward slashes",
            "a name with backslashes" if "\\" in name else "a name that could lead outside, or cannot be shown",
            "Make the archive again.",
        )

    def take(self, name: str) -> Finding | None:
        """Note a name as taken; return what is wrong if another has it already, on some system."""
        # Case and Unicode's two ways to write é: both make one file of two on some systems.
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        parts = key.split("/")
        folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
        twin = self._taken.get(key) or self._folders.get(key)
        twin = twin or next((self._taken[folder] for folder in folders if folder in self._taken), None)
        if twin is None:
            self._taken[key] = name
            self._folders.update(dict.fromkeys(folders, name))
            return None
        return Finding.error(
            "duplicate-name", name, "each name once, whatever its case", f"also {twin}", "Remove one of them."
        )


def unprintable(name: str) -> Finding:
    """Return the finding for a name in a file system that no terminal and no page may show as it is."""
    shown = repr(name.encode("utf-8", "backslashreplace").decode())
    what = "a name with bytes or characters that cannot be shown"
    return Finding.error("unsafe-name", shown, "a printable UTF-8 name", what, "Rename it.")


def special_file(name: str) -> Finding:
    """Return the finding for a member that is a link, a device or a pipe."""
    return Finding.error("not-a-file", name, "a regular file", "a link or special file", "Put the file itself there.")


def inflated(file: str, expected: str, got: str) -> Finding:
    """Return the finding for what unpacks to far more than it weighs, or than its budget."""
    return Finding.error("archive-bomb", file, expected, got, "Send outputs only, as PNG files.")


def inflates(packed: int, unpacked: int) -> bool:
    """Tell whether something unpacks to more than an honest file does."""
    return unpacked > RATIO_FREE and unpacked > RATIO_LIMIT * packed


def unreadable_archive(path: Path, kind: str, why: object) -> EvaluatorError:
    """Return the error for an archive that cannot be opened."""
    finding = Finding.error("archive", path.name, kind, f"{why}", "Make the archive again.")
    return EvaluatorError(f"{path} cannot be opened.", [finding])


def too_many(path: Path | Url, count: int) -> EvaluatorError:
    """Return the error for an archive with too many members."""
    finding = Finding.error("archive", path.name, f"at most {ENTRY_LIMIT} files", f"{count}", "Send outputs only.")
    return EvaluatorError(f"{path} holds too many files.", [finding])


def read_all(file: BinaryIO, limit: int) -> bytes:
    """Return all bytes of a stream; raise TooLarge beyond `limit`, whatever a directory claims of its size."""
    # By pieces: memory for all that the limit allows may not be to be had.
    pieces, left = [], limit + 1
    while piece := file.read(min(left, _PIECE)):
        pieces.append(piece)
        left -= len(piece)
    if left <= 0:
        raise TooLarge
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def scratch_file() -> BinaryIO:
    """Return a new file for what is unpacked. It has no name: nobody else finds it, and nothing is left of it."""
    return cast(BinaryIO, tempfile.TemporaryFile(prefix="evaluator-"))


def stamp(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from what it was before; raise OSError where there is none."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def once(make: Callable[..., T]) -> Callable[..., T]:
    """Make the results of an expensive opening once a process, whichever thread or copy of a source asks first."""
    kept = lru_cache(maxsize=_KEPT)(make)
    lock = threading.Lock()

    def call(*arguments: object) -> T:
        with lock:
            return kept(*arguments)

    return call
