"""Look at a model's files, and into the zip archives that some of them are, before a framework does."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from evaluator.runners.models.problem import ModelProblem

_TOTAL = 4 * 2**30
_TEXT = 64 * 2**20


class ModelArchive:
    """A zip archive read with limits. Its names are without doubles, so that every reader sees the same members."""

    def __init__(self, path: Path, what: str) -> None:
        """Open it and list its members.

        Raises:
            ModelProblem: it is no zip archive, is encrypted, holds a name twice, or unpacks to several gigabytes.
        """
        try:
            self._zip = zipfile.ZipFile(path)
            members = self._zip.infolist()
        except Exception as error:  # zipfile raises many kinds of exceptions on damaged directories
            raise ModelProblem(
                "model-format",
                expected=f"{what} (a zip archive)",
                got=f"{path.name}, which is none ({type(error).__name__})",
                fix="Export it again, or correct format in [artefacts].",
            ) from None
        self.names = [m.filename for m in members]
        if len(set(self.names)) < len(self.names) or any(m.flag_bits & 1 for m in members):
            raise unsafe("an archive that names each member once, none encrypted", path.name)
        if sum(m.file_size for m in members) > _TOTAL:
            raise unsafe(f"an archive that unpacks to at most {_TOTAL >> 30} GiB", path.name)

    def read(self, name: str, limit: int = _TEXT) -> bytes:
        """Return a member's bytes.

        Raises:
            ModelProblem: there are more than `limit`, or they are damaged.
        """
        try:
            with self._zip.open(name) as file:
                data = file.read(limit + 1)  # counts what really comes out, whatever the directory claims
        except Exception as error:
            raise ModelProblem(
                "model-load", expected="an undamaged archive", got=f"{type(error).__name__}", fix="Export it again."
            ) from None
        if len(data) > limit:
            raise unsafe(f"a member of at most {limit} bytes", "a larger one")
        return data


def unsafe(expected: str, got: str, fix: str = "Export the network alone, without custom parts.") -> ModelProblem:
    """Return the problem of a file that could do more than compute."""
    return ModelProblem("model-unsafe", expected=expected, got=got, fix=fix)


def checked_file(folder: Path, name: str, table: str = "[network]") -> Path:
    """Return the path of a submission's file, to which no link leads.

    Args:
        folder: the submission's.
        name: the file's, or folder's, name inside, as the manifest has it.
        table: the manifest's table that names it, for messages.

    Raises:
        ModelProblem: there is none, or it is a link.
    """
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            check_plain(path)
    if not path.exists():
        raise ModelProblem(
            "model-missing",
            expected=f"{name}, which the manifest names",
            got="no such file",
            fix=f"Add it, or correct it in {table}.",
        )
    return path


def check_plain(file: Path) -> None:
    """Check that a path is a folder, or a regular file that has no other name on the disk.

    Raises:
        ModelProblem: it is a link, is linked to, or is no regular file.
    """
    status = file.lstat()
    if stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            raise _no_file(file, "a file with a second name (hard link)")
    elif not stat.S_ISDIR(status.st_mode):
        raise _no_file(file, "a link" if stat.S_ISLNK(status.st_mode) else "a special file")


def _no_file(file: Path, got: str) -> ModelProblem:
    return ModelProblem(
        "not-a-file", expected=f"{file.name} to be a regular file", got=got, fix="Put the file itself there."
    )
