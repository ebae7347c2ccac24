"""Which source a path is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest.sources import blocks, tar
from evaluator.ingest.sources.base import LocalSource, Source
from evaluator.ingest.sources.blocks import BlocksSource
from evaluator.ingest.sources.folder import FileSource, FolderSource
from evaluator.ingest.sources.tar import TarSource
from evaluator.ingest.sources.zip import ZipSource

_ZIP = (".zip", ".npz")
ARCHIVE_SUFFIXES = (*tar.SUFFIXES, *_ZIP)
BLOCKS_SUFFIXES = (".mat", ".csv")


def open_source(path: Path, case_ids: Sequence[str] = (), *, budget: int | None = None) -> Source:
    """Return the source for a folder, an archive, or a file of all outputs; nothing is read yet.

    Args:
        path: a folder; a `.zip`, `.tar`, `.tar.gz`, `.tgz` or `.tar.xz` archive; a `.npz` file with one array a case;
            for SIDD's blocks, also `SubmitSrgb.mat` or `SubmitSrgb.csv`, or a folder or archive that holds one.
        case_ids: the ids of the split's cases, in order: they tell whether its cases are SIDD's blocks.
        budget: bytes that an archive may have unpacked; None means 200 times its own.

    Raises:
        EvaluatorError: it is none of these.
    """
    known = blocks.are_blocks(case_ids)
    base = _base(path, known, budget)
    if base is None:
        got = "no such file" if not path.exists() else f"a {path.suffix or 'file without suffix'}"
        expected = f"a folder, or a file {', '.join(ARCHIVE_SUFFIXES)}{'; SubmitSrgb.mat or .csv' if known else ''}"
        finding = Finding.error("kind", path.name, expected, got, "Name the folder, or the archive, of outputs.")
        raise EvaluatorError(f"{path} is no submission.", [finding])
    return BlocksSource(base, len(case_ids)) if known else base


def _base(path: Path, known: bool, budget: int | None) -> LocalSource | None:
    name = path.name.lower()
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        return None
    if name.endswith(_ZIP):
        return ZipSource(path, budget)
    if name.endswith(tar.SUFFIXES):
        return TarSource(path, budget)
    return FileSource(path) if known and name.endswith(BLOCKS_SUFFIXES) else None
