"""What a submission's model costs: a record of counts, times and phones, for all splits of a task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from evaluator.efficiency.counts import Counts
from evaluator.efficiency.hardware import Hardware
from evaluator.findings import Finding
from evaluator.text import safe

SCHEMA_VERSION: Literal[1] = 1
OUT_OF_MEMORY = "out of memory"
"""The failure of a run that was ended for its memory."""
OUT_OF_TIME = "out of time"
"""The failure of a run that was ended for its time."""

Pixels = Annotated[int, Field(ge=1, lt=1 << 20)]
InputSize = tuple[Pixels, Pixels]
"""Height and width."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Shown = Annotated[str, AfterValidator(safe)]
Words = Annotated[Shown, Field(max_length=200)]
DeviceId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timing(_Frozen):
    """How long a model takes on one machine for inputs of one size, beside a reference that ran in turn with it."""

    input: InputSize
    device: Literal["cpu", "cuda"]
    device_name: Words
    precision: Words
    """`float32`, `float16`, `int8`."""
    threads: Annotated[int, Field(ge=1)] | None
    """None where the device has none to choose."""
    runs: Annotated[int, Field(ge=0)]
    """How often it was timed, without warming up."""
    median_ms: Positive | None
    p95_ms: Positive | None
    spread: NotNegative | None
    """Interquartile range over median."""
    reference: Words
    """The id of the reference."""
    reference_median_ms: Positive | None
    ratio: Positive | None
    """The reference's time over the model's: higher is faster."""
    ratio_spread: NotNegative | None
    memory_mb: NotNegative | None
    """The most that the process took in a run, beyond what it had with the model loaded; in millions of bytes."""
    failure: Words = ""
    """Why there is no time: `out of memory`, `out of time`; empty if there is one."""

    @model_validator(mode="after")
    def _consistent(self) -> Timing:
        own = (self.median_ms, self.p95_ms, self.spread)
        beside = (self.reference_median_ms, self.ratio, self.ratio_spread)
        if self.failure:
            if {*own, *beside, self.memory_mb} != {None}:
                raise ValueError("a run that failed has no numbers")
            return self
        if self.median_ms is None or self.p95_ms is None or not self.runs:
            raise ValueError("a run has median_ms, p95_ms and runs, or says its failure")
        if self.p95_ms < self.median_ms:
            raise ValueError("p95_ms is below median_ms")
        if (self.ratio is None) != (self.reference_median_ms is None):
            raise ValueError("ratio and reference_median_ms belong together")
        if self.ratio is None and self.ratio_spread is not None:
            raise ValueError("ratio_spread needs ratio")
        return self


class DeviceCard(_Frozen):
    """A phone, or another device whose logs are brought from elsewhere."""

    id: DeviceId
    name: Annotated[Words, Field(min_length=1)]
    chipset: Words = ""
    cpu: Words = ""
    gpu: Words = ""
    ram_gb: Positive | None = None
    launched: Annotated[str, Field(pattern=r"^(\d{4}(-\d{2})?)?$")] = ""
    """Year, or year and month."""
    ai_score: Positive | None = None
    """Of AI Benchmark, as the source states it."""
    source: Annotated[Shown, Field(max_length=500)] = ""
    """Who says so."""

    @property
    def parts(self) -> str:
        """What is in it, in words."""
        ram = f"{self.ram_gb:g} GB" if self.ram_gb else ""
        return ", ".join(filter(None, (self.chipset, self.gpu, ram, self.launched)))


class PhoneRun(_Frozen):
    """What a log from a device says."""

    device: DeviceCard
    input: InputSize | None
    """None where it is not known."""
    backend: Words
    """What it ran on: `GPU delegate`, `NNAPI`, `CPU, 4 threads`; empty if the log does not say."""
    tool: Literal["ai_benchmark", "benchmark_model"] | None
    """The program whose log it is; None where it wrote none that can be told."""
    runs: Annotated[int, Field(ge=1)] | None = None
    mean_ms: Positive | None = None
    std_ms: NotNegative | None = None
    median_ms: Positive | None = None
    memory_mb: NotNegative | None = None
    """The most that the whole program took."""
    source_sha256: Sha256
    """sha256 of the log."""
    failure: Words = ""
    """Why there is no time; empty if there is one."""

    @model_validator(mode="after")
    def _consistent(self) -> PhoneRun:
        if self.failure and {self.runs, self.mean_ms, self.std_ms, self.median_ms} != {None}:
            raise ValueError("a run that failed has no numbers")
        if not self.failure and self.mean_ms is None:
            raise ValueError("a run has mean_ms, or says its failure")
        return self

    @property
    def key(self) -> tuple[str, InputSize | None, str]:
        """What a later run of the same kind takes the place of."""
        return self.device.id, self.input, self.backend


class Cost(_Frozen):
    """What a submission's model costs. One record for all splits of its task."""

    schema_version: Literal[1] = SCHEMA_VERSION
    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    submission: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
    version: Sha256 = ""
    """sha256 of the model's files that it was measured on, as in its scorecards; empty where only logs are known."""
    format: Words = ""
    parameters: Annotated[int, Field(ge=0)] | None = None
    """None if they cannot be told."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of the model's files; None where only logs are known."""
    counts: tuple[Counts, ...] = ()
    """One for each input size."""
    timings: tuple[Timing, ...] = ()
    """Of several for the same size and device, the first is the one that counts."""
    phones: tuple[PhoneRun, ...] = ()
    findings: tuple[Finding, ...] = ()
    harness: Words
    """The version of the harness that wrote it."""
    hardware: Hardware | None = None
    """The machine of the timings; None where nothing was timed here."""

    @model_validator(mode="after")
    def _consistent(self) -> Cost:
        sizes = [c.input for c in self.counts]
        if len(sizes) != len(set(sizes)):
            raise ValueError("there are two counts for one input size")
        keys = [p.key for p in self.phones]
        if len(keys) != len(set(keys)):
            raise ValueError("there are two phone runs of one device, input size and backend")
        if self.timings and self.hardware is None:
            raise ValueError("timings need the machine that they were taken on")
        return self

    def counts_at(self, size: InputSize) -> Counts | None:
        """Return what it costs for inputs of a size, or None if that was not counted."""
        return next((c for c in self.counts if c.input == size), None)

    def timing_at(self, size: InputSize, device: str) -> Timing | None:
        """Return how long it takes for inputs of a size on a device, or None if that was not tried."""
        return next((t for t in self.timings if t.input == size and t.device == device), None)

    def with_phones(self, runs: tuple[PhoneRun, ...]) -> Cost:
        """Return the record with these runs, in place of earlier ones of the same device, size and backend."""
        new = {run.key for run in runs}
        kept = [run for run in self.phones if run.key not in new]
        values = self.model_dump() | {"phones": sorted((*kept, *runs), key=lambda r: (r.device.id, str(r.key)))}
        return Cost.model_validate(values)

    def replacing(self, old: Cost | None) -> Cost:
        """Return this record with what it does not measure anew of the one that it replaces.

        Counts and times are taken over from a record of the very same files, and times of the same machine only. Logs
        of phones do not tell which file they are of: they are kept unless the old record is known to be of others.
        """
        if old is None or old.version not in ("", self.version):
            return self
        record = self
        if old.version == self.version and old.harness == self.harness:
            same_machine = self.hardware is None or self.hardware == old.hardware
            timed = {(t.input, t.device, t.threads, t.precision) for t in self.timings}
            kept = [t for t in old.timings if (t.input, t.device, t.threads, t.precision) not in timed]
            counts = {c.input: c for c in (*old.counts, *self.counts)}
            values = self.model_dump() | {
                "counts": sorted(counts.values(), key=lambda c: c.input[0] * c.input[1]),
                "timings": (*self.timings, *(kept if same_machine else ())),
                "hardware": self.hardware or old.hardware,
                "parameters": old.parameters if self.parameters is None else self.parameters,
            }
            record = Cost.model_validate(values)
        return record.with_phones(tuple(run for run in old.phones if run.key not in {r.key for r in self.phones}))
