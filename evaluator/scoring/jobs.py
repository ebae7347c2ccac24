"""One job: everything that is to be done for one case, for all submissions of a run, the reference read once."""

from __future__ import annotations

import hashlib
import os
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from evaluator import metrics
from evaluator.findings import EvaluatorError, Finding, has_errors
from evaluator.images import Pixels, encode_npy
from evaluator.ingest import Expected, Reading, Submission, examine
from evaluator.ingest.sources import TooLarge
from evaluator.metrics import SHARP_REGION, Score, State
from evaluator.metrics.strips import AnyImage, is_large
from evaluator.results import CaseRow
from evaluator.runners import ModelRunner, RunFailed, Workers, read_output
from evaluator.scoring.stages import Stages
from evaluator.scoring.suspicions import look
from evaluator.tasks import Split, target_peak, target_strips, to_target, to_working, working_strips


@dataclass(frozen=True)
class Output:
    """A case's output as a provider hands it over."""

    name: str
    reading: Reading
    state: State
    """`ok`, or why there are no pixels."""
    runtime_s: float | None = None


class Broken(Exception):
    """No more outputs can be had of a submission; the message says why. It is not scored, the others are."""


class Provider(Protocol):
    """Where the outputs of one submission come from. Cheap to pickle."""

    @property
    def is_model(self) -> bool:
        """Whether a model is run for them."""
        ...

    @property
    def by_a_team(self) -> bool:
        """Whether a team sent it: outputs of the harness's own baselines are not looked at with suspicion."""
        ...

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """Return the output of a case.

        Raises:
            Broken: no more can be had.
            EvaluatorError: the data set is at fault.
        """
        ...

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """Tell whether a case that was scored before would be read the same now."""
        ...

    def release(self) -> None:
        """End the processes that it has here; they are started anew if it is asked again."""
        ...


@dataclass(frozen=True)
class PrecomputedOutputs:
    """Outputs that the team sent."""

    submission: Submission
    workers: Workers
    by_a_team: bool = True

    def release(self) -> None:
        """See `Provider`."""
        self.workers.close()

    @property
    def is_model(self) -> bool:
        """See `Provider`."""
        return False

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """See `Provider`."""
        blocked = self.submission.blocked.get(case)
        if blocked is not None:
            state = State.MISSING if blocked.code == "missing-output" else State.INVALID
            return Output("", Reading(None, "", (blocked,)), state)
        name = self.submission.files[case]
        with _breaking():
            reading = read_output(self.submission.source, name, expected, self.workers)
        stopped = any(finding.code == "stopped" for finding in reading.findings)
        return Output(name, reading, State.OK if reading.pixels else State.FAILED if stopped else State.INVALID)

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
    """Outputs that a model makes now; kept as `.npy` files, and examined as any team's outputs are."""

    runner: ModelRunner
    kept: Path | None
    """The folder for them; None: they are not kept."""
    by_a_team: bool = True

    def release(self) -> None:
        """See `Provider`."""
        self.runner.workers.close()

    @property
    def is_model(self) -> bool:
        """See `Provider`."""
        return True

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """See `Provider`."""
        name = f"{case}.npy"
        limit = expected.height * expected.width * expected.channels * 8
        inputs = split.inputs(case)
        try:
            with _breaking():
                ran = self.runner.run(inputs, limit=limit)
        except RunFailed as failure:
            finding = replace(failure.finding, file=name)
            return Output("", Reading(None, "", (finding,)), State.FAILED)
        data = encode_npy(ran.output)
        if self.kept is not None:
            _keep(data, self.kept / name)
        reading = examine(data, name, expected)
        if ran.seams is not None and ran.seams > _SEAM:
            reading = replace(reading, findings=(*reading.findings, _seams(name, ran.seams)))
        return Output(name, reading, State.OK if reading.pixels else State.INVALID, ran.seconds)

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """See `Provider`: the model itself is part of the journal's key."""
        return True


@dataclass(frozen=True)
class KeptOutputs:
    """Outputs that a model made in an earlier run, as they were kept then."""

    folder: Path
    rows: Mapping[str, CaseRow]
    """What was scored then, by case."""
    said: Mapping[str, tuple[Finding, ...]]
    """What was found then that the outputs do not show: why a case has none, by case; of the output, by its name."""
    by_a_team: bool = False
    """Not looked at again: what the earlier run saw stands in its findings."""

    def release(self) -> None:
        """See `Provider`."""

    @property
    def is_model(self) -> bool:
        """See `Provider`."""
        return False

    def output(self, split: Split, case: str, expected: Expected) -> Output:
        """See `Provider`."""
        row = self.rows[case]
        if not row.output:
            return Output("", Reading(None, "", self.said.get(case, ())), State.FAILED)
        data = self._read(row.output)
        if data is None or hashlib.sha256(data).hexdigest() != row.output_sha256:
            raise Broken(f"{self.folder / row.output} was changed while it was in use.")
        # Its digest is that of bytes which this process wrote itself.
        reading = examine(data, row.output, expected, sha256=row.output_sha256)
        reading = replace(reading, findings=(*reading.findings, *self.said.get(row.output, ())))
        return Output(row.output, reading, State.OK if reading.pixels else State.INVALID)

    def unchanged(self, case: str, output: str, sha256: str, byte_limit: int) -> bool:
        """See `Provider`."""
        if output != self.rows[case].output:
            return False
        data = self._read(output) if output else b""
        return not output or (data is not None and hashlib.sha256(data).hexdigest() == sha256)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None


def _keep(data: bytes, path: Path) -> None:
    """Write what a model made, whole or not at all.

    Raises:
        EvaluatorError: it cannot be written.
    """
    part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise unwritten(path, error) from None


def unwritten(where: Path | str, error: OSError) -> EvaluatorError:
    """Return what ends a run that cannot write a file."""
    return EvaluatorError(
        f"{where} cannot be written ({error.strerror}). What was finished before is kept: mend it, and the same "
        "command goes on from there."
    )


@contextmanager
def _breaking() -> Iterator[None]:
    """Take what keeps a submission from being read or run at all as a fault of this submission alone."""
    try:
        yield
    except EvaluatorError as error:
        raise Broken(str(error)) from None


_SEAM = 2 / 255
"""Disagreement of neighbouring tiles, as a share of white, from which on it is said."""


def _seams(name: str, seams: float) -> Finding:
    return Finding.warning(
        "seams",
        name,
        "neighbouring tiles that agree where they overlap",
        f"differences up to {seams:.3f} of white",
        "Declare a larger tile_overlap, or export the model with a free input size.",
    )


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
    stages: Stages = field(default_factory=Stages)
    """Where the time that it takes is counted."""
    broken: dict[int, str] = field(default_factory=dict)
    """Submissions, by number, of which no more can be had, and why; those found are added."""


@dataclass(frozen=True, slots=True)
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
    marks: tuple[str, ...] = ()
    """What the output gave away: see `suspicions`."""
    # For the journal: what is no finite number is kept as it is, and nothing is read that was not written.
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"ser_json_inf_nan": "constants", "extra": "forbid"}


def run_case(job: CaseJob) -> dict[int, CaseResult]:
    """Do a job: read the reference once, then read and score each submission's output.

    Returns:
        One result a submission, by its number in the run; none for one that is broken.

    Raises:
        EvaluatorError: the data set itself is at fault.
    """
    with job.stages.of("references"):
        reference = job.split.target(job.case)
        measure = _Measure(job, reference)
    height, width = reference.array.shape[:2]
    expected = Expected.of(height, width, job.split.task.spec.protocol)
    results = {}
    for number, provider in job.providers.items():
        try:
            results[number] = _run_one(job, provider, measure, expected)
        except EvaluatorError:
            raise
        except Broken as reason:
            job.broken[number] = str(reason)
        except Exception as error:  # a fault of ours must not cost the others their scores
            frame = traceback.extract_tb(error.__traceback__)[-1]
            job.broken[number] = (
                f"The harness failed at case {job.case}: {type(error).__name__}: {error} "
                f"({Path(frame.filename).name}:{frame.lineno}). Please report it, with this output."
            )
    return results


def _run_one(job: CaseJob, provider: Provider, measure: _Measure, expected: Expected) -> CaseResult:
    with job.stages.of("models" if provider.is_model else "outputs"):
        output = provider.output(job.split, job.case, expected)
    reading, findings = output.reading, list(output.reading.findings)
    marks: tuple[str, ...] = ()
    if reading.pixels is None or has_errors(findings):
        scores = {m: Score(output.state) for m in job.metric_ids}
    else:
        with job.stages.of("metrics"):
            scores, clipped = measure(reading.pixels)
        if provider.by_a_team and job.split.has_references:
            with job.stages.of("looks"):
                marks = measure.look(reading)
        if clipped:
            findings = [_clipped(f, clipped) for f in findings]
        failed = {metric: score for metric, score in scores.items() if score.state is State.FAILED}
        findings += [_no_number(metric, output.name, score.detail) for metric, score in failed.items()]
    return CaseResult(
        case=job.case,
        output=output.name,
        output_sha256=reading.sha256,
        scores=scores,
        findings=tuple(findings),
        pixels=expected.height * expected.width,
        runtime_s=output.runtime_s,
        marks=marks,
    )


class _Measure:
    """All metrics of outputs of one case."""

    def __init__(self, job: CaseJob, reference: Pixels) -> None:
        self._job = job
        self._protocol = job.split.task.spec.protocol
        self._reference = reference
        self._peak = target_peak(reference, self._protocol)
        self._prepared: dict[Any, Any] = {}  # what depends on the reference alone, for all submissions

    @cached_property
    def _target(self) -> AnyImage:
        """The reference as metrics take it, a large one in strips."""
        if is_large(self._reference.array.shape):
            return target_strips(self._reference, self._protocol)
        return np.ascontiguousarray(to_target(self._reference, self._protocol).array, dtype=np.float64)

    def _working(self, pixels: Pixels) -> tuple[AnyImage, int]:
        """Return an output as metrics take it, a large one in strips, and how many of its values were clipped."""
        if is_large(pixels.array.shape):
            return working_strips(pixels, self._peak, self._protocol)
        working = to_working(pixels, self._peak, self._protocol)
        return working.image, working.clipped

    @cached_property
    def _given(self) -> Pixels:
        return self._job.split.input(self._job.case)

    def look(self, reading: Reading) -> tuple[str, ...]:
        """Return what an output gives away."""
        assert reading.pixels is not None  # noqa: S101 - asked only of outputs that were scored
        seen = look(self._job.case, reading.pixels, self._given, self._reference, sha256=reading.sha256)
        return seen.marks

    def __call__(self, pixels: Pixels) -> tuple[dict[str, Score], float]:
        """Return the scores by metric, and the share of values that the protocol clipped."""
        ids, reference = self._job.metric_ids, self._reference
        scores: dict[str, Score] = {}
        # Integers on the reference's own scale: no protocol changes them.
        if self._job.compiled and pixels.kind != "float" and pixels.array.dtype == reference.array.dtype:
            scores = metrics.evaluate_compiled(
                ids, output=pixels.array, reference=reference.array, peak=reference.peak, prepared=self._prepared
            )
        share = 0.0
        rest = [metric for metric in ids if metric not in scores]
        if rest:
            image, clipped = self._working(pixels)
            share = clipped / pixels.array.size
        for metric in rest:
            if metric == SHARP_REGION:
                scores[metric] = self._sharp(pixels)
                continue
            target = self._target if metrics.get(metric).contract.reference else None
            scores[metric] = metrics.evaluate(
                metric, output=image, reference=target, peak=self._peak, prepared=self._prepared
            )
        return {metric: scores[metric] for metric in ids}, share

    def _sharp(self, pixels: Pixels) -> Score:
        """Return what an output kept of the input where that was in focus."""
        mask = self._job.split.mask(self._job.case)
        if mask is None:
            return Score(State.NOT_APPLICABLE, detail="needs a mask of what is in focus; this split has none")
        image, given = (to_working(each, self._peak, self._protocol).image for each in (pixels, self._given))
        return metrics.evaluate_sharp(output=image, given=given, mask=mask, peak=self._peak)


def _clipped(finding: Finding, share: float) -> Finding:
    if finding.code != "range":
        return finding
    return replace(finding, fix=f"{share:.2%} of the values were clipped, as the protocol says; white is 1.")


def _no_number(metric: str, file: str, detail: str) -> Finding:
    return Finding.error(
        "no-number",
        file,
        f"a number for {metric}",
        detail,
        "Look at this output; the metric's definition has no value for it.",
    )
