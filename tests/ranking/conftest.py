"""Scorecards made from numbers, as if they had been scored on the task as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from evaluator import metrics
from evaluator.metrics import Aggregate, Score, State
from evaluator.ranking import Board, rank
from evaluator.results import CaseRow, DatasetInfo, MetricResult, Scorecard, SubmissionInfo, environment
from evaluator.tasks import Task
from evaluator.tasks.manifests import manifest_digest

MakeCard = Callable[..., Scorecard]
Cases = dict[str, list[CaseRow]]
MakeBoard = Callable[..., tuple[Board, Cases]]


@pytest.fixture(scope="session")
def make_card() -> MakeCard:
    """Make a scorecard; each metric is given as a number, or as an aggregate, or is 0.5."""

    def make(
        task: Task,
        submission: str,
        values: Mapping[str, float | Aggregate],
        *,
        runtime_ratio: float | None = None,
        rules: str | None = None,
        dataset: str | None = None,
        started: str = "2020-01-01T00:00:00+00:00",
    ) -> Scorecard:
        split = task.spec.default_split
        cases = task.split_spec(split).count
        results = {}
        for metric in task.spec.metrics:
            value = values.get(metric, 0.5)
            aggregate = value if isinstance(value, Aggregate) else Aggregate(State.OK, value, cases, cases)
            results[metric] = MetricResult(**asdict(aggregate), contract=asdict(metrics.get(metric).contract))
        manifest = task.manifest(task.split_spec(split))
        return Scorecard(
            status="complete",
            task=task.id,
            split=split,
            submission=SubmissionInfo(
                id=submission,
                team=None,
                method=None,
                description="",
                authors=(),
                affiliation=None,
                links={},
                kind="outputs",
                baseline=False,
                digest="",
                source="",
                reported={} if runtime_ratio is None else {"runtime_ratio": runtime_ratio},
            ),
            dataset=DatasetInfo(digest=dataset or (manifest_digest(manifest) if manifest else "data"), cases=cases),
            protocol={},
            rules_digest=rules or task.rules_digest(),
            metrics=results,
            runtime=None,
            findings=(),
            environment=environment(()),
            cases_sha256="",
            started=started,
            wall_time_s=1.0,
        )

    return make


@pytest.fixture(scope="session")
def make_board(make_card: MakeCard) -> MakeBoard:
    """Make a board and its per-case tables: by submission and metric, a number or a state a case; others are 0.5."""

    def make(
        task: Task,
        values: Mapping[str, Mapping[str, Sequence[float | State]]],
        runtime_ratios: Mapping[str, float] | None = None,
        **ranking: Any,
    ) -> tuple[Board, Cases]:
        cards, tables = [], {}
        for name, given in values.items():
            count = len(next(iter(given.values())))
            columns = {m: [_score(v) for v in given.get(m, [0.5] * count)] for m in task.spec.metrics}
            aggregates = {
                m: metrics.aggregate(metrics.get(m).contract, scores, task.spec.ranking.missing)
                for m, scores in columns.items()
            }
            cards.append(make_card(task, name, aggregates, runtime_ratio=(runtime_ratios or {}).get(name)))
            tables[name] = [CaseRow(f"c{i}", "", "", {m: columns[m][i] for m in columns}) for i in range(count)]
        return rank(task, task.spec.default_split, cards, **ranking), tables

    return make


def _score(value: float | State) -> Score:
    return Score(value) if isinstance(value, State) else Score(State.OK, float(value))
