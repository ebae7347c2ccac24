"""Open submissions for a run: where their outputs come from, and what may run at the isolation that was proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest import Manifest, Submission, open_submission, submission_id
from evaluator.ingest.manifest import Format
from evaluator.patience import noting
from evaluator.remote import Url
from evaluator.results import Store
from evaluator.results.provenance import IsolationInfo
from evaluator.runners import ModelRunner, Reception, RunFailed, Workers
from evaluator.runners.sandbox import Isolation, Kind, Level, allowed
from evaluator.scoring.jobs import ModelOutputs, PrecomputedOutputs, Provider
from evaluator.tasks import Split

_GRAPHS = ("tflite", "onnx")
"""Formats of models that hold a graph of fixed operators; all others can hold code."""


_WAITING = 8
"""Models that stay loaded until it is their turn; others are loaded again, for each takes memory."""


@dataclass(frozen=True)
class Permissions:
    """What the operator allows beyond what the sandbox proved."""

    accept_partial: bool = False
    """Run code where the isolation is partial (level C)."""
    trust: frozenset[str] = frozenset()
    """Names of submissions whose code the operator wrote or read: as their ids are derived from their paths."""


NONE = Permissions()
"""What is allowed if nobody says anything."""


@dataclass
class Opened:
    """A submission, ready to be read or run."""

    submission: Submission
    provider: Provider
    workers: Workers
    digest: str = ""
    """Of a model; empty for outputs."""
    trusted: bool = False
    retried: tuple[str, ...] = ()
    """What was read again while it, and the data set, were fetched, a line each."""

    def isolation_info(self, stopped: tuple[str, ...]) -> IsolationInfo:
        """Return what a scorecard says of the isolation in force, and of what was stopped."""
        proved = self.workers.isolation
        return IsolationInfo(
            level=proved.level.value,
            sentence=proved.sentence,
            probes=f"{proved.passed}/{proved.probes}",
            versions=dict(proved.versions),
            trusted=self.trusted,
            stopped=stopped,
        )


class Opener:
    """Opens the submissions of one run."""

    def __init__(self, split: Split, store: Store | None, permissions: Permissions) -> None:
        """Prepare.

        Args:
            split: the split.
            store: where what models make is kept; None: nowhere.
            permissions: what the operator allows.
        """
        self.split, self.store, self.permissions = split, store, permissions
        with noting() as self._retried:
            folder = split.reader.folder  # fetched here, if it is behind a URL
        hidden = [folder, *([store.root] if store else [])]
        self._reception = Reception(split.task.spec.limits, hidden)
        self._loaded = self._listed = 0

    @property
    def isolation(self) -> Isolation:
        """What was proved on this machine."""
        return self._reception.isolation

    def open(self, path: Path | Url) -> Opened:
        """Open a submission; one behind a URL is copied to this machine first.

        Raises:
            EvaluatorError: it cannot be used at all, or may not run at the level that this machine has.
        """
        if isinstance(path, Path):
            return replace(self._open(path), retried=tuple(self._retried))
        with noting() as lines:
            copy = self._reception.fetch(path)
        try:
            opened = self._open(copy, path)
        except EvaluatorError as error:
            findings = [_renamed(finding, copy, path) for finding in error.findings]
            raise EvaluatorError(str(error).replace(str(copy), str(path)), findings) from None
        return replace(opened, retried=(*self._retried, *lines))

    def _open(self, path: Path, url: Url | None = None) -> Opened:
        # By its path, which the operator named: an id is what it says of itself, and could be that of another.
        vouched = submission_id(path, Manifest()) in self.permissions.trust
        submission, workers = self._read(path, trusted=vouched)
        if url is not None:
            findings = tuple(_renamed(finding, path, url) for finding in submission.findings)
            rejected = submission.rejected.replace(str(path), str(url))
            submission = replace(submission, origin=str(url), findings=findings, rejected=rejected)
        permit(submission, self._reception.isolation.level, self.permissions, trusted=vouched)
        if not submission.manifest.has_weights:
            fix = f"Name its weights in [network]. What it costs: evaluate profile {path}"
            finding = Finding.error("no-weights", str(path), "a model with weights", "a network in code alone", fix)
            raise EvaluatorError(f"{path} cannot be scored.", [*submission.findings, finding])
        if not submission.is_model:
            return Opened(submission, PrecomputedOutputs(submission, workers), workers, trusted=vouched)
        folder, workers = self._reception.model(submission)
        runner = ModelRunner.of(submission, folder, workers)
        self._load(runner, submission)
        kept = self.store.outputs_folder(self.split.task.id, self.split.name, submission.id) if self.store else None
        return Opened(
            submission, ModelOutputs(runner, kept, not submission.is_baseline), workers, runner.version, vouched
        )

    def _read(self, path: Path, *, trusted: bool) -> tuple[Submission, Workers]:
        source, workers = self._reception.files(path, self.split.case_ids, trusted=trusted)
        submission = open_submission(path, self.split.case_ids, source)
        self._listed += 1
        if self._listed > _WAITING:
            workers.close()  # an archive's, which has listed it
        return submission, workers

    def _load(self, runner: ModelRunner, submission: Submission) -> None:
        """Load a model once, so that one that cannot be loaded is refused as a whole."""
        path = submission.source.path
        try:
            runner.load()
        except RunFailed as failure:
            finding = replace(failure.finding, file=str(path))
            raise EvaluatorError(f"{path} cannot be run.", [*submission.findings, finding]) from None
        self._loaded += 1
        if self._loaded > _WAITING:
            runner.workers.close()

    def close(self) -> None:
        """End all workers, remove all copies."""
        self._reception.close()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _renamed(finding: Finding, copy: Path, url: Url) -> Finding:
    """Return a finding that names the URL where it names the copy."""
    words = (finding.file, finding.expected, finding.got, finding.fix)
    return Finding(finding.code, finding.severity, *(text.replace(str(copy), str(url)) for text in words))


def permit(submission: Submission, level: Level, permissions: Permissions, *, trusted: bool) -> None:
    """Check that a submission may be run, or read, at the isolation that was proved.

    Raises:
        EvaluatorError: it may not.
    """
    permit_kind(
        submission.source.path,
        _kind(submission.manifest),
        level,
        permissions,
        trusted=trusted or submission.is_baseline,
        findings=submission.findings,
    )


def permit_kind(
    path: Path,
    kind: Kind,
    level: Level,
    permissions: Permissions,
    *,
    trusted: bool,
    findings: Sequence[Finding] = (),
) -> None:
    """Check as `permit` does, by what a file brings.

    Raises:
        EvaluatorError: it may not be opened here; with `findings` and why.
    """
    refusal = allowed(level, kind, accept_partial=permissions.accept_partial, trusted=trusted)
    if refusal:
        finding = Finding.error("isolation", str(path), "isolation for what it brings", f"level {level}", refusal)
        raise EvaluatorError(f"{path} may not run here.", [*findings, finding])


def kind_of_format(format_: Format) -> Kind:
    """Return whether a model file holds a graph of fixed operators, or can hold code."""
    return "graph" if format_ in _GRAPHS else "code"


def _kind(manifest: Manifest) -> Kind:
    if manifest.artefacts is not None:
        formats = [a.format for a in (manifest.artefacts.quality, manifest.artefacts.latency) if a is not None]
        return "graph" if all(kind_of_format(f) == "graph" for f in formats) else "code"
    # HDF5 files among outputs are refused one by one.
    return "code" if manifest.kind in ("python", "network") else "outputs"
