"""How a run goes on, on a terminal, in a log and as JSON events."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from subprocess import CompletedProcess

import pytest

from evaluator.cli.output import log_as, say
from evaluator.cli.progress import RunProgress
from support import Run, Tiny


def test_progress_in_a_log_writes_no_line_for_each_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr("evaluator.cli.progress.time.monotonic", lambda: next(clock))
    progress = RunProgress("tiny/five")
    progress.begin(100, 40)
    for _ in range(60):
        progress.advance(1)
    progress.end()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert "going on with 40 of 100" in lines[0]
    assert 1 < len(lines) <= 7  # one a ten seconds, not one a case
    assert "\r" not in err
    assert "\x1b" not in err


def test_progress_on_a_terminal_is_a_bar_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, out = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", out)
    progress = RunProgress("tiny/five")
    progress.begin(10, 0)
    progress.advance(10)
    progress.end()
    assert "tiny/five" in screen.getvalue()
    assert out.getvalue() == ""


@pytest.fixture
def _as_json() -> Iterator[None]:
    log_as("json")
    yield
    log_as("text")


@pytest.mark.usefixtures("_as_json")
def test_events_are_one_json_object_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("evaluator.cli.progress.time.monotonic", lambda: clock[0])
    progress = RunProgress("tiny/five", submissions=2, cases=5)
    progress.begin(10, 2)
    clock[0] = 11.0
    progress.advance(1, "team \x1b[31m\n")
    clock[0] = 40.0
    progress.advance(3, "other")
    progress.tell("retried", message="a.png: read again after Input/output error")
    progress.end()
    say("a message\nof two lines")
    out, err = capsys.readouterr()
    assert out == ""
    events = [json.loads(line) for line in err.splitlines()]
    assert [e["event"] for e in events] == ["run-started", "progress", "progress", "retried", "message"]
    assert all(datetime.fromisoformat(e["time"]).tzinfo for e in events)
    assert events[0] | {"time": ""} == {
        "time": "", "event": "run-started", "label": "tiny/five", "total": 10, "resumed": 2,
    }  # fmt: skip
    last = events[2]
    assert (last["done"], last["total"], last["submissions"]) == (6, 10, {"team \x1b[31m\n": 1, "other": 3})
    assert (last["per_s"], last["eta_s"]) == (0.1, 40.0), "what was resumed counts for no throughput"
    assert "\x1b" not in err


def test_a_bar_for_each_submission_where_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    for count in (2, 13):
        progress = RunProgress("tiny/five", submissions=count, cases=5)
        progress.begin(5 * count, 0)
        for number in range(count):
            progress.advance(5, f"team-{count}-{number}")
        progress.end()
    assert "team-2-0" in screen.getvalue()
    assert "team-2-1" in screen.getvalue()
    assert "team-13-0" not in screen.getvalue()


def test_the_time_left_is_said_in_a_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("evaluator.cli.progress.time.monotonic", lambda: clock[0])
    progress = RunProgress("tiny/five")
    progress.begin(1000, 0)
    clock[0] = 200.0
    progress.advance(100)
    assert "100 of 1000 case scores, 0.5 a second, 30 min to go" in capsys.readouterr().err


def run_with(evaluate: Run, tiny: Tiny, *more: object) -> CompletedProcess[str]:
    folder = tiny.root / "submissions" / "team"
    if not folder.exists():
        tiny.outputs("team")
    return evaluate("--task", tiny.toml, "--data", tiny.root, "--leaderboards", tiny.root / "boards", *more, folder)


def test_the_report_says_where_the_time_went(evaluate: Run, tiny: Tiny) -> None:
    said = run_with(evaluate, tiny, "--report").stderr
    assert "5 case scores in " in said
    assert "Time of the workers: " in said
    assert "References read: 5; kept for another submission: 0." in said
    assert "Slowest cases: " in said
    assert "Slowest cases" not in run_with(evaluate, tiny).stderr


def test_a_log_of_events_holds_nothing_else(evaluate: Run, tiny: Tiny) -> None:
    done = run_with(evaluate, tiny, "--log", "json", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["task"] == "tiny"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [e["event"] for e in events] == ["run-started", "submission-finished", "run-finished"]
    assert events[1]["status"] == "complete"
    assert (events[2]["scores"], events[2]["references"], events[2]["retried"]) == (5, 5, [])
    assert set(events[2]["stages"]) == {"references", "outputs", "models", "metrics", "looks"}
    absent = run_with(evaluate, tiny, "--log", "json", "absent.zip")
    assert absent.returncode == 2
    (failed,) = [e for e in map(json.loads, absent.stderr.splitlines()) if e["event"] == "submission-failed"]
    assert (failed["submission"], failed["message"]) == ("absent.zip", "absent.zip is no submission.")
    twin = tiny.outputs("elsewhere")
    (twin / "submission.toml").write_text('id = "team"')
    events = [json.loads(line) for line in run_with(evaluate, tiny, "--log", "json", twin).stderr.splitlines()]
    told = [(e["event"], e["submission"]) for e in events if "submission" in e]
    assert told == [("submission-failed", str(twin)), ("submission-finished", "team")]
    (tiny.root / "tiny/ref/a-1.png").unlink()
    faulty = run_with(evaluate, tiny, "--log", "json")
    assert faulty.returncode == 2
    assert all(json.loads(line)["event"] == "message" for line in faulty.stderr.splitlines())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler and --resources are for Dask: add --executor dask."),
        (["--resources", "GPU=1"], "--scheduler and --resources are for Dask"),
        (["--executor", "dask", "--resources", "GPU"], "'GPU' is not NAME=NUMBER, such as GPU=1"),
    ],
)
def test_wrong_options_are_said(evaluate: Run, tiny: Tiny, options: list[str], message: str) -> None:
    done = run_with(evaluate, tiny, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
