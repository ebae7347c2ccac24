"""Kept outputs are scored again by new rules: the same digits as a new run would give, and no model is run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.metrics import State
from evaluator.results import Scorecard, Store
from evaluator.scoring import rescore, score
from evaluator.scoring.engine import digest_of_outputs

if TYPE_CHECKING:
    from support import Tiny

ADDED = "psnr.y601"
BRIGHTER = """
def restore(image):
    if image.mean() > {limit}:
        raise ValueError("too bright")
    return image
"""


def new_rules(tiny: Tiny) -> None:
    """Have the task take one more metric."""
    text = tiny.toml.read_text(encoding="utf-8")
    tiny.toml.write_text(text.replace('"rmse_rel"]', f'"rmse_rel", "{ADDED}"]'), encoding="utf-8")


def files(boards: Path, name: str) -> tuple[bytes, bytes]:
    folder = Store(boards).folder("tiny", "five", name)
    return (folder / "scorecard.json").read_bytes(), (folder / "cases.csv").read_bytes()


def numbers(card: Scorecard) -> dict[str, Any]:
    """What must be the same however the outputs came."""
    values = card.model_dump(mode="json")
    for name in ("started", "wall_time_s", "runtime", "kept_run", "environment"):
        del values[name]
    return values


@pytest.fixture
def card(boards: Path) -> Callable[[str], Scorecard]:
    def read(name: str) -> Scorecard:
        return next(c for c in Store(boards).read("tiny", "five") if c.submission.id == name)

    return read


def test_a_models_outputs_are_scored_by_a_new_metric_though_the_model_is_gone(
    tiny: Tiny, boards: Path, own_baseline: Callable[[str, str], Path], card: Callable[[str], Scorecard]
) -> None:
    limit = sorted(image.mean() for image in tiny.inputs.values())[-2]
    folder = own_baseline("echo", BRIGHTER.format(limit=limit))
    (first,) = score([folder], tiny.split, leaderboards=boards)
    assert first.card is not None
    failed = [f for f in first.card.findings if f.code == "run-failed"]
    assert len(failed) == 1

    new_rules(tiny)
    (again,) = score([folder], tiny.split, leaderboards=boards.with_name("again"))
    shutil.rmtree(folder)
    (found,) = rescore(tiny.split, leaderboards=boards)
    assert (found.state, found.why) == ("rescored", "")
    assert again.card is not None
    assert numbers(card("echo")) == numbers(again.card)
    assert files(boards, "echo")[1] == files(boards.with_name("again"), "echo")[1]
    assert ADDED in card("echo").metrics
    assert [f for f in card("echo").findings if f.code == "run-failed"] == failed
    assert card("echo").runtime == first.card.runtime
    assert not (boards / "tiny" / "five" / "echo" / "rescore.jsonl").exists()


def test_the_scorecard_names_the_run_that_made_the_outputs(
    tiny: Tiny, boards: Path, own_baseline: Callable[[str, str], Path], card: Callable[[str], Scorecard]
) -> None:
    folder = own_baseline("echo", BRIGHTER.format(limit=999))
    (first,) = score([folder], tiny.split, leaderboards=boards)
    assert first.card is not None
    assert first.card.kept_run is None
    new_rules(tiny)
    rescore(tiny.split, leaderboards=boards)
    kept = card("echo").kept_run
    assert kept is not None
    assert (kept.started, kept.rules_digest) == (first.card.started, first.card.rules_digest)
    rows = Store(boards).read_cases(card("echo"))
    assert kept.outputs_sha256 == digest_of_outputs([(row.case, row.output_sha256) for row in rows])
    rescore(tiny.split, leaderboards=boards, everything=True)
    twice = card("echo").kept_run
    assert twice is not None
    assert (twice.started, twice.rules_digest) == (kept.started, card("echo").rules_digest)


def test_a_teams_outputs_are_read_from_where_they_were(
    tiny: Tiny, boards: Path, card: Callable[[str], Scorecard]
) -> None:
    folder = tiny.outputs("team")
    (folder / "b-1.png").unlink()
    shutil.copy(tiny.root / "tiny" / "ref" / "a-1.png", folder / "a-1.png")
    score([folder], tiny.split, leaderboards=boards)
    new_rules(tiny)
    (again,) = score([folder], tiny.split, leaderboards=boards.with_name("again"))
    (found,) = rescore(tiny.split, leaderboards=boards)
    assert found.state == "rescored"
    assert again.card is not None
    new = card("team")
    assert numbers(new)["metrics"] == numbers(again.card)["metrics"]
    assert sorted(f.line() for f in new.findings) == sorted(f.line() for f in again.card.findings)
    assert {f.code for f in new.findings} == {"missing-output", "equals-reference"}
    assert new.submission == again.card.submission


Spoil = Callable[["Tiny", Path], object]
SPOILT: list[tuple[Spoil, str]] = [
    (lambda tiny, _: (tiny.root / "submissions" / "team" / "b-9.png").unlink(), "output of case b-9 in"),
    (
        lambda tiny, _: shutil.copy(tiny.root / "tiny/in/a-1.png", tiny.root / "submissions/team/a-1.png"),
        "output of case a-1 in",
    ),
    (lambda tiny, _: shutil.rmtree(tiny.root / "submissions" / "team"), "outputs are gone"),
    (
        lambda tiny, _: (tiny.root / "submissions/team/submission.toml").write_text(
            'kind = "python"\n[python]\nentry = "model:restore"\n'
        ),
        "cannot be run|is not what was scored",
    ),
    (
        lambda _, boards: (boards / "tiny/five/team/cases.csv").write_text("case,output,output_sha256\n"),
        "cannot be used",
    ),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT)
def test_outputs_that_are_not_those_that_were_scored_are_refused_and_the_scorecard_stays(
    tiny: Tiny, boards: Path, spoil: Spoil, words: str
) -> None:
    score([tiny.outputs("team"), tiny.outputs("other")], tiny.split, leaderboards=boards)
    new_rules(tiny)
    spoil(tiny, boards)
    before = files(boards, "team")
    other, team = rescore(tiny.split, leaderboards=boards)
    assert (other.state, team.state) == ("rescored", "refused")
    assert any(part in team.why for part in words.split("|")), team.why
    assert files(boards, "team") == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "outputs were not kept"),
        (lambda kept: (kept / "a-2.npy").unlink(), "output of case a-2 in"),
        (lambda kept: (kept / "b-10.npy").write_bytes((kept / "a-1.npy").read_bytes()), "output of case b-10 in"),
    ],
)
def test_a_models_outputs_must_be_kept_and_the_same(
    tiny: Tiny, boards: Path, own_baseline: Callable[[str, str], Path], spoil: Callable[[Path], object], words: str
) -> None:
    score([own_baseline("echo", BRIGHTER.format(limit=999))], tiny.split, leaderboards=boards)
    new_rules(tiny)
    spoil(Store(boards).outputs_folder("tiny", "five", "echo"))
    before = files(boards, "echo")
    (found,) = rescore(tiny.split, leaderboards=boards)
    assert found.state == "refused"
    assert words in found.why
    assert files(boards, "echo") == before


def test_other_data_is_refused(tiny: Tiny, boards: Path) -> None:
    score([tiny.outputs("team")], tiny.split, leaderboards=boards)
    new_rules(tiny)
    shutil.copy(tiny.root / "tiny/in/a-1.png", tiny.root / "tiny/ref/a-1.png")
    (found,) = rescore(tiny.split, leaderboards=boards)
    assert found.state == "refused"
    assert "data set is not the one" in found.why


def test_what_is_by_the_rules_of_now_is_left_alone_unless_all_are_asked_for(tiny: Tiny, boards: Path) -> None:
    score([tiny.outputs("team"), tiny.outputs("other")], tiny.split, leaderboards=boards)
    before = files(boards, "team")
    assert {r.state for r in rescore(tiny.split, leaderboards=boards)} == {"current"}
    assert files(boards, "team") == before
    (one,) = rescore(tiny.split, ["team"], leaderboards=boards, everything=True)
    assert (one.submission, one.state) == ("team", "rescored")
    assert files(boards, "team")[1] == before[1]
    with pytest.raises(EvaluatorError, match=r"no scorecard of 'taem'.*Did you mean 'team'"):
        rescore(tiny.split, ["taem"], leaderboards=boards)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    tiny: Tiny, boards: Path, stop: Callable[[int], Any], jobs_done: list[tuple[str, str]]
) -> None:
    score([tiny.outputs("team")], tiny.split, leaderboards=boards)
    new_rules(tiny)
    before = files(boards, "team")
    with pytest.raises(KeyboardInterrupt):
        rescore(tiny.split, leaderboards=boards, progress=stop(2))
    assert files(boards, "team") == before
    jobs_done.clear()
    (found,) = rescore(tiny.split, leaderboards=boards)
    assert found.state == "rescored"
    assert len(jobs_done) == 3
    assert found.after.metrics[ADDED].state is State.OK
    assert json.loads(files(boards, "team")[0])["metrics"][ADDED]["cases"] == 5
