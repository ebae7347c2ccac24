"""What the workers of a run must all know, sent to each process once; and what one is asked for at a time."""

from __future__ import annotations

import os
import pickle
import platform
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluator.findings import EvaluatorError
from evaluator.metrics.lpips_net import limit_threads
from evaluator.patience import noting
from evaluator.results import Environment, environment
from evaluator.runners.sandbox import Isolation, isolation
from evaluator.scoring.jobs import CaseJob, CaseResult, Provider, run_case
from evaluator.scoring.stages import Stages
from evaluator.tasks import Split

_KEPT = 2
_DIFFERS = "All workers of a run must compute the same digits: install the same versions there, or leave it out."


@dataclass(frozen=True)
class Plan:
    """What every worker knows."""

    split: Split
    metric_ids: Sequence[str]
    """Empty: only read the outputs and say what is wrong with them."""
    compiled: bool
    providers: Sequence[Provider]
    """Of all submissions of the run, by number."""
    isolation: Isolation
    """What the run was begun with: no worker may have less."""


class SharedPlan:
    """A plan for threads, which share it as it is; for other processes it is pickled as the name of a file."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Prepare.

        Args:
            plan: the plan.
            folder: where its file is written when it is first sent to another process; all workers must see it.
        """
        self._plan = plan
        self._file = folder / f"plan-{uuid.uuid4().hex}.pickle"
        self._lock = threading.Lock()
        self._environment: dict[str, Any] = {}

    def plan(self, group: tuple[int, ...]) -> Plan:
        """Return the plan, for submissions of a group."""
        return self._plan

    def __reduce__(self) -> tuple[Callable[..., SentPlan], tuple[Any, ...]]:
        with self._lock:
            if not self._environment:
                self._environment = _comparable(environment(self._plan.metric_ids))
                self._file.write_bytes(pickle.dumps(self._plan))
        return SentPlan, (str(self._file), self._environment, platform.node())


@dataclass(frozen=True)
class SentPlan:
    """What is sent in place of a plan; nothing is read or checked before a worker asks for it."""

    file: str
    environment: Mapping[str, Any]
    sender: str

    def plan(self, group: tuple[int, ...]) -> Plan:
        """Return the plan, read once in a process; of another group than before, end what reads or runs submissions.

        Raises:
            EvaluatorError: it cannot be read here, or this process would compute other digits or isolate less.
        """
        key = (os.getpid(), self.file)
        with _receiving:
            if key not in _received:
                plan = _read(self)
                while len(_received) >= _KEPT:
                    _received.pop(next(iter(_received)))
                _received[key] = _Received(plan, group)
            received = _received[key]
            if received.group != group:  # no job of the group before is left: the run goes on from group to group
                for number in set(received.group) - set(group):
                    received.plan.providers[number].release()
                received.group = group
            return received.plan


@dataclass(frozen=True)
class Chunk:
    """Some cases, and for each of them the submissions, by number, that still need it."""

    shared: SharedPlan | SentPlan
    group: tuple[int, ...]
    """The submissions, by number, that are scored together now."""
    cases: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass
class Done:
    """What came of a chunk."""

    results: list[tuple[int, CaseResult]] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)
    """Submissions that no more can be asked of, and why: the others of the run go on."""
    stages: Stages = field(default_factory=Stages)
    seconds: dict[str, float] = field(default_factory=dict)
    """By case."""
    retried: list[str] = field(default_factory=list)
    """What was read once more, a line each."""


def run_chunk(chunk: Chunk) -> Done:
    """Do the jobs of some cases.

    Raises:
        EvaluatorError: the data set itself is at fault, or this process may not work for the run.
    """
    plan, done = chunk.shared.plan(chunk.group), Done()
    with noting() as done.retried:
        for case, numbers in chunk.cases:
            begin = time.perf_counter()
            wanted = {number: plan.providers[number] for number in numbers if number not in done.broken}
            job = CaseJob(plan.split, case, wanted, plan.metric_ids, plan.compiled, done.stages, done.broken)
            done.results += run_case(job).items()
            done.seconds[case] = time.perf_counter() - begin
    return done


@dataclass
class _Received:
    plan: Plan
    group: tuple[int, ...]


_received: dict[tuple[int, str], _Received] = {}
_receiving = threading.Lock()


def _read(sent: SentPlan) -> Plan:
    import cv2

    here = platform.node()
    try:
        data = Path(sent.file).read_bytes()
    except OSError as error:
        raise EvaluatorError(
            f"The worker on {here} cannot read {sent.file} of {sent.sender} ({error.strerror}). Set TMPDIR to a folder "
            "that all machines share under one name, for all of them; data, submissions and weights must be there "
            "likewise."
        ) from None
    plan: Plan = pickle.loads(data)  # noqa: S301 - from a private folder of the process that runs us
    found, expected = _comparable(environment(plan.metric_ids)), sent.environment
    if found != expected:
        names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        which = "; ".join(f"{name}: {found.get(name)} instead of {expected.get(name)}" for name in names)
        raise EvaluatorError(f"The worker on {here} differs from {sent.sender}: {which}. {_DIFFERS}")
    proved = isolation(plan.isolation.level).level if here != sent.sender else plan.isolation.level
    if proved is not plan.isolation.level:
        raise EvaluatorError(
            f"The worker on {here} has isolation {proved}, {sent.sender} has {plan.isolation.level}: see `evaluate "
            "doctor` on both."
        )
    cv2.setNumThreads(1)  # the workers are the parallelism
    limit_threads(1)
    return plan


def _comparable(found: Environment) -> dict[str, Any]:
    """Return what digits depend on, flat."""
    values = found.model_dump(mode="json", exclude={"hardware"})
    packages, weights = values.pop("packages"), values.pop("weights")
    return {**values, **packages, **weights}
