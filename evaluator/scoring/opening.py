"""Open submissions for a run: how isolated their workers are, what may run at that level, private copies of models."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest import Submission, open_submission
from evaluator.results import Store
from evaluator.results.provenance import IsolationInfo
from evaluator.runners import ModelRunner, Workers, open_source, snapshot
from evaluator.runners.sandbox import Isolation, Level, Limits, allowed, isolation
from evaluator.scoring.jobs import ModelOutputs, PrecomputedOutputs, Provider
from evaluator.tasks import Split

_KINDS: dict[str, Literal["data", "graph", "code"]] = {"tflite": "graph", "onnx": "graph"}
"""What a model's format is to the sandbox's policy; all others can hold code."""


@dataclass(frozen=True)
class Permissions:
    """What the operator allows beyond what the sandbox proved."""

    accept_partial: bool = False
    """Run code where the isolation is partial (level C)."""
    trust: frozenset[str] = frozenset()
    """Ids of submissions whose code the operator wrote or read."""


@dataclass
class Opened:
    """A submission, ready to be read or run."""

    submission: Submission
    provider: Provider
    workers: Workers
    digest: str = ""
    """Of a model; empty for outputs."""
    trusted: bool = False


@dataclass
class Opener:
    """Opens the submissions of one run; closes their workers and removes private copies at its end."""

    split: Split
    store: Store | None
    """None: nothing that a model makes is kept."""
    permissions: Permissions = Permissions()
    _folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list)
    _workers: list[Workers] = field(default_factory=list)

    def open(self, path: Path) -> Opened:
        """Open a submission.

        Raises:
            EvaluatorError: it cannot be used at all, or may not run at the level that this machine has.
        """
        if not path.exists():
            finding = Finding.error(
                "kind", str(path), "a folder or an archive", "no such file", "Name the folder of outputs."
            )
            raise EvaluatorError(f"{path} is no submission.", [finding])
        proved = isolation()
        reading = self._new_workers(proved, path.resolve() if path.is_file() else None)
        try:
            submission = open_submission(
                path, self.split.case_ids, lambda p: open_source(p.resolve(), reading, self.split.case_ids)
            )
        except EvaluatorError:
            reading.close()
            raise
        trusted = submission.is_baseline or submission.id in self.permissions.trust
        self._permit(submission, proved.level, trusted=trusted)
        if not submission.is_model:
            return Opened(submission, PrecomputedOutputs(submission, reading), reading, trusted=trusted)
        folder = self._model_folder(submission)
        reading.close()
        workers = self._new_workers(proved, folder)
        runner = ModelRunner.of(submission, folder, workers)
        kept = self.store.outputs_folder(self.split.task.id, self.split.name, submission.id) if self.store else None
        return Opened(submission, ModelOutputs(runner, kept), workers, runner.version, trusted)

    def _new_workers(self, proved: Isolation, mounted: Path | None) -> Workers:
        limits = self.split.task.spec.limits
        hidden = [self.split.reader.folder, *([self.store.root] if self.store else [])]
        workers = Workers(
            proved,
            Limits(case_s=limits.case_s, total_s=limits.total_s, memory=int(limits.memory_gib * 2**30)),
            mounts={mounted: "/submission" + (mounted.suffix if mounted.is_file() else "")} if mounted else {},
            hidden=[folder.resolve() for folder in hidden if folder.exists()],
        )
        self._workers.append(workers)
        return workers

    def _model_folder(self, submission: Submission) -> Path:
        if submission.is_baseline:
            return submission.source.path.resolve()
        holder = tempfile.TemporaryDirectory(prefix="evaluator-")
        self._folders.append(holder)
        snapshot(submission.source, submission.names, Path(holder.name))
        return Path(holder.name) / submission.prefix

    def _permit(self, submission: Submission, level: Level, *, trusted: bool) -> None:
        manifest = submission.manifest
        kind: Literal["outputs", "hdf5", "data", "graph", "code"] = "outputs"
        if manifest.kind == "python":
            kind = "code"
        elif manifest.artefacts is not None:
            formats = {a.format for a in (manifest.artefacts.quality, manifest.artefacts.latency) if a is not None}
            kind = "graph" if all(_KINDS.get(f) == "graph" for f in formats) else "code"
        elif any(name.lower().endswith(".mat") for name in submission.files.values()):
            kind = "hdf5"
        refusal = allowed(level, kind, accept_partial=self.permissions.accept_partial, trusted=trusted)
        if refusal:
            finding = Finding.error("isolation", str(submission.source.path), "isolation for it", f"level {level}", refusal)
            raise EvaluatorError(f"{submission.source.path} may not run here.", [*submission.findings, finding])

    def close(self) -> None:
        """End all workers, remove all copies."""
        for workers in self._workers:
            workers.close()
        for folder in self._folders:
            folder.cleanup()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def isolation_info(opened: Opened) -> IsolationInfo:
    """Return what a scorecard says of the isolation in force."""
    proved = opened.workers.isolation
    return IsolationInfo(
        level=proved.level.value,
        sentence=proved.sentence,
        probes=f"{proved.passed}/{proved.probes}",
        versions=dict(proved.versions),
        trusted=opened.trusted and not opened.submission.is_baseline,
        stopped=tuple(opened.workers.stops),
    )

