"""Where submissions are received: private copies of what they sent, and workers that may look at nothing else."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest import FolderSource, Source, Submission, baseline_files, baseline_names
from evaluator.ingest.manifest import FORMAT_BY_SUFFIX
from evaluator.ingest.sources.base import unprintable
from evaluator.ingest.sources.blocks import FILES as BLOCK_FILES
from evaluator.ingest.sources.blocks import are_blocks
from evaluator.remote import Url
from evaluator.runners.client import Workers
from evaluator.runners.fetching import fetch
from evaluator.runners.model import copy_files, open_to_workers
from evaluator.runners.reading import WorkerSource
from evaluator.runners.sandbox import Isolation, allowed, isolation
from evaluator.runners.sandbox import Limits as SandboxLimits
from evaluator.tasks import Limits

_SCRATCH = 256 << 20
"""Bytes of files that a worker may write; they lie in memory."""
_UNPACKED = 2 << 30
"""The same where an archive is opened: all blocks of SIDD are unpacked there."""


class Reception:
    """Opens what teams sent; ends its workers and removes its copies when it is closed."""

    def __init__(self, limits: Limits, hidden: Sequence[Path] = ()) -> None:
        """Prepare.

        Args:
            limits: of each worker.
            hidden: folders that workers must not see (data sets, results).
        """
        self.isolation: Isolation = isolation()
        self._limits: SandboxLimits = SandboxLimits(
            case_s=limits.case_s,
            total_s=limits.total_s,
            memory=int(limits.memory_gib * 2**30),
        )
        self._hidden = [folder.resolve() for folder in hidden if folder.exists()]
        self._folders: list[tempfile.TemporaryDirectory[str]] = []
        self._workers: list[Workers] = []

    def fetch(self, url: Url) -> Path:
        """Return a private copy of what a team put behind a URL.

        Raises:
            EvaluatorError: there is nothing, it cannot be read, or may not be copied; with all that is wrong.
        """
        return fetch(url, self._private())

    def files(self, path: Path, case_ids: Sequence[str], *, trusted: bool = False) -> tuple[Source, Workers]:
        """Return a submission's files, and the workers that decode them.

        The files of a plain folder are read here and decoded there; archives, and files that hold all outputs, are
        copied and read there.

        Args:
            path: what the team sent.
            case_ids: the ids of the split's cases.
            trusted: whether HDF5 files may be opened even without isolation.

        Raises:
            EvaluatorError: there is no folder or file of the name, or it cannot be read.
        """
        name = path.resolve().name
        if not name.isprintable():
            raise EvaluatorError(f"{path} has no name that can be shown.", [unprintable(name)])
        if path.is_dir() and not (are_blocks(case_ids) and _holds_blocks(path)):
            return FolderSource(path), self.workers(trusted=trusted)
        if finding := _refused(path):
            raise EvaluatorError(f"{path} is no submission.", [finding])
        private = any(path.parent == Path(folder.name) for folder in self._folders)
        copy = path if private and path.is_file() else self._private() / (name if path.is_file() else "outputs")
        if copy == path:
            open_to_workers(copy)
        elif path.is_file():
            try:
                shutil.copyfile(path, copy)
            except OSError as error:
                fix = "Send it again; a copy of it must fit into the folder for temporary files."
                finding = Finding.error("unreadable", path.name, "a readable file", error.strerror or str(error), fix)
                raise EvaluatorError(f"{path} cannot be read.", [finding]) from None
            open_to_workers(copy)
        else:
            folder = FolderSource(path)
            copy_files(folder, folder.scan()[0], copy)
        workers = self.workers(copy, scratch=_UNPACKED, trusted=trusted)
        return WorkerSource(path, workers, copy, case_ids), workers

    def model(self, submission: Submission) -> tuple[Path, Workers]:
        """Return the folder with a model's files, and workers to run it.

        Raises:
            EvaluatorError: a file cannot be read, or all together are too large.
        """
        shared = submission.manifest.baseline.code_of
        if submission.is_baseline and not shared:
            folder = submission.source.path.resolve()
        elif submission.is_baseline:
            folder = self._private() / "model"
            folder.mkdir()
            for name, path in baseline_files(submission.source.path.resolve().name).items():
                shutil.copyfile(path, folder / name)
            open_to_workers(folder)
        else:
            copy = self._private() / "model"
            copy_files(submission.source, submission.names, copy)
            folder = copy / submission.prefix
        return folder, self.workers(folder, trusted=True)  # it runs only where that was allowed

    def lone(self, path: Path) -> tuple[Path, Workers]:
        """Return a private folder with a lone model, and workers to run it.

        Args:
            path: a model file (what holds its weights beside it comes along), the folder of a SavedModel, or a Python
                file, with those that lie beside it.

        Raises:
            EvaluatorError: it cannot be read, or is too large.
        """
        folder = self._private() / "model"
        if path.is_dir():
            folder.mkdir()
            copy_files(FolderSource(path), FolderSource(path).scan()[0], folder / path.name)
        else:
            beside = [path, *(path.parent.glob("*.py") if path.suffix == ".py" else [Path(f"{path}.data")])]
            copy_files(FolderSource(path.parent), {p.name: 0 for p in beside if p.is_file()}, folder)
        open_to_workers(folder)
        return folder, self.workers(folder, trusted=True)

    def workers(self, mounted: Path | None = None, *, scratch: int = _SCRATCH, trusted: bool = False) -> Workers:
        """Return workers that see a mounted folder or file, or nothing, and may write so many bytes.

        They open HDF5 files where that is allowed.
        """
        mounts = {mounted: f"/submission/{mounted.name}"} if mounted else {}
        limits = replace(self._limits, file_size=scratch)
        hdf5 = allowed(self.isolation.level, "hdf5", accept_partial=False, trusted=trusted) is None
        workers = Workers(self.isolation, limits, mounts=mounts, hidden=self._hidden, hdf5=hdf5)
        self._workers.append(workers)
        return workers

    def _private(self) -> Path:
        """Return a new folder for copies, which only those who know its name can enter."""
        holder = tempfile.TemporaryDirectory(prefix="evaluator-")
        self._folders.append(holder)
        Path(holder.name).chmod(0o711)
        return Path(holder.name)

    def close(self) -> None:
        """End all workers, remove all copies."""
        for workers in self._workers:
            workers.close()
        for folder in self._folders:
            folder.cleanup()

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _holds_blocks(path: Path) -> bool:
    return any(name.rpartition("/")[2].lower() in BLOCK_FILES for name in FolderSource(path).scan()[0])


def _refused(path: Path) -> Finding | None:
    """Return why a path that is no plain folder cannot hold outputs, if its name or kind says so."""
    fix = "Name the folder, or the archive, of outputs."
    if not path.exists():
        got = "no such file"
        if str(path) in baseline_names():
            fix += f" The baseline: `evaluate baseline run {path} --task TASK`."
    elif path.is_file() and path.suffix and path.suffix.lower() in FORMAT_BY_SUFFIX:
        got = f"a file {path.suffix}"
        fix = "A model lies in a folder with a submission.toml: `evaluate init --kind model FOLDER` writes one."
    elif not (path.is_dir() or stat.S_ISREG(path.stat().st_mode)):
        got = "a special file"
    else:
        return None
    return Finding.error("kind", str(path), "a folder or an archive", got, fix)
