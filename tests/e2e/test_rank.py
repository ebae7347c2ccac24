"""`evaluate rank` on a tiny store: tracks, gates, intervals and formats."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from support import TOML, Run, Tiny

RULES = """
[[tracks]]
id = "gated"
title = "At least 40 dB"
by = ["points"]
gates = [{ metric = "psnr.f64", at_least = 40 }]

[[tracks]]
id = "both"
title = "Both ways"
by = ["psnr.f64", "mae"]
method = "mean_rank"

[[scores]]
id = "points"
title = "Points"
formula = "2 * psnr - 100 * mae"
where = { psnr = "psnr.f64", mae = "mae" }

[splits.five]
"""


@pytest.fixture
def store(tiny: Tiny, evaluate: Run) -> Path:
    """A task with tracks and three scored submissions: one of a team with a name that is none, one with a lost case."""
    tiny.toml.write_text(TOML.replace("[splits.five]\n", RULES, 1), encoding="utf-8")
    paths = [tiny.outputs("good", 1), tiny.outputs("poor", 9), tiny.outputs("lost", 2)]
    (paths[0] / "submission.toml").write_text('team = "=A|B <b>"\nkind = "outputs"\n', encoding="utf-8")
    (paths[2] / "a-1.png").unlink()
    done = evaluate("--task", tiny.toml, "--data", tiny.root, *paths)
    assert "Ranked by" in done.stdout, done.stderr
    return tiny.toml


def test_tracks_rank_the_same_scorecards_by_other_rules(store: Path, evaluate: Run) -> None:
    main = json.loads(evaluate("rank", "--task", store, "--format", "json").stdout)
    assert (main["track"], [row["rank"] for row in main["rows"]]) == (None, [1, 2, None])
    assert "uncertainty" not in main
    gated = evaluate("rank", "--task", store, "--track", "gated")
    assert "At least 40 dB" in gated.stdout
    assert "poor has no rank: psnr.f64 3" in gated.stdout
    assert "is below 40 dB: the gate." in gated.stdout
    assert "points is 2 * psnr - 100 * mae, where psnr is psnr.f64, mae is mae." in gated.stdout
    both = json.loads(evaluate("rank", "--task", store, "--track", "both", "--format", "json").stdout)
    assert [row["scores"]["mean_rank"]["value"] for row in both["rows"]] == [1.0, 2.0, None]
    shown = evaluate("tasks", "show", store).stdout
    assert "Track both: Both ways" in shown
    wrong = evaluate("rank", "--task", store, "--track", "gate")
    assert wrong.returncode == 2
    assert "Did you mean 'gated'?" in wrong.stderr


def test_intervals_are_in_every_format(store: Path, evaluate: Run) -> None:
    arguments = ("rank", "--task", store, "--track", "both", "--intervals", "--format")
    found = json.loads(evaluate(*arguments, "json").stdout)
    assert found["uncertainty"]["cases"] == 5
    good = found["uncertainty"]["rows"][0]
    assert (good["submission"], good["rank_interval"], good["first"]) == ("good", [1, 1], 1.0)
    low, high = good["intervals"]["psnr.f64"]
    assert low <= found["rows"][0]["metrics"]["psnr.f64"]["value"] <= high
    assert {other["name"] for other in found["sensitivity"]["metrics"]} >= {"ssim.basicsr", "points"}

    table = evaluate(*arguments, "table").stdout
    assert "rank 95 %" in table
    assert "Not told apart: (good, poor)." in table, "five cases are too few for the test"
    rows = list(csv.DictReader(io.StringIO(evaluate(*arguments, "csv").stdout)))
    assert [row["rank 95 %"] for row in rows] == ["1", "2", "–"]
    assert rows[0]["psnr.f64 95 %"] == f"[{low:.4f}, {high:.4f}]"
    assert rows[0]["team"].startswith("'=A|B <b>")
    assert rows[2]["remark"] == "no rank: 1 of 5 cases have no score"
    markdown = evaluate(*arguments, "markdown").stdout
    assert r"| =A\|B \<b\> |" in markdown
    assert r"=A\textbar{}B \textless{}b\textgreater{} &" in evaluate(*arguments, "latex").stdout


def test_a_per_case_table_that_was_changed_is_an_error_without_a_traceback(store: Path, evaluate: Run) -> None:
    (store.parent / "leaderboards" / "tiny" / "five" / "good" / "cases.csv").write_text("case\n", encoding="utf-8")
    assert evaluate("rank", "--task", store).returncode == 0
    done = evaluate("rank", "--task", store, "--intervals")
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
