"""Scorecard: the result of one submission on one split, with its provenance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evaluator.efficiency import Hardware, Runtime
from evaluator.findings import Finding
from evaluator.metrics import Aggregate, Contract, State
from evaluator.results.provenance import Environment, IsolationInfo

SCHEMA_VERSION: Literal[1] = 1


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubmissionInfo(_Strict):
    """Whose result it is."""

    id: str
    team: str | None
    method: str | None
    description: str
    authors: tuple[str, ...]
    affiliation: str | None
    links: dict[str, str]
    kind: str
    baseline: bool
    digest: str
    """sha256 over the sha256 of every output (of every file, for a model)."""
    source: str
    """Where its files were, relative to the leaderboards folder."""
    reported: dict[str, float]
    """What the team says; nothing of it was measured here."""


class DatasetInfo(_Strict):
    """What it was scored on."""

    digest: str
    cases: int


class MetricResult(_Strict):
    """One metric over the split: see `evaluator.metrics.Aggregate`; with the contract that was kept."""

    state: State
    value: float | None
    cases: int
    scored: int
    infinite: int = 0
    lost: int = 0
    substituted: int = 0
    not_applicable: int = 0
    partial: float | None = None
    detail: str = ""
    extra: dict[str, float] = {}
    """Means of what the metric publishes beside its value."""
    contract: dict[str, Any]

    @classmethod
    def of(cls, aggregate: Aggregate, contract: Contract) -> MetricResult:
        """Join an aggregate and its contract."""
        return cls(**asdict(aggregate), contract=asdict(contract))


class KeptRun(_Strict):
    """The run that made the outputs, where they were kept and scored again without it."""

    started: str
    evaluator: str
    hardware: Hardware
    outputs_sha256: str
    """sha256 over the sha256 of every output: those that were scored then, and again now."""
    rules_digest: str
    """The rules by which they were scored before."""


class GroupMean(_Strict):
    """One metric over the cases of one group."""

    state: State
    value: float | None
    cases: int


class Scorecard(_Strict):
    """The result of one submission on one split."""

    schema_version: Literal[1] = SCHEMA_VERSION
    status: Literal["complete", "incomplete"]
    """`incomplete`: at least one case has no score."""
    task: str
    split: str
    submission: SubmissionInfo
    dataset: DatasetInfo
    protocol: dict[str, Any]
    rules_digest: str
    """sha256 over protocol and metric versions: rows are comparable only where it is the same."""
    metrics: dict[str, MetricResult]
    groups: dict[str, dict[str, GroupMean]] = {}
    """Group of cases → metric → mean, where the split has groups (indoor, outdoor)."""
    arithmetic: Literal["plain", "compiled"] = "plain"
    """`compiled`: integer outputs were scored by `evaluator.metrics.fast`, within 1e-6 of the plain definitions."""
    runtime: Runtime | None
    findings: tuple[Finding, ...]
    environment: Environment
    isolation: IsolationInfo | None = None
    """None in scorecards from before there was any."""
    kept_run: KeptRun | None = None
    """For scores of kept outputs, the run that `runtime` and `isolation` are of. `environment` is of the scores."""
    cases_sha256: str
    """sha256 of the per-case table."""
    retried: tuple[str, ...] = ()
    """What the run had to do again for a fault that passed, a line each: no number depends on it."""
    started: str
    wall_time_s: float
