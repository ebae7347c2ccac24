"""`evaluate phones`, through real subprocesses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator.results import Store
from support import make_cost

if TYPE_CHECKING:
    from support import Run

LOG = "Inference #1, ms: 41\nInference #2, ms: 40\nAvg Latency, ms: 40.5\nLatency STD, ms: 0.5\n"
SAID = ("--task", "dped", "--submission", "team")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "run.log"
    file.write_text(LOG, encoding="utf-8")
    return file


def test_a_log_is_added_to_the_costs(evaluate: Run, tmp_path: Path, log: Path) -> None:
    store = Store(tmp_path / "leaderboards")
    done = evaluate(
        "phones", "import", log, *SAID, "--device", "samsung-a50", "--input", "720x1280", "--backend", "GPU"
    )
    assert done.returncode == 0, done.stderr
    assert "team: 40.5 ms on Samsung A50 (GPU) at 720×1280" in done.stdout
    assert "no scorecard of team" in done.stderr
    cost = store.read_cost("dped", "team")
    assert cost is not None
    assert (cost.parameters, cost.version, cost.hardware) == (None, "", None)
    assert [(p.device.id, p.input, p.mean_ms) for p in cost.phones] == [("samsung-a50", (720, 1280), 40.5)]


def test_what_was_profiled_stays_and_a_failure_can_be_told(evaluate: Run, tmp_path: Path, log: Path) -> None:
    store = Store(tmp_path / "boards")
    store.write_cost(make_cost("team"))
    log.write_text("ERROR: allocation failed", encoding="utf-8")
    done = evaluate(
        *("phones", "import", log, *SAID, "--device", "realme-8-pro", "--input", "256x256"),
        *("--failed", "out of memory", "--leaderboards", tmp_path / "boards"),
    )
    assert done.returncode == 0, done.stderr
    assert "× (out of memory)" in done.stdout
    assert "The board of dped shows 720×1280" in done.stderr
    cost = store.read_cost("dped", "team")
    assert cost is not None
    assert cost.model_copy(update={"phones": ()}) == make_cost("team")
    assert [p.failure for p in cost.phones] == ["out of memory"]


def test_a_phone_of_ones_own(evaluate: Run, tmp_path: Path, log: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text('id = "mine"\nname = "My phone"\n', encoding="utf-8")
    done = evaluate("phones", "import", log, *SAID, "--device", "mine", "--device-card", card)
    assert done.returncode == 0, done.stderr
    assert "40.5 ms on My phone, at an input size that is not known" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "samsung-a5"], "Did you mean 'samsung-a50'"),
        (["--device", "samsung-a50", "--input", "720"], "'720' is no size"),
        (["--device", "samsung-a50", "--submission", "../x"], "'../x' is no id"),
        (["--device", "samsung-a50", "--task", "dpet"], "Did you mean 'dped'"),
        (["--device", "samsung-a50", "--failed", "out of time"], "phone-log"),
        (["--device", "samsung-a50", "--device-card", "none.toml"], "none.toml cannot be read"),
    ],
)
def test_bad_use_is_an_error_without_a_traceback(
    evaluate: Run, tmp_path: Path, log: Path, arguments: list[str], words: str
) -> None:
    done = evaluate("phones", "import", log, *SAID, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "leaderboards").exists()


def test_a_file_that_is_no_log_is_refused_with_a_finding(evaluate: Run, log: Path) -> None:
    log.write_text("hello", encoding="utf-8")
    done = evaluate("phones", "import", log, *SAID, "--device", "samsung-a50")
    assert done.returncode == 2
    assert "[phone-log]" in done.stderr


def test_devices_are_listed(evaluate: Run) -> None:
    assert "Snapdragon 720G" in evaluate("phones", "devices").stdout
    cards = json.loads(evaluate("phones", "devices", "--format", "json").stdout)
    assert {"samsung-a50", "oneplus-8-pro"} <= {card["id"] for card in cards}
