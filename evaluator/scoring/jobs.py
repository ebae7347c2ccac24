"""One job: everything that is to be done for one case, for all submissions of a run, the reference read once."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.findings import Finding, has_errors
from evaluator.images import Pixels
from evaluator.ingest import Expected, FolderSource, Reading, Submission, read_output
from evaluator.ingest.sources import TooLarge
from evaluator.metrics import Score, State
from evaluator.runners import PythonRunner, RunFailed
from evaluator.tasks import Split, to_working


@dataclass(frozen=True)
class Output:
    """A case's output as a provider hands it over."""

    name: str
    reading: Reading
    state: State
    """`ok`, or why there are no pixels."""
    runtime_s: float | None = None


class Provider(Protocol):
    """Where the outputs of one submission come from. Cheap to pickle."""

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """Return the output of a case."""
        ...

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """Tell whether a case that was scored before would be read the same now."""
        ...


@dataclass(frozen=True)
class PrecomputedOutputs:
    """Outputs that the team sent."""

    submission: Submission

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """See `Provider`."""
        blocked = self.submission.blocked.get(case)
        if blocked is not None:
            state = State.MISSING if blocked.code == "missing-output" else State.INVALID
            return Output("", Reading(None, "", (blocked,)), state)
        name = self.submission.files[case]
        reading = read_output(self.submission.source, name, expected)
        return Output(name, reading, State.OK if reading.pixels else State.INVALID)

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """See `Provider`."""
        if output != self.submission.files.get(case, ""):
            return False
        try:
            return not output or hashlib.sha256(self.submission.source.read(output, byte_limit)).hexdigest() == sha256
        except (OSError, TooLarge):
            return sha256 == ""


@dataclass(frozen=True)
class ModelOutputs:
    """Outputs that a baseline makes now; kept as `.npy` files, and read back as any team's outputs are."""

    runner: PythonRunner
    kept: Path

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """See `Provider`."""
        name = f"{case}.npy"
        try:
            array, seconds = self.runner.run(split.input(case))
        except RunFailed as failure:
            finding = Finding.error(
                "run-failed",
                name,
                "an output from the model",
                str(failure),
                "Run the model on this case alone and mend it.",
            )
            return Output("", Reading(None, "", (finding,)), State.FAILED)
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        path = self.kept / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)
        reading = read_output(FolderSource(self.kept), name, expected)
        return Output(name, reading, State.OK if reading.pixels else State.INVALID, seconds)

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """See `Provider`: the model itself is part of the journal's key."""
        return True


@dataclass(frozen=True)
class CaseJob:
    """One case of a split, and the submissions that still need it."""

    split: Split
    case: str
    providers: Mapping[int, Provider]
    """By the submission's number in the run."""
    metric_ids: Sequence[str]
    """Empty: only read the outputs and say what is wrong with them."""
    compiled: bool = False
    """Whether integer outputs are scored by the compiled metrics, which are within 1e-6 of the plain ones."""


@dataclass(frozen=True)
class CaseResult:
    """What became of one case of one submission."""

    case: str
    output: str
    output_sha256: str
    scores: dict[str, Score]
    findings: tuple[Finding, ...]
    pixels: int
    """Height x width of the reference."""
    runtime_s: float | None


def run_case(job: CaseJob) -> dict[int, CaseResult]:
    """Do a job: read the reference once, then read and score each submission's output.

    Returns:
        One result a submission, by its number in the run.

    Raises:
        EvaluatorError: the data set itself is at fault.
    """
    protocol = job.split.task.spec.protocol
    reference = job.split.reference(job.case)
    height, width = reference.array.shape[:2]
    expected = Expected(height, width, protocol)
    measure = _Measure(job, reference)
    results = {}
    for number, provider in job.providers.items():
        output = provider.output(job.split, job.case, expected)
        reading, findings = output.reading, list(output.reading.findings)
        scores = {m: Score(output.state) for m in job.metric_ids}
        if reading.pixels is not None and not has_errors(findings):
            scores, clipped = measure(reading.pixels)
            if clipped:
                findings = [_clipped(f, clipped) for f in findings]
            failed = {metric: score for metric, score in scores.items() if score.state is State.FAILED}
            findings += [_no_number(metric, output.name, score.detail) for metric, score in failed.items()]
        results[number] = CaseResult(
            case=job.case,
            output=output.name,
            output_sha256=reading.sha256,
            scores=scores,
            findings=tuple(findings),
            pixels=height * width,
            runtime_s=output.runtime_s,
        )
    return results


class _Measure:
    """All metrics of outputs of one case."""

    def __init__(self, job: CaseJob, reference: Pixels) -> None:
        self._job, self._reference = job, reference
        self._protocol = job.split.task.spec.protocol
        self._prepared: dict[Any, Any] = {}  # what depends on the reference alone, for all submissions

    @cached_property
    def _target(self) -> NDArray[np.float64]:
        return np.ascontiguousarray(self._reference.array, dtype=np.float64)

    def __call__(self, pixels: Pixels) -> tuple[dict[str, Score], float]:
        """Return the scores by metric, and the share of values that the protocol clipped."""
        ids, reference = self._job.metric_ids, self._reference
        scores: dict[str, Score] = {}
        # Integers on the reference's own scale: no protocol changes them.
        if self._job.compiled and pixels.kind != "float" and pixels.array.dtype == reference.array.dtype:
            scores = metrics.evaluate_compiled(ids, output=pixels.array, reference=reference.array, peak=reference.peak)
        clipped = 0.0
        rest = [metric for metric in ids if metric not in scores]
        if rest:
            working = to_working(pixels, reference.peak, self._protocol)
            clipped = working.clipped / working.image.size
        for metric in rest:
            target = self._target if metrics.get(metric).contract.reference else None
            scores[metric] = metrics.evaluate(
                metric, output=working.image, reference=target, peak=reference.peak, prepared=self._prepared
            )
        return {metric: scores[metric] for metric in ids}, clipped


def _clipped(finding: Finding, share: float) -> Finding:
    if finding.code != "range":
        return finding
    return finding.model_copy(
        update={"fix": f"{share:.2%} of the values were clipped, as the protocol says; white is 1."}
    )


def _no_number(metric: str, file: str, detail: str) -> Finding:
    return Finding.error(
        "no-number",
        file,
        f"a number for {metric}",
        detail,
        "Look at this output; the metric's definition has no value for it.",
    )
