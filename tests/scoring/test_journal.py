"""The journal: a run that was stopped goes on where it was, and never with what would be read otherwise now."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from evaluator.findings import Finding
from evaluator.images import Pixels, encode_png
from evaluator.ingest import baselines_folder
from evaluator.metrics import Score, State
from evaluator.results import Store
from evaluator.scoring import CaseResult, Outcome, plan, score
from evaluator.scoring.jobs import CaseJob
from evaluator.scoring.journal import Journal
from evaluator.tasks import Split

if TYPE_CHECKING:
    from support import Tiny

Jobs = list[tuple[str, str]]
FINDING = Finding.warning("lossy", "a – ü.jpg", "lossless compression", "JPEG", "PNG has none.")


def result(case: str, value: float = 0.1 + 0.2) -> CaseResult:
    scores = {"psnr.f64": Score(State.OK, value, extra={"crop": value / 3}), "mae": Score(State.FAILED, detail="why")}
    return CaseResult(case, f"{case}.png", "00" * 32, scores, (FINDING,), 480, 0.25)


WHOLE = TypeAdapter(CaseResult).dump_json(result("a")) + b"\n"


def journal_of(path: Path, *cases: str) -> Journal:
    journal = Journal(path, "key", "team", {case: number for number, case in enumerate(cases)})
    journal.open()
    return journal


def undisturbed(outcome: Outcome) -> dict[str, Any]:
    assert outcome.card is not None
    return outcome.card.model_dump(exclude={"started", "wall_time_s"})


@pytest.fixture
def stopped(tiny: Tiny, boards: Path, stop: Callable[[int], Any], jobs_done: Jobs) -> Path:
    """A submission whose run was stopped after two of its five cases; the jobs are counted from here on."""
    folder = tiny.outputs("team")
    with pytest.raises(KeyboardInterrupt):
        score([folder], tiny.split, leaderboards=boards, progress=stop(2))
    jobs_done.clear()
    return folder


@pytest.fixture
def path(boards: Path) -> Path:
    return boards / "tiny/five/team/journal.jsonl"


def test_a_stopped_run_goes_on_where_it_was(
    *, tiny: Tiny, tmp_path: Path, boards: Path, stopped: Path, jobs_done: Jobs, path: Path
) -> None:
    kept = {json.loads(line)["case"] for line in path.read_text().splitlines()[1:]}
    assert len(kept) == 2
    (outcome,) = score([stopped], tiny.split, leaderboards=boards)
    assert outcome.resumed == 2
    assert {case for _, case in jobs_done} == set(tiny.references) - kept
    assert len(jobs_done) == 3
    # The reference run has its results elsewhere at the same depth, so that even `source` is the same.
    (whole,) = score([stopped], tiny.split, leaderboards=tmp_path / "other")
    assert undisturbed(outcome) == undisturbed(whole)
    tables = [(tmp_path / b / "tiny/five/team/cases.csv").read_bytes() for b in ("boards", "other")]
    assert tables[0] == tables[1]


def test_a_stopped_run_leaves_a_journal_and_no_scorecard(path: Path, stopped: Path) -> None:
    assert sorted(p.name for p in path.parent.iterdir()) == ["journal.jsonl"]


def test_the_journal_is_gone_when_the_run_is_over(tiny: Tiny, boards: Path, stopped: Path, path: Path) -> None:
    score([stopped], tiny.split, leaderboards=boards)
    assert sorted(p.name for p in path.parent.iterdir()) == ["cases.csv", "scorecard.json"]


def test_only_the_submission_that_is_not_finished_goes_on(
    tiny: Tiny, boards: Path, stopped: Path, jobs_done: Jobs
) -> None:
    other = tiny.outputs("other")
    outcomes = score([stopped, other], tiny.split, leaderboards=boards)
    assert [o.resumed for o in outcomes] == [2, 0]
    assert sorted(s for s, _ in jobs_done) == ["other"] * 5 + ["team"] * 3


def test_progress_is_told_of_resumed_cases_and_always_ended(
    tiny: Tiny, boards: Path, stopped: Path, stop: Callable[[int], Any]
) -> None:
    progress = stop(1)
    with pytest.raises(KeyboardInterrupt):
        score([stopped], tiny.split, leaderboards=boards, progress=progress)
    assert (progress.total, progress.resumed, progress.ended) == (5, 2, True)
    (outcome,) = score([stopped], tiny.split, leaderboards=boards)
    assert outcome.resumed == 3


def test_half_a_last_line_is_dropped(tiny: Tiny, boards: Path, stopped: Path, jobs_done: Jobs, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 40])
    (outcome,) = score([stopped], tiny.split, leaderboards=boards)
    assert outcome.resumed == 1
    assert len(jobs_done) == 4
    assert outcome.card is not None
    assert outcome.card.status == "complete"


def test_what_is_written_after_half_a_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    for expected, cases in (([], "ab"), (["a"], "cd"), (["a", "c"], "e")):
        journal = journal_of(path, *"abcde")
        assert list(journal) == expected
        journal.add([result(case) for case in cases])
        journal.close()
        path.write_bytes(path.read_bytes()[:-40])  # as after a power cut


def test_references_of_finished_cases_are_not_read_again(
    tiny: Tiny, boards: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = Split.reference

    def counted(self: Split, case_id: str) -> Pixels:
        read.append(case_id)
        return real(self, case_id)

    monkeypatch.setattr(Split, "reference", counted)
    score([stopped], tiny.split, leaderboards=boards)
    assert len(read) == 3


@pytest.mark.parametrize("change", ["data", "rules", "version"])
def test_a_journal_of_another_key_is_discarded(
    *, tiny: Tiny, boards: Path, stopped: Path, jobs_done: Jobs, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change == "data":
        (tiny.root / "tiny/in/a-1.png").write_bytes(encode_png(tiny.references["a-1"]))
    elif change == "rules":
        tiny.toml.write_text(tiny.toml.read_text().replace("clip = true", "clip = false"))
    else:
        monkeypatch.setattr("evaluator.scoring.engine.__version__", "0.0.0+other")
    (outcome,) = score([stopped], tiny.split, leaderboards=boards)
    assert outcome.resumed == 0
    assert len(jobs_done) == 5


@pytest.mark.parametrize("change", ["other pixels", "gone", "other name"])
def test_a_case_whose_output_changed_since_is_scored_anew(
    *, tiny: Tiny, tmp_path: Path, boards: Path, stopped: Path, jobs_done: Jobs, path: Path, change: str
) -> None:
    case = json.loads(path.read_text().splitlines()[1])["case"]
    if change == "other pixels":
        (stopped / f"{case}.png").write_bytes(encode_png(tiny.inputs[case]))
    elif change == "gone":
        (stopped / f"{case}.png").unlink()
    else:
        (stopped / f"{case}.png").rename(stopped / f"{case}.PNG")
    (outcome,) = score([stopped], tiny.split, leaderboards=boards)
    assert outcome.resumed == 1
    assert ("team", case) in jobs_done
    (whole,) = score([stopped], tiny.split, leaderboards=tmp_path / "other")
    assert undisturbed(outcome) == undisturbed(whole)


def test_a_case_that_was_missing_and_is_there_now_is_scored(
    tiny: Tiny, boards: Path, stop: Callable[[int], Any], jobs_done: Jobs
) -> None:
    folder = tiny.outputs("team")
    content = (folder / "a-1.png").read_bytes()
    (folder / "a-1.png").unlink()
    with pytest.raises(KeyboardInterrupt):
        score([folder], tiny.split, leaderboards=boards, progress=stop(4))
    (folder / "a-1.png").write_bytes(content)
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "complete"


def test_a_case_that_was_missing_and_has_two_outputs_now_is_refused(
    tiny: Tiny, boards: Path, stop: Callable[[int], Any]
) -> None:
    folder = tiny.outputs("team")
    content = (folder / "a-1.png").read_bytes()
    (folder / "a-1.png").unlink()
    with pytest.raises(KeyboardInterrupt):
        score([folder], tiny.split, leaderboards=boards, progress=stop(5))
    for suffix in (".png", ".bmp"):
        (folder / f"a-1{suffix}").write_bytes(content)
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert [f.code for f in outcome.findings] == ["duplicate-output"]
    assert outcome.resumed == 4
    assert outcome.card is not None
    (row,) = (r for r in Store(boards).read_cases(outcome.card) if r.case == "a-1")
    assert {s.state for s in row.scores.values()} == {State.INVALID}


class AtOnce(Executor):
    """Does a job when it is submitted, so that all of a batch are finished when the first is looked at."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except RuntimeError as error:
            future.set_exception(error)
        return future


def test_what_was_finished_is_kept_though_another_case_of_the_batch_failed(
    tiny: Tiny, boards: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = plan.run_case

    def shaky(job: CaseJob) -> dict[int, CaseResult]:
        if job.case == "a-2":
            raise RuntimeError("a fault of the program")
        return real(job)

    monkeypatch.setattr(plan, "run_case", shaky)
    with pytest.raises(RuntimeError, match="a fault of the program"):
        score([tiny.outputs("team")], tiny.split, leaderboards=boards, executor=AtOnce())
    kept = {json.loads(line)["case"] for line in path.read_text().splitlines()[1:]}
    assert kept == {"a-1", "b-1"}  # the first batch but the one that failed


def test_a_changed_baseline_starts_anew(
    tiny: Tiny,
    boards: Path,
    stop: Callable[[int], Any],
    jobs_done: Jobs,
    own_baseline: Callable[[str, str], Path],
) -> None:
    folder = own_baseline("own", "def restore(image):\n    return image\n")
    with pytest.raises(KeyboardInterrupt):
        score([folder], tiny.split, leaderboards=boards, progress=stop(2))
    jobs_done.clear()
    (folder / "weights.txt").write_text("other weights")
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.resumed == 0
    assert len(jobs_done) == 5


def test_a_run_beside_another_on_the_same_submission_is_refused(tiny: Tiny, boards: Path, path: Path) -> None:
    folder = tiny.outputs("team")
    other = journal_of(path)
    (refused, scored) = score([folder, tiny.outputs("second")], tiny.split, leaderboards=boards)
    assert "Another run is scoring team" in refused.message
    assert refused.card is None
    assert scored.card is not None
    other.close()
    assert score([folder], tiny.split, leaderboards=boards)[0].card is not None


def test_results_come_back_from_the_journal_as_they_were(tmp_path: Path) -> None:
    written = {
        case: result(case, value) for case, value in (("a", 0.1 + 0.2), ("b/1", 5e-324), ("ü", -0.0), ("∞", math.inf))
    }
    path = tmp_path / "deep" / "j.jsonl"
    journal = journal_of(path, *written)
    assert len(journal) == 0
    journal.add(list(written.values()))
    assert dict(journal) == written
    journal.close()
    again = journal_of(path, *written)
    assert dict(again) == written
    assert list(again.in_order(["ü", "a"])) == [written["ü"], written["a"]]
    again.close()


@pytest.mark.parametrize("keep", [False, True])
def test_results_that_are_kept_are_those_that_the_file_holds(tmp_path: Path, keep: bool) -> None:
    path, written = tmp_path / "j.jsonl", [result("a", 0.1), result("b", 5e-324)]
    journal_of(path, "a", "b", "c").close()
    journal = Journal(path, "key", "team", {"a": 0, "b": 1, "c": 2}, keep=keep)
    journal.open()
    journal.add(written)
    assert list(journal.in_order(["b", "a"])) == written[::-1]
    assert all(one is other for one, other in zip(journal.in_order(["a", "b"]), written, strict=True)) is keep
    journal.forget("a")
    with pytest.raises(KeyError):
        journal.in_order(["a", "b"])
    journal.add([result("a", 2.0)])
    assert list(journal.in_order(["a", "b"])) == [result("a", 2.0), written[1]]
    journal.close()


def test_a_case_that_was_scored_again_counts_once_with_its_last_result(tmp_path: Path) -> None:
    journal = journal_of(tmp_path / "j.jsonl", "a", "b")
    journal.add([result("a", 1.0), result("b")])
    journal.forget("a")
    assert (list(journal), len(journal)) == (["b"], 1)
    with pytest.raises(KeyError):
        journal["a"]
    journal.add([result("a", 2.0)])
    journal.close()
    again = journal_of(tmp_path / "j.jsonl", "a", "b", "c")
    assert len(again) == 2
    assert again["a"].scores["psnr.f64"].value == 2.0
    again.close()


def test_a_journal_without_a_name_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    journal = Journal(None, "", "team", {"a": 0})
    journal.open()
    journal.add([result("a")])
    assert journal["a"] == result("a")
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_case_stands_in_the_file_before_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = journal_of(path, "a")
    journal.add([result("a")])
    lines = path.read_text().splitlines()
    assert json.loads(lines[-1])["case"] == "a"
    journal.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff\xfe\n", b"{}\n", b"null\n", b'{"journal": 4, "key": "other"}\n', b'{"journal": 4}']
    + [
        b'{"journal": 3, "key": "key"}\n' + WHOLE,
        b'{"journal": 4, "key": "key"}\n' + WHOLE.replace(b"{", b'{"x": 1, ', 1),
        b'{"journal": 4, "key": "key"}\n' + WHOLE.replace(b'{"state"', b'{"x": 1, "state"', 1),
    ]
    + [b'{"journal": 4, "key": "key"}\n' + line + b"\n" for line in (b"5", b"[]", b"null", b"{}", b'{"scores": 3}')],
)
def test_what_is_no_journal_of_this_run_is_started_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    journal = journal_of(path, "a")
    assert len(journal) == 0
    journal.add([result("a")])
    journal.close()
    assert [json.loads(line).get("case") for line in path.read_text().splitlines()] == [None, "a"]
    again = journal_of(path, "a")
    assert set(again) == {"a"}
    again.close()


def test_journals_stay_until_all_is_written(tiny: Tiny, boards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluator.scoring.engine.count_scored", stopped)
    folders = [tiny.outputs("team"), baselines_folder() / "identity"]
    with pytest.raises(KeyboardInterrupt):
        score(folders, tiny.split, leaderboards=boards)
    monkeypatch.undo()
    assert [outcome.resumed for outcome in score(folders, tiny.split, leaderboards=boards)] == [5, 5]
