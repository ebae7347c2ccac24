"""Data sets in an object store or on a server: copied to the cache once, and read there as any other."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import Pixels
from evaluator.remote import Entry, Missing, Remote, Url, room
from evaluator.tasks.data import cache_folder
from evaluator.tasks.readers.base import alone
from evaluator.tasks.readers.blocks import BlocksReader
from evaluator.tasks.readers.files import FilesReader, globs, matching

FOLDER = "remote"
"""The folder of copies in the cache."""


@dataclass
class Mirror:
    """Copies of the files of a split that a store holds, in a folder of the cache that is whole or not there.

    The folder's name is made of the URL and of what the store says of each file: when one is changed, there is another
    folder. Cheap to pickle: where the copies are not at hand, in another machine's process, they are fetched.
    """

    url: Url
    """The folder that the split's files lie in."""
    patterns: tuple[str, ...]
    """Of its files, below that folder."""
    pinned: bool
    """Whether a manifest says what each file must be."""
    _found: tuple[Entry, ...] = field(default=(), repr=False)

    def folder(self) -> Path:
        """Return the folder of the copies; fetch them if it is not there.

        Raises:
            EvaluatorError: the store cannot be read, or files were changed meanwhile.
        """
        if not self._found:
            self._found = self._listing()
        root = cache_folder() / FOLDER
        place = root / self._key()
        if not place.is_dir():
            root.mkdir(parents=True, exist_ok=True)
            lock = root / f"{place.name}.lock"
            lock.touch()
            with alone(lock, "Another process is fetching the same data set; waiting for it."):
                if not place.is_dir():
                    self._fetch(place)
        return place / "data"

    def _listing(self) -> tuple[Entry, ...]:
        remote = Remote(self.url)
        found = {e.name: e for pattern in self.patterns for e in search(remote, pattern)}
        entries = remote.stat([found[name] for name in sorted(found)])
        mute = [entry.name for entry in entries if not entry.stamp]
        if mute and not self.pinned:
            fix = "Copy the data set to a folder and name that; or list its sha256 in a manifest."
            finding = Finding.error("data-changes", mute[0], "a store that says when a file changes", "neither", fix)
            raise EvaluatorError(f"{self.url} does not say when its files were changed.", [finding])
        return tuple(entries)

    def _key(self) -> str:
        said = [str(self.url), [[entry.name, entry.size, entry.stamp] for entry in self._found]]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def _fetch(self, place: Path) -> None:
        part = place.with_suffix(".part")
        data = part / "data"
        data.mkdir(parents=True, exist_ok=True)
        # What a stopped process left is whole, file by file.
        wanted = {data / entry.name: entry for entry in self._found if not (data / entry.name).exists()}
        room(part, list(wanted.values()), self.url)
        Remote(self.url).copy(wanted)
        if self._listing() != self._found:
            shutil.rmtree(part)
            raise EvaluatorError(f"The data set at {self.url} was changed while it was fetched. Run again.")
        about = {"url": str(self.url), "files": len(self._found), "bytes": sum(e.size or 0 for e in self._found)}
        (part / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        part.rename(place)


class RemoteReader:
    """A reader of copies; they are fetched when anything is asked that only the files tell."""

    def __init__(self, mirror: Mirror, reader: FilesReader | BlocksReader) -> None:
        self.mirror = mirror
        self._reader = reader
        self._fetched = False
        self._digest = ""

    def __getstate__(self) -> dict[str, Any]:
        reader = self._reader
        if isinstance(reader, BlocksReader):
            reader = BlocksReader(reader.spec, reader.folder, reader.manifest)  # another process looks for itself
        return self.__dict__ | {"_reader": reader, "_fetched": False}

    def _here(self) -> FilesReader | BlocksReader:
        if not self._fetched:
            self._reader.folder = self.mirror.folder()
            if self._digest and self._reader.digest() != self._digest:
                raise EvaluatorError(
                    f"The copies of {self.mirror.url} in {self._reader.folder} are not what the run was begun with. "
                    "Remove that folder and run again."
                )
            self._fetched = True
        return self._reader

    @property
    def folder(self) -> Path:
        """The folder of the copies."""
        return self._here().folder

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        return self._here().case_ids()

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """See `Reader`."""
        return self._here().inputs(case_id)

    def reference(self, case_id: str) -> Pixels | None:
        """See `Reader`."""
        return self._here().reference(case_id)

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """See `Reader`."""
        return self._here().mask(case_id)

    def group(self, case_id: str) -> str:
        """See `Reader`."""
        return self._here().group(case_id)

    def digest(self) -> str:
        """See `Reader`."""
        self._digest = self._here().digest()
        return self._digest

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        return self._here().verify()

    def files(self) -> list[str]:
        """See `Reader`."""
        return self._here().files()


def search(remote: Remote, pattern: str) -> list[Entry]:
    """Return the files that a pattern names, as a reader would find them in a folder.

    Only folders that may hold some are listed.

    Raises:
        EvaluatorError: the store cannot be asked.
    """
    found: dict[str, Entry] = {}
    for one in globs(pattern):
        *above, last = one.split("/")
        folders: list[Entry | None] = [None]
        for part in above:
            folders = [e for f in folders for e in _inside(remote, f, part) if e.kind == "folder"]
        found |= {e.name: e for f in folders for e in _inside(remote, f, last) if e.kind == "file"}
    return [found[name] for _, name in matching(found, pattern)]


def _inside(remote: Remote, folder: Entry | None, pattern: str) -> Iterator[Entry]:
    try:
        entries = remote.entries(folder)
    except Missing:
        return
    for entry in entries:
        if entry.kind != "other" and fnmatch.fnmatchcase(entry.name.rpartition("/")[2], pattern):
            yield entry
