"""A scorecard to write and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evaluator import metrics
from evaluator.findings import Finding
from evaluator.metrics import Score, State
from evaluator.results import DatasetInfo, MetricResult, Scorecard, SubmissionInfo, environment

MakeCard = Callable[..., Scorecard]


@pytest.fixture(scope="session")
def make_card() -> MakeCard:
    """Make a scorecard of one metric over two cases; keywords replace its fields."""

    def make(submission: str = "team", **changes: Any) -> Scorecard:
        contract = metrics.get("psnr.f64").contract
        scores = [Score(State.OK, 0.1 + 0.2), Score(State.INFINITE, detail="identical")]
        fields: dict[str, Any] = {
            "status": "complete",
            "task": "tiny",
            "split": "five",
            "submission": SubmissionInfo(
                id=submission,
                team="Équipe – 图",
                method=None,
                description="",
                authors=("A", "B"),
                affiliation=None,
                links={"code": "https://example.org"},
                kind="outputs",
                baseline=False,
                digest="00",
                source="../submissions/team",
                reported={"runtime_ratio": 1.5},
            ),
            "dataset": DatasetInfo(digest="11", cases=2),
            "protocol": {"clip": True},
            "rules_digest": "22",
            "metrics": {"psnr.f64": MetricResult.of(metrics.aggregate(contract, scores, "unranked"), contract)},
            "runtime": None,
            "findings": (Finding.note("junk", "._a", "outputs", "1 system file", "Left out."),),
            "environment": environment(()),
            "cases_sha256": "33",
            "started": "2020-01-02T03:04:05+00:00",
            "wall_time_s": 0.5,
        }
        return Scorecard(**{**fields, **changes})

    return make
