"""The command with URLs, in real processes, against a web server: digits, exit statuses, no tracebacks, no secrets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator import score
from evaluator.cli.main import main
from remote_support import SECRET, serving
from support import Run, Tiny


@pytest.fixture
def base(tiny: Tiny, tmp_path: Path) -> Iterator[str]:
    """The URL of a server: the tiny task's data below `data/`, submissions below `teams/`."""
    shutil.copytree(tiny.root / "tiny", tmp_path / "site/data/tiny")
    for name, error in (("team_a", 4), ("team_b", 8)):
        shutil.copytree(tiny.outputs(name, error), tmp_path / "site/teams" / name)
    shutil.make_archive(str(tmp_path / "site/teams/packed"), "zip", tmp_path / "site/teams/team_b")
    (tmp_path / "site/teams/notes.txt").write_text("not a submission", encoding="utf-8")
    with serving(tmp_path / "site") as url:
        yield url


def test_data_and_submissions_behind_urls(
    evaluate: Run, tiny: Tiny, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "site")
    cache = {"EVALUATOR_CACHE": str(tmp_path / "cache")}
    arguments = ("--task", tiny.toml, "--data", f"{base}/data", "--format", "json", "--executor", "processes")
    done = evaluate(*arguments, "--workers", "2", f"{base}/teams/*", env=cache)
    assert done.returncode == 0, done.stderr
    found = {s["submission"]: s for s in json.loads(done.stdout)["submissions"]}
    assert {name: s["path"] for name, s in found.items()} == {
        name: f"{base}/teams/{file}"
        for name, file in (("packed", "packed.zip"), ("team_a", "team_a"), ("team_b", "team_b"))
    }
    assert f"Left out, being no submissions: {base}/teams/notes.txt" in done.stderr
    assert f"Fetching 10 files, 0.0 MB, from {base}/data/tiny." in done.stderr
    local = score([tiny.root / "submissions" / name for name in ("team_a", "team_b")], tiny.split)
    for outcome in local:
        assert outcome.card is not None
        for metric, result in outcome.card.metrics.items():
            assert found[outcome.card.submission.id]["metrics"][metric]["value"] == result.value
    again = evaluate("rescore", "--all", *arguments[:4], env=cache)
    assert again.returncode == 0, again.stderr
    assert f"from {base}/data/tiny" not in again.stderr, "the data set is fetched once"
    assert again.stderr.count("scored again") == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "{base}/data", "{base}/teams/none"), "There is no {base}/teams/none"),
        (("--data", "{base}/data", "{base}/teams/none.zip"), "There is no {base}/teams/none.zip"),
        (("--data", "{base}/data", "{base}/teams/none*"), "has a name like none*"),
        (("--data", "{base}/none", "{base}/teams/team_a"), "in {base}/none/tiny"),
        (("--data", "memory://none", "x.zip"), "memory://none (from --data) does not exist"),
        (("--data", "nosuchthing://bucket", "x.zip"), "nosuchthing"),
        (("--data", "{base}/data", "zip://a.png::{base}/x.zip"), "is a chain of URLs"),
        (("--data", "http://me:{secret}@127.0.0.1:1/data?{secret}", "x.zip"), "only a single file may be"),
        (("--data", "http://me:{secret}@127.0.0.1:1/data", "x.zip"), "http://127.0.0.1:1/data/tiny cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_status_2(
    tiny: Tiny,
    base: str,
    arguments: tuple[str, ...],
    said: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tiny.root)
    words = [a.format(base=base, secret=SECRET) for a in arguments]
    monkeypatch.setattr("sys.argv", ["evaluate", "--task", str(tiny.toml), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert ended.value.code == 2
    assert said.format(base=base) in err
    assert SECRET not in out + err


def test_tasks_and_verify_know_a_url(evaluate: Run, tiny: Tiny, base: str, tmp_path: Path) -> None:
    environment = {"EVALUATOR_CACHE": str(tmp_path / "cache"), "EVALUATOR_DATA": f"{base}/data"}
    listed = evaluate("tasks", env=environment)
    assert listed.returncode == 0, listed.stderr
    assert not (tmp_path / "cache/remote").exists(), "a list fetches nothing"
    verified = evaluate("data", "verify", tiny.toml, env=environment)
    assert verified.returncode == 0, verified.stderr
    assert "tiny/five: as published" in verified.stderr
