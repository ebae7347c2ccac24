"""Reproducible benchmark and leaderboards for image restoration and enhancement.

The public interface, loaded when it is first used::

    from pathlib import Path
    import evaluator

    task = evaluator.load_task("sidd")
    split = task.split("mini")                               # or task.split("validation", data=Path("/data"))
    outcomes = evaluator.check([Path("my_outputs")], split)  # findings, nothing scored
    outcomes = evaluator.score([Path("my_outputs")], split)  # scorecards in ./leaderboards
    board = evaluator.rank(task, "mini", evaluator.Store(Path("leaderboards")).read("sidd", "mini"))
    evaluator.build_site(Path("leaderboards"))
    evaluator.build_bundle("sidd", Path("my_bundle"), split="mini")  # for Codabench

    a, b = split.input("coffee-0").array, split.target("coffee-0").array  # (H, W, C)
    evaluator.metrics.compute("psnr.f64", output=a, reference=b, peak=255)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from evaluator._version import __version__

if TYPE_CHECKING:
    from evaluator import metrics
    from evaluator.bundle import Bundle, build_bundle
    from evaluator.findings import EvaluatorError, Finding, Severity
    from evaluator.ranking import Board, rank
    from evaluator.results import Scorecard, Store, case_table
    from evaluator.scoring import Outcome, check, score
    from evaluator.site import build_site
    from evaluator.tasks import Split, Task, load_task, task_ids

_HOME = {
    "Board": "evaluator.ranking",
    "Bundle": "evaluator.bundle",
    "EvaluatorError": "evaluator.findings",
    "Finding": "evaluator.findings",
    "Outcome": "evaluator.scoring",
    "Scorecard": "evaluator.results",
    "Severity": "evaluator.findings",
    "Split": "evaluator.tasks",
    "Store": "evaluator.results",
    "Task": "evaluator.tasks",
    "build_bundle": "evaluator.bundle",
    "build_site": "evaluator.site",
    "case_table": "evaluator.results",
    "check": "evaluator.scoring",
    "load_task": "evaluator.tasks",
    "rank": "evaluator.ranking",
    "score": "evaluator.scoring",
    "task_ids": "evaluator.tasks",
}

__all__ = [
    "Board",
    "Bundle",
    "EvaluatorError",
    "Finding",
    "Outcome",
    "Scorecard",
    "Severity",
    "Split",
    "Store",
    "Task",
    "__version__",
    "build_bundle",
    "build_site",
    "case_table",
    "check",
    "load_task",
    "metrics",
    "rank",
    "score",
    "task_ids",
]


def __getattr__(name: str) -> object:
    if name == "metrics":
        return importlib.import_module("evaluator.metrics")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'evaluator' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
