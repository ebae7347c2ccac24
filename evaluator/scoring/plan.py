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
    """A plan that is pickled as the name of a file, which each process reads once; threads share it as it is."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Prepare.

        Args:
            plan: the plan.
            folder: where its file is written when it is first sent to another process; all workers must see it.
        """
        self.plan = plan
        self._file = folder / f"plan-{uuid.uuid4().hex}.pickle"
        self._lock = threading.Lock()
        self._environment: dict[str, Any] = {}

    def __reduce__(self) -> tuple[Callable[..., SharedPlan], tuple[Any, ...]]:
        with self._lock:
            if not self._environment:
                self._environment = _comparable(environment(self.plan.metric_ids))
                self._file.write_bytes(pickle.dumps(self.plan))
        return _received, (str(self._file), self._environment, platform.node())

    def remove(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Chunk:
    """Some cases, and for each of them the submissions, by number, that still need it."""

    shared: SharedPlan
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
        EvaluatorError: the data set itself is at fault.
    """
    plan, done = chunk.shared.plan, Done()
    with noting() as done.retried:
        for case, numbers in chunk.cases:
            begin = time.perf_counter()
            wanted = {number: plan.providers[number] for number in numbers if number not in done.broken}
            job = CaseJob(plan.split, case, wanted, plan.metric_ids, plan.compiled, done.stages, done.broken)
            done.results += run_case(job).items()
            done.seconds[case] = time.perf_counter() - begin
    return done


_received_plans: dict[tuple[int, str], SharedPlan] = {}
_receiving = threading.Lock()


def _received(name: str, expected: Mapping[str, Any], sender: str) -> SharedPlan:
    """Return a plan that another process wrote.

    Raises:
        EvaluatorError: it cannot be read here, or this process would compute other digits or isolate less.
    """
    key = (os.getpid(), name)
    with _receiving:
        if key not in _received_plans:
            shared = _read(Path(name), expected, sender)
            while len(_received_plans) >= _KEPT:
                _received_plans.pop(next(iter(_received_plans)))
            _received_plans[key] = shared
        return _received_plans[key]


def _read(file: Path, expected: Mapping[str, Any], sender: str) -> SharedPlan:
    import cv2

    here = platform.node()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise EvaluatorError(
            f"The worker on {here} cannot read {file} of {sender} ({error.strerror}). Set TMPDIR to a folder that all "
            "machines share under one name, for all of them; data, submissions and weights must be there likewise."
        ) from None
    plan: Plan = pickle.loads(data)  # noqa: S301 - from a private folder of the process that runs us
    found = _comparable(environment(plan.metric_ids))
    if found != expected:
        names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        which = "; ".join(f"{name}: {found.get(name)} instead of {expected.get(name)}" for name in names)
        raise EvaluatorError(f"The worker on {here} differs from {sender}: {which}. {_DIFFERS}")
    proved = isolation(plan.isolation.level).level if here != sender else plan.isolation.level
    if proved is not plan.isolation.level:
        raise EvaluatorError(
            f"The worker on {here} has isolation {proved}, {sender} has {plan.isolation.level}: see `evaluate doctor` "
            "on both."
        )
    cv2.setNumThreads(1)  # the workers are the parallelism
    limit_threads(1)
    return SharedPlan(plan, file.parent)


def _comparable(found: Environment) -> dict[str, Any]:
    """Return what digits depend on, flat."""
    values = found.model_dump(mode="json", exclude={"hardware"})
    packages, weights = values.pop("packages"), values.pop("weights")
    return {**values, **packages, **weights}
