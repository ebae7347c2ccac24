"""The classical baselines on the mini splits, by the commands: each runs, each has a rank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluator.ingest import baseline_manifest, baselines_folder
from evaluator.scoring import scoreable_baselines
from evaluator.tasks import load_task, task_ids
from support import Run

# Of networks with weights, test_trained.py.
QUICK = {
    name
    for name in scoreable_baselines()
    if not (baseline_manifest(name).baseline.by_name or baseline_manifest(name).network)
}
# All on the smallest split; of the others two or so, for time: each task, and each baseline on a task that it is for.
RUNS = {
    "dped": ("identity", "bilateral", "nlm", "tv", "unsharp", "wavelet"),
    "sidd": ("identity", "wavelet", "nlm"),
    "low-light": ("identity", "clahe", "he", "lime-guo", "retinex"),
    "exdark": ("identity", "he"),
    "gopro": ("identity", "unsharp"),
    "udc": ("identity", "wiener-psf"),
    "udc-float": ("identity", "unsharp"),
    "dpd-blur": ("identity", "nlm"),
    "ddd-syn": ("identity", "bilateral"),
    "rdpd": ("identity", "unsharp"),
    "dpd-disp": ("identity", "tv"),
}


def test_every_task_and_every_baseline_occurs() -> None:
    assert set(RUNS) == {task for task in task_ids() if "mini" in load_task(task).spec.splits}
    assert {name for names in RUNS.values() for name in names} == QUICK


@pytest.mark.slow
@pytest.mark.parametrize("task", RUNS)
def test_baselines_are_scored_and_ranked(
    evaluate: Run, task: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    env = {}
    if "niqe.live" in load_task(task).spec.ranking.by:
        env["EVALUATOR_WEIGHTS"] = str(request.getfixturevalue("data_root") / "weights" / "niqe")
    where = ("--task", task, "--split", "mini", "--leaderboards", tmp_path / "boards")
    done = evaluate(*where, *(baselines_folder() / name for name in RUNS[task]), env=env)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stderr
    board = evaluate("rank", *where, "--format", "json", env=env)
    assert board.returncode == 0, board.stderr
    ranks = {row["submission"]: row["rank"] for row in json.loads(board.stdout)["rows"]}
    assert set(ranks) == set(RUNS[task])
    assert all(rank is not None and 1 <= rank <= len(ranks) for rank in ranks.values()), ranks
