"""A run that is killed goes on where it was, and ends with the scorecard of a run that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import encode_png
from support import TOML, Run

CASES = 120


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A task of 120 cases of 200×200, and a submission for it: seconds of work, so that it is stopped in the middle."""
    random = np.random.default_rng(5)
    for case in range(CASES):
        clean = random.integers(0, 256, (200, 200, 3)).astype(np.uint8)
        for folder, image in (("tiny/in", clean), ("tiny/ref", clean), ("team", clean ^ 3)):
            path = tmp_path / folder / f"{case}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(image))
    text = TOML.replace("count = 5", f"count = {CASES}").replace("size = [24, 20]", "size = [200, 200]")
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    return tmp_path


def without_times(card: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads(card.read_text(encoding="utf-8"))
    del values["started"], values["wall_time_s"]
    return values


def heeds_interrupts() -> None:
    """Undo what a shell does to commands in the background: they, and all that they start, ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_resumes(evaluate: Run, command: str, many: Path, ending: signal.Signals) -> None:
    arguments = ["--task", "tiny.toml", "--data", ".", "--workers", "2", "--leaderboards"]
    assert evaluate(*arguments, "whole", "team").returncode == 0

    journal = many / "cut" / "tiny" / "five" / "team" / "journal.jsonl"
    with subprocess.Popen(
        [command, *arguments, "cut", "team"],
        cwd=many,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_interrupts,  # noqa: PLW1509 - no threads run yet
    ) as process:
        limit = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
            assert process.poll() is None, "the run ended before it could be stopped"
            assert time.monotonic() < limit
            time.sleep(0.001)
        os.kill(process.pid, ending)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert process.returncode == (130 if ending == signal.SIGINT else -9)
    assert not (many / "cut" / "tiny" / "five" / "team" / "scorecard.json").exists()
    finished = journal.read_bytes().count(b"\n") - 1
    assert 5 <= finished < CASES

    again = evaluate(*arguments, "cut", "team", "--format", "json")
    assert again.returncode == 0, again.stderr
    (outcome,) = json.loads(again.stdout)["submissions"]
    assert outcome["resumed"] == finished, "finished cases must not be scored twice"
    assert not journal.exists()
    whole, cut = (many / name / "tiny" / "five" / "team" for name in ("whole", "cut"))
    assert without_times(whole / "scorecard.json") == without_times(cut / "scorecard.json")
    assert (whole / "cases.csv").read_bytes() == (cut / "cases.csv").read_bytes()
