"""Submissions and data sets behind URLs are scored, and scored again, as those on this machine are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from evaluator.results import Store
from evaluator.scoring import check, rescore, score
from remote_support import SECRET, put, serving, store_in_memory
from support import Tiny

DATA, TEAMS = "memory://box/data", "memory://box/teams"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A store in memory, and a cache of this test."""
    monkeypatch.setenv("EVALUATOR_CACHE", str(tmp_path / "cache"))
    with store_in_memory() as fs:
        yield fs


def test_the_digits_are_those_of_local_files(tiny: Tiny, boards: Path, memory: Any) -> None:
    team, local = tiny.outputs("team"), boards.with_name("local")
    (team / "b-1.png").unlink()
    put(team, f"{TEAMS}/team")
    put(tiny.root / "tiny", f"{DATA}/tiny")
    packed = tiny.outputs("packed", error=7)
    memory.pipe_file("/box/teams/packed.zip", Path(shutil.make_archive(str(packed), "zip", packed)).read_bytes())
    behind = score([f"{TEAMS}/team", f"{TEAMS}/packed.zip"], tiny.task.split("five", DATA), leaderboards=boards)
    here = score([team, packed.with_suffix(".zip")], tiny.split, leaderboards=local)
    for one, other in zip(behind, here, strict=True):
        assert one.card is not None
        assert other.card is not None
        assert (one.id, one.message, one.findings) == (other.id, other.message, other.findings)
        table = f"tiny/five/{one.id}/cases.csv"
        assert (boards / table).read_bytes() == (local / table).read_bytes()
        different = {"submission", "started", "wall_time_s", "environment"}
        assert one.card.model_dump(exclude=different) == other.card.model_dump(exclude=different)
        assert one.card.submission.model_dump(exclude={"source"}) == other.card.submission.model_dump(
            exclude={"source"}
        )
    assert [o.card.submission.source for o in behind if o.card] == [f"{TEAMS}/team", f"{TEAMS}/packed.zip"]


def test_a_bad_one_never_stops_the_others_and_is_told_by_its_url(tiny: Tiny, boards: Path, memory: Any) -> None:
    put(tiny.outputs("good"), f"{TEAMS}/good")
    memory.pipe({"/box/teams/odd/x.png": b"x", "/box/teams/bad/a\\b.png": b"x", "/box/teams/torn.zip": b"PK\3\4"})
    names = ("odd", "bad", "torn.zip", "none", "good")
    outcomes = score([f"{TEAMS}/{name}" for name in names], tiny.split, leaderboards=boards)
    *others, good = outcomes
    assert good.card is not None
    for outcome, name in zip(others, names, strict=False):
        assert outcome.card is None
        assert str(outcome.path) == f"{TEAMS}/{name}"
        said = f"{outcome.message} {[f.line() for f in outcome.findings]}"
        assert f"{TEAMS}/{name}" in said
        assert tempfile.gettempdir() not in said, "the copy's own path says nothing to anybody"
    codes = [{f.code for f in o.findings} for o in others]
    assert codes == [{"no-outputs", "unexpected-file"}, {"unsafe-name"}, {"archive"}, set()]
    (found,) = check([f"{TEAMS}/odd"], tiny.split)
    assert found.has_errors


def test_copies_are_gone_afterwards(
    tiny: Tiny, boards: Path, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tiny.outputs("team"), f"{TEAMS}/team")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    score([f"{TEAMS}/team", f"{TEAMS}/none"], tiny.split, leaderboards=boards)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_was_read_again_stands_in_the_scorecard(
    tiny: Tiny, boards: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tiny.outputs("team"), f"{TEAMS}/team")
    put(tiny.root / "tiny", f"{DATA}/tiny")
    failed, real = set[str](), MemoryFileSystem.get_file

    def get_file(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        if rpath.endswith("/a-1.png") and rpath not in failed:
            failed.add(rpath)
            raise ConnectionResetError("reset by the store")
        real(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    (outcome,) = score([f"{TEAMS}/team"], tiny.task.split("five", DATA), leaderboards=boards)
    assert outcome.card is not None
    again = "read again after reset by the store"
    assert outcome.card.retried == (f"in/a-1.png: {again}", f"ref/a-1.png: {again}", f"a-1.png: {again}")


def test_outputs_behind_a_url_are_scored_again(tiny: Tiny, boards: Path, memory: Any) -> None:
    put(tiny.outputs("team"), f"{TEAMS}/team")
    score([f"{TEAMS}/team"], tiny.split, leaderboards=boards)
    before = (boards / "tiny/five/team/cases.csv").read_bytes()
    (found,) = rescore(tiny.split, leaderboards=boards, everything=True)
    assert (found.state, found.after.submission.source) == ("rescored", f"{TEAMS}/team")
    assert (boards / "tiny/five/team/cases.csv").read_bytes() == before
    memory.pipe_file("/box/teams/team/a-1.png", memory.cat_file("/box/teams/team/a-2.png"))
    (found,) = rescore(tiny.split, leaderboards=boards, everything=True)
    assert found.state == "refused"
    assert f"case a-1 in {TEAMS}/team is not the one that was scored" in found.why
    memory.rm("/box/teams/team", recursive=True)
    (found,) = rescore(tiny.split, leaderboards=boards, everything=True)
    assert found.state == "refused"
    assert f"There is no {TEAMS}/team" in found.why


def test_nothing_secret_gets_into_results(tiny: Tiny, boards: Path, tmp_path: Path) -> None:
    team = tiny.outputs("team")
    shutil.make_archive(str(tmp_path / "site/team"), "zip", team)
    with serving(tmp_path / "site") as base:
        url = f"{base.replace('http://', f'http://me:{SECRET}@')}/team.zip?sig={SECRET}"
        outcomes = score([url, url.replace("team.zip", "none.zip")], tiny.split, leaderboards=boards)
        assert outcomes[0].card is not None
        assert outcomes[0].card.submission.source == f"{base}/team.zip"
        shown = [f"{o} {o.path} {o.message}" for o in outcomes]
        written = [p.read_text(encoding="utf-8") for p in boards.rglob("*") if p.is_file()]
        assert written
        assert SECRET not in "".join(shown + written)
        (found,) = rescore(tiny.split, leaderboards=boards, everything=True)
        assert found.state == "rescored", "this server asks for no password"
    (found,) = rescore(tiny.split, leaderboards=boards, everything=True)
    assert found.state == "refused"
    assert "keep no password and no query" in found.why


def test_a_local_folder_after_a_url_is_said_to_replace_it(tiny: Tiny, boards: Path, memory: Any) -> None:
    team = tiny.outputs("team")
    put(team, f"{TEAMS}/team")
    score([f"{TEAMS}/team"], tiny.split, leaderboards=boards)
    (same,) = score([f"{TEAMS}/team"], tiny.split, leaderboards=boards)
    (other,) = score([team], tiny.split, leaderboards=boards)
    assert [f.code for f in same.findings] == []
    assert [(f.code, f.got) for f in other.findings] == [("replaces", f"it replaces the result of {TEAMS}/team")]


def test_a_file_url_is_a_local_path_with_its_checks(tiny: Tiny, boards: Path) -> None:
    team = tiny.outputs("team")
    (outcome,) = score([team.as_uri()], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert (Store(boards).root / outcome.card.submission.source).resolve() == team
    (team / "a-1.png").unlink()
    (team / "a-1.png").symlink_to(tiny.root / "tiny/ref/a-1.png")
    (linked,) = score([team.as_uri()], tiny.split, leaderboards=boards)
    assert "not-a-file" in {f.code for f in linked.findings}
