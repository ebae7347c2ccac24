"""Measure what a model costs: its operators, its time beside a reference, its memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from evaluator._version import __version__
from evaluator.efficiency import this_machine
from evaluator.efficiency.cost import OUT_OF_MEMORY, OUT_OF_TIME, Cost, Timing
from evaluator.efficiency.counts import Counts, Layer, Uncounted, count, layers
from evaluator.efficiency.timing import BUDGET_S, Timed, interleave
from evaluator.findings import EvaluatorError, Finding, Severity, did_you_mean
from evaluator.images import Pixels
from evaluator.ingest import Manifest, baseline_names, baselines_folder, open_submission
from evaluator.ingest.manifest import FORMAT_BY_SUFFIX, Artefact, Artefacts, Format, Network
from evaluator.ingest.submission import submission_id
from evaluator.results import Store
from evaluator.runners import Meter, ModelRunner, Reception, RunFailed, describe_file
from evaluator.runners.model import Device, digest
from evaluator.scoring.opening import NONE, Permissions, kind_of_format, permit, permit_kind
from evaluator.scoring.try_model import compare_artefacts
from evaluator.tasks import Limits, Task

Say = Callable[[str], None]
Size = tuple[int, int]
"""Height and width of an image."""


@dataclass
class Profile:
    """What was measured of one model."""

    submission: str
    format: str
    version: str
    size_bytes: int | None
    parameters: int | None = None
    counts: list[Counts] = field(default_factory=list)
    layers: dict[Size, list[Layer]] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether anything was measured."""
        return bool(self.counts) or any(t.median_ms is not None for t in self.timings)

    def record(self, task: str) -> Cost:
        """Return it as a record of a task's leaderboard."""
        return Cost(
            task=task,
            submission=self.submission,
            version=self.version,
            format=self.format,
            parameters=self.parameters,
            size_bytes=self.size_bytes,
            counts=tuple(self.counts),
            timings=tuple(self.timings),
            findings=tuple(self.findings),
            harness=__version__,
            hardware=this_machine() if self.timings else None,
        )


@dataclass(frozen=True)
class Subject:
    """A model that was opened to be measured."""

    id: str
    runner: ModelRunner
    findings: tuple[Finding, ...] = ()

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return Manifest.model_validate(self.runner.manifest)

    def start(self) -> Profile:
        """Return a profile of it in which nothing was measured yet."""
        artefacts = self.manifest.artefacts
        size: int | None = None
        if artefacts is not None:
            path = self.runner.folder / artefacts.quality.file
            files = [path, *path.parent.glob(f"{path.name}.data")] if path.is_file() else path.rglob("*")
            size = sum(f.stat().st_size for f in files if f.is_file())
        kind = artefacts.quality.format if artefacts else self.manifest.kind
        return Profile(self.id, kind, self.runner.version, size, findings=list(self.findings))


def find_model(name: str) -> Path:
    """Return the path that is meant by a path or a baseline's name.

    Raises:
        EvaluatorError: there is none.
    """
    path = Path(name)
    if path.exists() or _code(path)[1]:
        return path.resolve() if path.exists() else path
    if name in baseline_names():
        return baselines_folder() / name
    hint = did_you_mean(name, baseline_names()) if "/" not in name else ""
    finding = Finding.error(
        "unreadable", name, "a model file, a submission's folder or a baseline", "no such file", "Correct the name."
    )
    raise EvaluatorError(f"There is no {name}.{hint}", [finding])


def open_model(path: Path, reception: Reception, permissions: Permissions = NONE) -> Subject:
    """Open a model to measure it: a submission, a lone model file, or `FILE.py:function` for a network in code.

    Args:
        path: of it.
        reception: opens it, and ends its workers.
        permissions: what may run without isolation.

    Raises:
        EvaluatorError: there is no model, it cannot be read, or may not run here.
    """
    trusted = submission_id(path, Manifest()) in permissions.trust
    file, function = _code(path)
    format_ = _lone_format(path)
    if not function and format_ is None:
        return _open_submission(path, reception, permissions, trusted=trusted)
    entry = f"{file.stem}:{function}" if function else ""
    kind = kind_of_format(format_) if format_ else "code"
    permit_kind(path, kind, reception.isolation.level, permissions, trusted=trusted)
    network = _network(path, entry) if function else None
    folder, workers = reception.lone(file)
    where = workers.inside(folder)
    try:
        model = describe_file(workers, where if function else f"{where}/{file.name}", format_, entry)
    except RunFailed as failure:
        raise _unusable(path, failure) from None
    if format_ is not None:
        artefact = Artefact(file=file.name, format=format_)
        manifest = Manifest(kind="model", model=model, artefacts=Artefacts(quality=artefact))
    else:
        manifest = Manifest(kind="network", model=model, network=network)
    runner = ModelRunner(folder, manifest.model_dump(mode="json", by_alias=True), digest(folder), workers)
    return Subject(submission_id(file, manifest), runner)


def _code(path: Path) -> tuple[Path, str]:
    """Return the file and the function of `FILE.py:FUNCTION`; any other path and an empty string."""
    name, colon, function = path.name.rpartition(":")
    if colon and function and name.endswith(".py") and not path.exists() and path.with_name(name).is_file():
        return path.with_name(name).resolve(), function
    return path, ""


def _network(path: Path, entry: str) -> Network:
    try:
        return Network(entry=entry)
    except ValueError:
        expected = "FILE.py:FUNCTION, both names of letters, digits and _"
        finding = Finding.error("kind", str(path), expected, entry, "Rename the file, or name another function.")
        raise EvaluatorError(f"{path} names no function that can be called.", [finding]) from None


def _lone_format(path: Path) -> Format | None:
    if path.is_dir():
        return "savedmodel" if (path / "saved_model.pb").is_file() else None
    return FORMAT_BY_SUFFIX.get(path.suffix.lower()) if path.is_file() else None


def _open_submission(path: Path, reception: Reception, permissions: Permissions, *, trusted: bool) -> Subject:
    source, _ = reception.files(path, (), trusted=trusted)
    try:
        submission = open_submission(path, ("",), source)  # outputs are not looked for: no case has the empty name
    except EvaluatorError as error:
        if any(f.code == "no-outputs" for f in error.findings):
            raise _no_model(path) from None
        raise
    if not submission.is_model:
        raise _no_model(path)
    permit(submission, reception.isolation.level, permissions, trusted=trusted)
    folder, workers = reception.model(submission)
    return Subject(submission.id, ModelRunner.of(submission, folder, workers), submission.findings)


def _no_model(path: Path) -> EvaluatorError:
    known = ", ".join(suffix for suffix in FORMAT_BY_SUFFIX if suffix)
    finding = Finding.error(
        "no-model",
        str(path),
        f"a model file ({known}), or a submission that brings one",
        "no model",
        "Outputs alone have no cost that can be measured; name the model.",
    )
    return EvaluatorError(f"{path} holds no model.", [finding])


def _unusable(path: Path, failure: RunFailed) -> EvaluatorError:
    return EvaluatorError(f"{path} cannot be read.", [replace(failure.finding, file=str(path))])


def count_operators(subject: Subject, sizes: Sequence[Size], profile: Profile) -> None:
    """Count a model's operators for images of some sizes, and note it in its profile.

    What cannot be counted is a finding; a size that the model is fixed to stands in for one that it cannot take.
    """
    meter = Meter(subject.runner, "quality")
    for size in sizes:
        try:
            listed = meter.operators(*size)
        except RunFailed as failure:
            _note(profile, failure.finding, size)
            continue
        for finding in listed.findings:
            _note(profile, finding, size)
        fits = not any(f.severity is Severity.ERROR for f in listed.findings)
        shown = size if fits else listed.size
        if listed.graph.parameters is not None:
            profile.parameters = listed.graph.parameters
        if any(c.input == shown for c in profile.counts) or not listed.graph.ops:
            continue
        try:
            counts = count(listed.graph, shown, listed.passes if fits else 1)
        except ValueError:
            got, fix = "operators that cost more than any computer could do", "Look at what the model's code does."
            _note(profile, Finding.error("run-failed", "", "a list of operators", got, fix), size)
            continue
        profile.counts.append(counts)
        profile.layers[shown] = layers(listed.graph)
        unknown = [u for u in counts.uncounted if u.why == "unknown"]
        if unknown:
            _note(profile, _uncounted(unknown), size)


def count_scored(subject: Subject, task: Task, store: Store) -> None:
    """Write down what a model costs that was just scored on a task, unless that is known of these very files.

    Python code is run for it, so that it is counted at one size only: the one that the board shows.
    """
    rules = task.spec.cost
    sizes = (rules.size,) if subject.manifest.kind == "python" else rules.sizes
    old = store.read_cost(task.id, subject.id)
    if old is not None and old.version == subject.runner.version and all(old.counts_at(size) for size in sizes):
        return
    profile = subject.start()
    count_operators(subject, sizes, profile)
    if profile.is_known:
        store.write_cost(profile.record(task.id).replacing(old))


def _note(profile: Profile, finding: Finding, size: Size) -> None:
    """Add a finding, unless it was said of another size."""
    if any(
        f.code == finding.code and f.got == finding.got and f.expected == finding.expected for f in profile.findings
    ):
        return
    at = f"{profile.submission} at {size[0]}x{size[1]}"
    profile.findings.append(replace(finding, file=finding.file or at))


def _uncounted(unknown: Sequence[Uncounted]) -> Finding:
    listed = ", ".join(f"{u.operator} ({u.times}×, {u.share:.1%} of all output elements)" for u in unknown[:8])
    more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
    return Finding.warning(
        "cost-uncounted",
        "",
        "operators that have a rule",
        listed + more,
        "The counts are those of the other operators: a lower bound.",
    )


@dataclass(frozen=True)
class Bench:
    """How models are timed."""

    reference: Subject | None
    """What they are timed beside."""
    limits: Limits
    threads: int = 1
    device: Device = "cpu"
    budget_s: float = BUDGET_S
    """Seconds for each round at one size."""


def time_runs(subject: Subject, sizes: Sequence[Size], bench: Bench, profile: Profile, say: Say) -> None:
    """Time a model beside the reference on images of some sizes, and look at its memory; note it in its profile.

    Small sizes come first: what is too much for one is not tried on larger ones.
    """
    try:
        subject.runner.load("latency")
    except RunFailed as refusal:
        profile.findings.append(replace(refusal.finding, file=profile.submission))
        profile.timings += [_timing(subject, bench, size, failure="it cannot be loaded") for size in sizes]
        return
    different = _artefacts_differ(subject, min(sizes, key=lambda s: s[0] * s[1]))
    if different:
        profile.findings += different
        profile.timings += [_timing(subject, bench, size, failure="another network than is scored") for size in sizes]
        return
    stopped: Timing | None = None
    for size in sorted(sizes, key=lambda s: s[0] * s[1]):
        if stopped is not None:
            failure = f"{stopped.failure} at {stopped.input[0]}x{stopped.input[1]} already"
            profile.timings.append(_timing(subject, bench, size, failure=failure))
            continue
        say(f"{profile.submission}: timing at {size[0]}x{size[1]}")
        timing = _time_at(subject, size, bench, profile)
        profile.timings.append(timing)
        if timing.failure in (OUT_OF_MEMORY, OUT_OF_TIME):
            stopped = timing


def _artefacts_differ(subject: Subject, size: Size) -> list[Finding]:
    """Return a finding if what would be timed is not the network that is scored."""
    artefacts = subject.manifest.artefacts
    if artefacts is None or artefacts.latency is None:
        return []
    images, limit = Images(subject, size).next(), 1 << 30
    try:
        one, other = (subject.runner.run(images, limit=limit, role=role) for role in ("quality", "latency"))
    except RunFailed:
        return []  # said where it is timed
    return compare_artefacts(one, other, artefacts.latency.file)


def _time_at(subject: Subject, size: Size, bench: Bench, profile: Profile) -> Timing:
    meter = _meter(subject, bench)
    other = bench.reference
    timed = Timed(())
    try:
        memory = meter.memory(Images(subject, size).next())
        name = meter.told_of_device()[0] if bench.device == "cuda" else ""
        while not timed.enough:
            try:
                reference = _guarded(runs(_meter(other, bench), Images(other, size))) if other else None
                found = interleave(runs(meter, Images(subject, size)), reference, budget_s=bench.budget_s)
                timed = Timed((*timed.rounds, found))
            except _ReferenceFailed as failure:
                _note(profile, failure.finding, size)
                other, timed = None, Timed(())
            finally:
                _end(subject, bench)
    except RunFailed as failure:
        _note(profile, failure.finding, size)
        return _timing(subject, bench, size, failure=_reason(failure))
    finally:
        _end(subject, bench)
    return _timing(subject, bench, size, timed=timed, memory=memory, name=name)


def _meter(subject: Subject, bench: Bench) -> Meter:
    return Meter(subject.runner, "latency", bench.threads, bench.device)


def _end(subject: Subject, bench: Bench) -> None:
    """End the processes: where the next ones have their memory may be faster or slower than where these had it."""
    subject.runner.workers.close()
    if bench.reference is not None:
        bench.reference.runner.workers.close()


class _ReferenceFailed(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.got)
        self.finding = finding


def _guarded(run: Callable[[], float]) -> Callable[[], float]:
    """Return what runs the reference, whose failure is not the model's."""

    def guarded() -> float:
        try:
            return run()
        except RunFailed as failure:
            finding = failure.finding
            fix = "There is no ratio at this size."
            raise _ReferenceFailed(
                Finding.warning("cost-reference", "", "a time of the reference", finding.got, fix)
            ) from None

    return guarded


def runs(meter: Meter, images: Images) -> Callable[[], float]:
    """Return what runs a model once, on an image that it has not seen, and returns the seconds."""

    def run() -> float:
        meter.hold(images.next())
        return meter.again()

    return run


class Images:
    """Noise images for every input of a model, another one each time: an answer that was kept does not fit."""

    def __init__(self, subject: Subject, size: Size) -> None:
        """Prepare images of a size."""
        table = subject.manifest.model or subject.manifest.python
        self._names = table.inputs if table else ("input",)
        self._noise = np.random.default_rng().integers(0, 256, (*size, 3), np.uint8)
        self._times = 0

    def next(self) -> Mapping[str, Pixels]:
        """Return the next images, by input."""
        self._times += 1
        return {
            name: Pixels(np.roll(self._noise, self._times + 7 * i, axis=0), 255.0) for i, name in enumerate(self._names)
        }


def _reason(failure: RunFailed) -> str:
    if failure.limit == "memory" or any(sign in failure.finding.got for sign in _NO_MEMORY):
        return OUT_OF_MEMORY
    return OUT_OF_TIME if failure.limit == "time" else f"no output: {failure.finding.got}"[:200]


_NO_MEMORY = ("MemoryError", "allocate memory", "out of memory", "OutOfMemory", "ResourceExhausted", "bad_alloc")
"""What frameworks say where memory is short."""


def _timing(
    subject: Subject,
    bench: Bench,
    size: Size,
    *,
    timed: Timed | None = None,
    memory: int | None = None,
    name: str = "",
    failure: str = "",
) -> Timing:
    model = subject.manifest.model
    ratio = timed.ratio if timed else None
    return Timing(
        input=size,
        device=bench.device,
        device_name=name or this_machine().processor,
        precision=model.dtype if model else "",
        threads=bench.threads if bench.device == "cpu" else None,
        runs=len(timed.seconds) if timed else 0,
        median_ms=timed.median * 1000 if timed else None,
        p95_ms=timed.p95 * 1000 if timed else None,
        spread=timed.spread if timed else None,
        reference=bench.reference.id if bench.reference else "",
        reference_median_ms=statistics.median(timed.reference) * 1000 if timed and ratio else None,
        ratio=ratio,
        ratio_spread=timed.ratio_spread if timed else None,
        memory_mb=memory / 1e6 if memory is not None else None,
        failure=failure,
    )
