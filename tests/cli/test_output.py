"""What is printed: no name steers the terminal, no table is cut in a log, no finding is lost."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.cli.output import RunProgress, print_findings, print_json, print_table, say
from evaluator.findings import Finding
from evaluator.text import safe


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "L", "N", "P", "S", "Zs"])))
def test_safe_text_holds_no_control_or_direction_characters(text: str) -> None:
    shown = safe(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs")]
    assert safe(shown) == shown


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\x9b2J", "\\u009b2J"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("one\ntwo\r", "one\\u000atwo\\u000d"),
        ("\udcff.png", "\\udcff.png"),
        ("Équipe – 图 ∞", "Équipe – 图 ∞"),
    ],
)
def test_characters_that_could_deceive_are_spelt_out_and_no_others(text: str, wanted: str) -> None:
    assert safe(text) == wanted


def test_messages_go_to_standard_error_and_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1bb")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a\\u001bb\n")


def test_json_goes_to_standard_output_and_refuses_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Équipe", "value": 0.1 + 0.2, "none": None})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"name": "Équipe", "value": 0.1 + 0.2, "none": None}
    assert err == ""
    with pytest.raises(ValueError, match="JSON"):
        print_json({"value": float("nan")})


def test_json_is_ascii_so_that_no_name_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["x\x9b2J", "a\u202egnp", "Équipe – 图", "\udcff.png", "\x1b[2J"]
    print_json(names)
    out = capsys.readouterr().out
    assert out.isascii()
    assert all(c.isprintable() or c == "\n" for c in out)
    assert json.loads(out) == names


def test_a_table_is_not_cut_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    long = "x" * 300
    print_table(["name", "what", "value"], [["a", long, "1.0"], ["b", "short", "12.25"]], text=(0, 1), title="t" * 120)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == "t" * 120
    (row,) = [line for line in lines if line.startswith("a")]
    assert long in row
    assert "…" not in "".join(lines)
    assert row.rstrip().endswith("  1.0"), "numbers stand to the right"


def test_cells_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name"], [["[bold]team[/bold]"], ["\x1b[2J"], [":smile:"], ["[/]"]])
    out = capsys.readouterr().out
    for shown in ("[bold]team[/bold]", "\\u001b[2J", ":smile:", "[/]"):
        assert shown in out
    assert "\x1b" not in out


def error(file: str, got: str = "none", code: str = "size") -> Finding:
    return Finding.error(code, file, "24×20", got, "Mend it.")


def test_findings_that_differ_only_in_the_file_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([error(f"{n}.png") for n in range(3)] + [error("other.png", got="20×24")])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "  error [size] 0.png, 1.png, 2.png: expected 24×20; got none. Mend it.",
        "  error [size] other.png: expected 24×20; got 20×24. Mend it.",
    ]


@pytest.mark.parametrize("alike", [True, False])
def test_a_thousand_findings_are_few_lines_that_say_how_many_more_there_are(
    capsys: pytest.CaptureFixture[str], alike: bool
) -> None:
    print_findings([error(f"{n}.png", got="none" if alike else str(n)) for n in range(1000)])
    err = capsys.readouterr().err
    assert len(err.splitlines()) <= 10
    assert f"and {1000 - (8 if alike else 16)} more" in err
    assert "--format json" in err


def test_names_in_findings_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([error("a\x1b]0;owned\x07.png")])
    assert "\\u001b]0;owned\\u0007.png" in capsys.readouterr().err


def test_progress_in_a_log_writes_no_line_for_each_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr("evaluator.cli.output.time.monotonic", lambda: next(clock))
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


def test_progress_in_a_log_says_how_long_the_rest_takes_at_the_pace_of_this_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("evaluator.cli.output.time.monotonic", lambda: now)
    progress = RunProgress("net", "steps")
    progress.begin(1000, 400)
    now += 30
    progress.advance(20)
    now += 9
    progress.advance(20)  # too soon for another line
    progress.end()
    assert capsys.readouterr().err.splitlines() == [
        "net: going on with 400 of 1000 steps from a run that was stopped.",
        "net: 420 of 1000 steps, 0:14:30 left",
    ]


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
