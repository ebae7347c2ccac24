"""Boards that nobody scored: scorecards with drawn numbers, as many as a test or a benchmark of the pages wants."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluator import metrics
from evaluator.metrics import Score, State
from evaluator.results import CaseRow, MetricResult, Scorecard, Store
from evaluator.results.cases import write_cases
from evaluator.results.provenance import Environment
from evaluator.results.scorecard import DatasetInfo, SubmissionInfo
from evaluator.tasks import Task
from support import make_cost, make_counts, make_timing

HOSTILE = (
    "<script>document.title = 1</script><img src=x onerror=alert(1)>",
    '=cmd|" /C calc"!A0',
    "\u202eמתודה abc",
    "W" * 200,
    "' onclick='alert(1)' \"><b>",
)
"""Names as a team may send them: markup, a formula, right to left, very long without a space, ends of attributes."""

TRACKS = """
[[scores]]
id = "points"
title = "Points"
formula = "psnr - 100 * mae"
where = { psnr = "psnr.f64", mae = "mae" }

[[tracks]]
id = "gated"
title = "At least 34 dB"
by = ["points"]
gates = [{ metric = "psnr.f64", at_least = 34 }]

[[tracks]]
id = "both"
title = "Both ways"
by = ["psnr.f64", "mae"]
method = "mean_rank"

[splits.five]
"""
"""Tracks of the tiny task, to be put in place of its line `[splits.five]`."""

# By family: value of the first submission, step to the next, and how far cases are spread.
_SHAPES = {
    "psnr": (40.0, -0.12, 3.0),
    "ssim": (0.96, -0.002, 0.02),
    "ms_ssim": (0.98, -0.001, 0.01),
    "lpips": (0.12, 0.002, 0.03),
    "niqe": (4.0, 0.05, 0.5),
}


def put_board(
    root: Path, task: Task, split: str, submissions: int, cases: Sequence[str], *, names: Sequence[str] = HOSTILE
) -> Store:
    """Write scorecards and costs of so many submissions; in threes: those of one three are equal but for chance.

    The last one has no number for its first case. Every third has costs; every fifth is a baseline.

    Args:
        root: the folder of results.
        task: the task.
        split: the split's name.
        submissions: how many.
        cases: the ids of the cases.
        names: methods and teams of the first ones.
    """
    store = Store(root)
    random = np.random.default_rng(7)
    hard = random.normal(size=len(cases))
    for number in range(submissions):
        name = f"team-{number:02d}"
        lost = number == submissions - 1
        tables = {m: _drawn(m, number, hard, random) for m in task.spec.metrics}
        rows = [
            CaseRow(
                case,
                "" if lost and i == 0 else f"{case}.png",
                "" if lost and i == 0 else hashlib.sha256(f"{name}/{case}".encode()).hexdigest(),
                {m: _score(float(tables[m][i]), lost and i == 0) for m in task.spec.metrics},
            )
            for i, case in enumerate(cases)
        ]
        text = write_cases(rows, task.spec.metrics)
        said = names[number] if number < len(names) else f"Method {number}"
        info = SubmissionInfo(
            id=name,
            team=said if number < len(names) else f"Team {number}",
            method=said,
            description="Drawn numbers.",
            authors=(),
            affiliation=None,
            links={},
            kind="outputs",
            baseline=number % 5 == 4,
            digest=hashlib.sha256(name.encode()).hexdigest(),
            source=f"submissions/{name}",
            reported={},
        )
        store.write(
            Scorecard(
                status="incomplete" if lost else "complete",
                task=task.id,
                split=split,
                submission=info,
                dataset=DatasetInfo(digest="ab" * 32, cases=len(cases)),
                protocol=task.spec.protocol.model_dump(mode="json"),
                rules_digest=task.rules_digest(),
                metrics={m: _result(m, tables[m], lost) for m in task.spec.metrics},
                runtime=None,
                findings=(),
                environment=Environment.model_validate(_ENVIRONMENT),
                cases_sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
                started="2026-01-01T00:00:00Z",
                wall_time_s=1.0,
            ),
            text,
        )
        if number % 3 == 0:
            at = task.spec.cost.size
            macs = int(5e10 * 0.8**number) + 10_000_000
            counts, timings = (make_counts(macs, input=at),), (make_timing(input=at, median_ms=5.0 + number),)
            cost = make_cost(name, task=task.id, version="", parameters=macs // 1000, counts=counts, timings=timings)
            store.write_cost(cost)
    return store


_ENVIRONMENT = {
    "evaluator": "0",
    "python": "3.11",
    "packages": {"numpy": "2.0"},
    "hardware": {"processor": "p", "cores": 2, "memory_gib": 4.0, "system": "s"},
    "device": "cpu",
    "weights": {},
}


def _drawn(metric: str, number: int, hard: np.ndarray, random: np.random.Generator) -> np.ndarray:
    first, step, spread = _SHAPES.get(metric.partition(".")[0], (0.01, 0.0004, 0.002))
    sign = 1 if step < 0 else -1
    values = first + step * 3 * (number // 3) - sign * spread * hard + 0.1 * spread * random.normal(size=len(hard))
    return np.asarray(np.clip(values, 1e-4, 0.9999 if first < 1 else None))


def _score(value: float, lost: bool) -> Score:
    return Score(State.MISSING, None) if lost else Score(State.OK, value)


def _result(metric: str, values: np.ndarray, lost: bool) -> MetricResult:
    return MetricResult(
        state=State.INCOMPLETE if lost else State.OK,
        value=None if lost else float(values.mean()),
        cases=len(values),
        scored=len(values) - lost,
        lost=int(lost),
        contract=dataclasses.asdict(metrics.get(metric).contract),
    )
