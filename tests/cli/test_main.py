"""The command as a whole: verbs, exit status, and which stream holds what."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from evaluator import __version__, training
from evaluator.cli import main as module
from evaluator.cli.main import cli, main
from evaluator.findings import EvaluatorError, Finding
from evaluator.images import encode_png

if TYPE_CHECKING:
    from support import Run, Tiny

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run `main` in this process, in a temporary folder; return exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        code = stopped.value.code
        assert code is None or isinstance(code, int)
        return code or 0, *capsys.readouterr()

    return run


def common(tiny: Tiny) -> list[str | Path]:
    return ["--task", tiny.toml, "--data", tiny.root, "--workers", "1"]


def test_help_lists_every_verb() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for verb in ("score", "check", "rank", "site", "tasks", "data", "metrics", "baseline"):
        assert f"\n  {verb}" in result.stdout


@pytest.mark.parametrize("verb", ["score", "check", "rank", "site", "tasks", "data", "metrics", "baseline"])
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "-h"])
    assert result.exit_code == 0
    assert f" {verb} " in result.stdout.splitlines()[0]


def test_help_does_not_import_what_computes() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from evaluator.cli.main import cli; "
        "CliRunner().invoke(cli, ['--help']); "
        "print([m for m in ('numpy', 'cv2', 'pydantic', 'pandas', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_told(call: Call) -> None:
    code, out, _ = call("--version")
    assert code == 0
    assert __version__ in out


@pytest.mark.parametrize(("word", "meant"), [("chekc", "check"), ("scroe", "score"), ("task", "tasks")])
def test_a_misspelt_verb_is_told_what_was_meant(call: Call, word: str, meant: str) -> None:
    code, out, err = call(word, "--task", "sidd")
    assert code == 2
    assert out == ""
    assert f"There is no verb '{word}'. Did you mean '{meant}'?" in err


def test_a_folder_named_like_a_verb_misspelt_is_a_submission(call: Call, tiny: Tiny) -> None:
    tiny.outputs("scores").rename(tiny.root / "scores")
    code, out, _ = call("scores", *common(tiny))
    assert code == 0
    assert "scores" in out


def test_score_is_the_default_verb(call: Call, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    code, out, err = call(folder, *common(tiny), "--leaderboards", "one")
    assert code == 0
    assert "Traceback" not in err
    assert call("score", folder, *common(tiny), "--leaderboards", "two")[:2] == (0, out)
    assert (Path("one/tiny/five/team/cases.csv")).read_bytes() == (Path("two/tiny/five/team/cases.csv")).read_bytes()


def test_options_may_stand_first(call: Call, tiny: Tiny) -> None:
    assert call(*common(tiny), tiny.outputs("team"))[0] == 0


def test_json_is_all_that_stands_on_standard_output(call: Call, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    (folder / "a-1.png").unlink()
    (folder / "b-1.png").write_bytes(encode_png(tiny.references["b-1"]))
    for verb, wanted in (("check", 2), ("score", 2)):
        code, out, err = call(verb, folder, *common(tiny), "--format", "json")
        assert code == wanted
        (found,) = json.loads(out)["submissions"]
        assert found["submission"] == "team"
        assert [f["code"] for f in found["findings"]] == ["equals-reference", "missing-output"]
        assert "missing-output" in err
    code, out, _ = call("rank", "--task", tiny.toml, "--format", "json")
    assert code == 0
    assert json.loads(out)["rows"][0]["reason"] == "1 of 5 cases have no score"


@pytest.mark.parametrize(
    "arguments",
    [("tasks",), ("tasks", "show", "dped"), ("metrics",), ("metrics", "explain", "mae"), ("baseline", "list")],
)
def test_lists_are_one_json_value_too(call: Call, arguments: tuple[str, ...]) -> None:
    code, out, err = call(*arguments, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_a_submission_with_nothing_wrong_ends_with_status_0(call: Call, tiny: Tiny) -> None:
    code, out, err = call("check", tiny.outputs("team"), *common(tiny))
    assert (code, out) == (0, "")
    assert "ready to be scored" in err


def test_an_absent_submission_ends_with_status_2_and_the_others_are_scored(call: Call, tiny: Tiny) -> None:
    code, out, err = call("absent.zip", tiny.outputs("team"), *common(tiny))
    assert code == 2
    assert "team" in out
    assert "absent.zip" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rank", "--task", "sid"), "Did you mean 'sidd'?"),
        (("rank", "--task", "sidd", "--split", "min"), "Did you mean 'mini'?"),
        (("rank", "--task", "sidd"), "There are no scorecards"),
        (("site",), "There are no scorecards"),
        (("metrics", "explain", "psnr"), "There is no metric 'psnr'"),
        (("baseline", "run", "identiti", "--task", "sidd"), "Did you mean 'identity'?"),
        (("check", "x", "--task", "absent.toml"), "absent.toml"),
    ],
)
def test_bad_use_is_a_message_and_status_2(call: Call, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("Error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("begun", [True, False])
def test_an_interrupted_training_goes_on_with_resume(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begun: bool
) -> None:
    def stopped(*_: object) -> None:
        if begun:
            (tmp_path / training.CHECKPOINT).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopped)
    code, out, err = call("train", "unet", "--task", "sidd", "--photographs", tmp_path, "--out", tmp_path)
    assert (code, out) == (130, "")
    assert err == f"Interrupted.{' The same command with --resume goes on from the last checkpoint.' * begun}\n"


def test_an_error_shows_its_findings_and_no_control_characters(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        finding = Finding.error("data-missing", "ref/\x1b[2J.png", "a readable file", "none", "Get it.")
        raise EvaluatorError("The data \u202e is not whole.", [finding])

    monkeypatch.setattr(cli, "main", fail)
    code, out, err = call()
    assert (code, out) == (2, "")
    assert err == (
        "Error: The data \\u202e is not whole.\n"
        "  error [data-missing] ref/\\u001b[2J.png: expected a readable file; got none. Get it.\n"
    )


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "goes on from there"),
        (click.Abort(), 130, "goes on from there"),
        (PermissionError(13, "Permission denied", "boards"), 2, "Permission denied: boards"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
    ],
)
def test_what_stops_a_run_has_its_status_and_message(
    call: Call, monkeypatch: pytest.MonkeyPatch, raised: BaseException, status: int, said: str
) -> None:
    def fail(**_: object) -> None:
        raise raised

    monkeypatch.setattr(cli, "main", fail)
    code, out, err = call()
    assert (code, out) == (status, "")
    assert said in err


def test_a_fault_of_the_program_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module.cli, "main", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main()


@pytest.mark.parametrize("verb", ["score", "check"])
def test_documents_that_a_star_brings_along_are_left_out_and_named(call: Call, tiny: Tiny, verb: str) -> None:
    folder = tiny.outputs("team")
    (folder.parent / "README.md").write_text("about")
    (folder.parent / ".git").mkdir()
    code, out, err = call(verb, folder.parent / "README.md", folder.parent / ".git", folder, *common(tiny))
    assert code == 0
    assert "README.md" in err
    assert ".git" in err
    assert "README" not in out
    code, _, err = call(verb, folder.parent / "README.md", *common(tiny))
    assert code == 2
    assert "no submission among the arguments" in err


@pytest.mark.parametrize(("place", "named"), [(".", "."), ("deep", ".."), ("deep/er", "../..")])
def test_the_folder_that_one_stands_in_or_below_is_a_submission(
    *, call: Call, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, named: str
) -> None:
    folder = tiny.outputs("team")
    (folder / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder / place)
    for verb in ("check", "score"):
        code, _, err = call(verb, named, *common(tiny), *(["--leaderboards", tmp_path] if verb == "score" else []))
        assert code == 0, err
        assert "Left out" not in err
    assert (tmp_path / "tiny/five/team/scorecard.json").is_file()


def test_pages_of_a_task_of_ones_own_are_made_if_its_file_is_named(call: Call, tiny: Tiny) -> None:
    call(tiny.outputs("team"), *common(tiny))
    code, out, err = call("site", "--data", tiny.root)
    assert (code, out) == (2, "")
    assert "evaluate site --task FILE.toml" in err
    code, out, err = call("site", "--data", tiny.root, "--task", tiny.toml)
    assert code == 0, err
    assert (Path(out.strip()).parent / "tiny/five/team/index.html").is_file()


def test_a_reader_that_stops_early_gets_no_traceback(command: str) -> None:
    with subprocess.Popen([command, "metrics"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the table is printed
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 1


def test_the_installed_command_scores_and_ranks(evaluate: Run, tiny: Tiny) -> None:
    done = evaluate(tiny.outputs("team"), *common(tiny))
    assert done.returncode == 0, done.stderr
    table = evaluate("rank", "--task", tiny.toml)
    assert table.returncode == 0
    assert table.stdout == done.stdout
    assert table.stderr == ""
    assert max(map(len, table.stdout.splitlines())) > 80, "a table in a pipe is not cut at 80 columns"
