"""How a run goes on, on a terminal, in a log and as JSON events."""

from __future__ import annotations

import io

import pytest

from evaluator.cli.progress import RunProgress


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
