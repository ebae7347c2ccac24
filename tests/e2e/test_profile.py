"""`evaluate profile` as a user runs it, without any framework: the tests of formats have those."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support import Run


def profile(evaluate: Run, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = evaluate("profile", *arguments, "--format", "json")
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_code_without_a_network_is_timed_and_what_was_not_counted_is_said(evaluate: Run) -> None:
    found = profile(evaluate, "tv", "--input", "32x48", "--runtime", "--reference", "identity")
    assert found["submission"] == "tv"
    assert found["parameters"] is None
    assert found["inputs"] == []
    assert "cost-unseen" in [f["code"] for f in found["findings"]]
    (timing,) = found["timings"]
    assert timing["input"] == [32, 48]
    assert 0 < timing["median_ms"] <= timing["p95_ms"]
    assert timing["reference"] == "identity"
    assert timing["ratio"] < 1, "total variation is slower than doing nothing"
    assert timing["failure"] == ""
    assert timing["memory_mb"] > 0 or sys.platform != "linux"


def test_a_run_out_of_time_is_a_cross_with_its_reason_and_larger_ones_are_not_tried(
    evaluate: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "submission.toml").write_text('kind = "python"\n[python]\nentry = "slow:restore"\n')
    (folder / "slow.py").write_text(
        "def restore(image):\n    while image.shape[0] > 40: pass\n    return image\n", encoding="utf-8"
    )
    task = tmp_path / "quick.toml"
    from support import TOML

    task.write_text(TOML.replace("[ranking]", "[limits]\ncase_s = 1\n\n[ranking]", 1), encoding="utf-8")
    sizes = ("--input", "64x64", "--input", "32x32", "--input", "128x64")
    found = profile(evaluate, "slow", "--task", "quick.toml", "--runtime", "--reference", "identity", *sizes, status=2)
    by_size = {tuple(t["input"]): t for t in found["timings"]}
    assert by_size[32, 32]["median_ms"] > 0
    assert by_size[64, 64]["failure"] == "out of time"
    assert by_size[64, 64]["median_ms"] is None
    assert by_size[128, 64]["failure"] == "out of time at 64x64 already"
    record = json.loads((tmp_path / "leaderboards" / "costs" / "tiny" / "slow.json").read_text(encoding="utf-8"))
    assert [t["failure"] for t in record["timings"]] == [t["failure"] for t in found["timings"]]
    unknown = evaluate("profile", "slow", "--task", "quick.toml", "--input", "32x32")
    assert "Wrote" not in unknown.stderr, "nothing was measured, so that nothing is written"


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("nothing.onnx", "unreadable", "no such file"),
        ("srcn", "unreadable", "Did you mean 'srcnn'?"),
        ("tiny/ref", "no-model", "Outputs alone have no cost"),
    ],
)
def test_what_is_no_model_is_said(evaluate: Run, tmp_path: Path, model: str, code: str, words: str) -> None:
    (tmp_path / "tiny" / "ref").mkdir(parents=True)
    (tmp_path / "tiny" / "ref" / "a.png").write_bytes(b"")
    done = evaluate("profile", model)
    assert done.returncode == 2
    assert f"[{code}]" in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_size_is_height_x_width(evaluate: Run) -> None:
    done = evaluate("profile", "identity", "--input", "720")
    assert done.returncode == 2
    assert "720x1280" in done.stderr


def test_networks_without_weights_are_left_out_of_scoring(evaluate: Run) -> None:
    from evaluator.ingest import baselines_folder

    both = [str(baselines_folder() / name) for name in ("identity", "srcnn")]
    done = evaluate("check", "--task", "sidd", "--split", "mini", *both)
    assert done.returncode == 0, done.stderr
    assert "left out, without weights (see `evaluate profile`): srcnn" in done.stderr


def test_a_network_of_a_team_is_not_scored(evaluate: Run, tmp_path: Path) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    (folder / "submission.toml").write_text(
        'kind = "network"\n[network]\nentry = "net:build"\n[model]\nlayout = "NCHW"\nrange = [0, 1]\n', encoding="utf-8"
    )
    (folder / "net.py").write_text("def build():\n    return None\n", encoding="utf-8")
    done = evaluate("--task", "sidd", "--split", "mini", "team")
    assert done.returncode == 2
    assert "[no-weights]" in done.stderr
    assert "evaluate profile" in done.stderr
    profiled = evaluate("profile", "team")
    assert profiled.returncode == 2
    assert "a torch module or a Keras model" in profiled.stderr
