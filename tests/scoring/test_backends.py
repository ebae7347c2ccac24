"""Threads, processes and Dask: the same digits, and workers that are lost are replaced."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox import isolation
from evaluator.scoring import Outcome, Tally, backend, check, plan, running, score
from evaluator.scoring.backends import Processes, Threads
from evaluator.scoring.jobs import CaseJob, CaseResult
from evaluator.scoring.plan import Plan, SharedPlan
from evaluator.scoring.running import Silent
from support import Tiny, make_tiny

MANY = [f"c-{number}" for number in range(40)]
OF_THE_RUN = {"started", "wall_time_s", "retried"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A task of forty cases."""
    return make_tiny(tmp_path_factory.mktemp("many"), MANY)


@pytest.fixture(scope="module")
def team(many: Tiny) -> Path:
    """A submission to it."""
    return many.outputs("team")


@pytest.fixture(scope="module")
def undisturbed(many: Tiny, team: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], bytes]:
    """What one thread makes of it: the scorecard but for times, and the per-case table."""
    boards = tmp_path_factory.mktemp("quiet") / "boards"
    return told(score([team], many.split, leaderboards=boards)[0], boards)


def told(outcome: Outcome, boards: Path) -> tuple[dict[str, Any], bytes]:
    assert outcome.card is not None, outcome.message
    card = outcome.card.model_dump(exclude=OF_THE_RUN)
    card["submission"].pop("source")  # relative to the folder of results
    return card, (boards / "tiny/five/team/cases.csv").read_bytes()


class AtFirst(Silent):
    """Does something once, when the first case is finished."""

    def __init__(self, act: Any) -> None:
        self.act: Any = act
        self.said: list[str] = []

    def advance(self, count: int, submission: str = "") -> None:
        act, self.act = self.act, lambda: None
        act()

    def tell(self, event: str, **facts: object) -> None:
        self.said.append(f"{event}: {facts}")


def kill_a_worker() -> None:
    process = multiprocessing.active_children()[0]
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_digits_of_a_thread(
    many: Tiny, team: Path, undisturbed: object, tmp_path: Path, workers: int
) -> None:
    (outcome,) = score([team], many.split, leaderboards=tmp_path, executor=backend("processes", workers))
    assert told(outcome, tmp_path) == undisturbed


def test_a_killed_process_is_replaced_and_no_case_is_lost(
    many: Tiny, team: Path, undisturbed: object, tmp_path: Path
) -> None:
    progress, tally = AtFirst(kill_a_worker), Tally()
    (outcome,) = score(
        [team], many.split, leaderboards=tmp_path, executor=backend("processes", 2), progress=progress, tally=tally
    )
    assert told(outcome, tmp_path) == undisturbed
    assert outcome.card is not None
    (line,) = outcome.card.retried
    assert "workers were lost, done again" in line
    assert tally.report().retried == (line,)
    assert tally.scored == len(MANY), "a case was scored twice, or not at all"
    assert [s.split(":")[0] for s in progress.said] == ["retried", "submission-finished"]


def test_processes_end_with_the_one_that_runs_them(many: Tiny, team: Path, tmp_path: Path) -> None:
    command = ["-c", "from evaluator.cli.main import main; main()", "--executor", "processes", "--workers", "2"]
    command += ["--task", str(many.toml), "--data", str(many.root), "--leaderboards", str(tmp_path / "b"), str(team)]
    run = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "b/tiny/five/team/journal.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    children = {int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()}
    assert len(children) >= 2
    run.kill()
    run.wait()
    for _ in range(200):
        left = [pid for pid in children if Path(f"/proc/{pid}").exists() and "Z" not in state(pid)]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"{left} are still there")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's end")
def test_a_process_that_begins_after_its_parent_ended_ends() -> None:
    script = "from evaluator.scoring.backends import _follow_parent; _follow_parent({}); print('goes on')"
    alone, ours = (
        subprocess.run([sys.executable, "-c", script.format(parent)], capture_output=True, text=True, check=False)
        for parent in (2**22 + 1, os.getpid())
    )
    assert (alone.returncode, alone.stdout) == (1, "")
    assert (ours.returncode, ours.stdout) == (0, "goes on\n")


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class Deadly(Processes):
    """Loses every job, as a machine without memory would."""

    def submit(self, function: Any, job: Any, *, model: bool) -> Future[Any]:
        return super().submit(os._exit, 1, model=model)


def test_workers_that_are_lost_over_and_over_end_the_run(
    many: Tiny, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluator.scoring.running.pause", lambda attempt: None)
    with pytest.raises(EvaluatorError, match=r"lost 6 times in a row, at the cases c-.*goes on from there"):
        score([team], many.split, leaderboards=tmp_path, executor=Deadly(1))
    (outcome,) = score([team], many.split, leaderboards=tmp_path)
    assert outcome.card is not None


def test_somebody_elses_executor_is_used_and_left_running(
    many: Tiny, team: Path, undisturbed: object, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        (outcome,) = score([team], many.split, leaderboards=tmp_path, executor=pool, workers=2)
        assert pool.submit(int, 1).result() == 1
    assert told(outcome, tmp_path) == undisturbed


def test_one_submission_that_breaks_the_harness_costs_the_others_nothing(
    many: Tiny, team: Path, undisturbed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluator.scoring.jobs import PrecomputedOutputs

    real = PrecomputedOutputs.output

    def shaky(self: PrecomputedOutputs, split: Any, case: str, expected: Any) -> Any:
        if self.submission.id == "bad" and case == "c-7":
            raise ZeroDivisionError("a fault of ours")
        return real(self, split, case, expected)

    bad = many.root / "submissions" / "bad"
    if not bad.exists():
        many.outputs("bad")
    monkeypatch.setattr(PrecomputedOutputs, "output", shaky)
    broken, whole = score([bad, team], many.split, leaderboards=tmp_path)
    assert told(whole, tmp_path) == undisturbed
    assert broken.card is None
    assert "failed at case c-7: ZeroDivisionError: a fault of ours (test_backends.py:" in broken.message
    assert broken.has_errors
    checked, clean = check([bad, team], many.split)
    assert "failed at case c-7" in checked.message
    assert (clean.message, clean.findings) == ("", ())


def test_each_reference_is_read_once_for_all_submissions(many: Tiny, team: Path, tmp_path: Path) -> None:
    paths = [team, *(many.outputs(f"other-{number}") for number in range(3))]
    tally = Tally()
    score(paths, many.split, leaderboards=tmp_path, tally=tally)
    report = tally.report()
    assert (report.references, report.scores, report.references_kept) == (40, 160, 120)
    assert report.workers == 1
    assert len(report.slowest) == 10
    assert list(report.slowest.values()) == sorted(report.slowest.values(), reverse=True)
    assert report.stages["metrics"] > 0
    assert any("kept for another submission: 120" in line for line in report.lines())


def test_workers_begin_with_different_submissions(
    many: Tiny, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [team, *(many.outputs(f"turn-{number}") for number in range(3))]
    seen: dict[str, list[int]] = {}
    run = plan.run_case

    def noted(job: CaseJob) -> dict[int, CaseResult]:
        seen[job.case] = list(job.providers)
        return run(job)

    monkeypatch.setattr(plan, "run_case", noted)
    score(paths, many.split, leaderboards=tmp_path, workers=2)
    assert [seen[case] for case in MANY[:3]] == [[0, 1, 2, 3], [2, 3, 0, 1], [0, 1, 2, 3]]
    assert all(sorted(order) == [0, 1, 2, 3] for order in seen.values())
    assert len(seen) == len(MANY)


# --- What is sent to other processes


def shared(tiny: Tiny, tmp_path: Path) -> SharedPlan:
    return SharedPlan(Plan(tiny.split, ["mae"], False, [], isolation()), tmp_path)


def test_a_plan_is_written_once_and_read_once_a_process(tiny: Tiny, tmp_path: Path) -> None:
    one = shared(tiny, tmp_path)
    first, second = pickle.dumps(one), pickle.dumps(one)
    assert first == second
    assert len(first) < 5000
    (file,) = tmp_path.glob("plan-*.pickle")
    sent = pickle.loads(first)  # noqa: S301
    assert pickle.loads(pickle.dumps(sent)) == sent  # noqa: S301 - as a scheduler passes it on
    received = sent.plan(())
    file.unlink()
    assert pickle.loads(second).plan(()) is received  # noqa: S301
    assert received.split.case_ids == tiny.split.case_ids


def test_a_worker_that_cannot_see_the_plan_says_what_to_do(tiny: Tiny, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(shared(tiny, tmp_path)))  # noqa: S301
    for file in tmp_path.glob("plan-*.pickle"):
        file.unlink()
    with pytest.raises(EvaluatorError, match="Set TMPDIR to a folder that all machines share"):
        sent.plan(())


def test_a_machine_with_less_isolation_is_refused(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = pickle.loads(pickle.dumps(shared(tiny, tmp_path)))  # noqa: S301
    monkeypatch.setattr(plan.platform, "node", lambda: "elsewhere")

    class Weak:
        level = "weaker"

    monkeypatch.setattr(plan, "isolation", lambda strongest: Weak)
    with pytest.raises(EvaluatorError, match="The worker on elsewhere has isolation weaker"):
        sent.plan(())


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_workers_with_other_versions_are_refused_with_a_message(
    *, many: Tiny, team: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    if kind == "dask":
        pytest.importorskip("distributed", reason="needs the extra dask")
    real = plan.environment
    other = {"numpy": "0.1", "scipy": "0.2"}
    monkeypatch.setattr(plan, "environment", lambda ids: real(ids).model_copy(update={"packages": other}))
    with pytest.raises(EvaluatorError, match=r"numpy: \d.* instead of 0\.1; .*install the same versions there"):
        score([team], many.split, leaderboards=tmp_path, executor=backend(kind, 1))


def test_processes_end_the_readers_of_submissions_that_are_done(
    many: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(running.TOGETHER, False, 1)
    paths = [many.outputs(f"in-turn-{number}") for number in range(4)]
    most = 0

    class Look(Silent):
        def tell(self, event: str, **facts: object) -> None:
            nonlocal most
            (worker,) = (p.pid for p in multiprocessing.active_children())
            listed = Path(f"/proc/{worker}/task").glob("*/children")
            most = max(most, sum(len(file.read_text().split()) for file in listed))

    score(paths, many.split, leaderboards=tmp_path, executor=backend("processes", 1), progress=Look())
    assert most == 1


def test_threads_leave_the_settings_as_they_were() -> None:
    import cv2

    before = cv2.getNumThreads()
    threads = Threads(2)
    threads.open()
    assert cv2.getNumThreads() == 1
    threads.close()
    assert cv2.getNumThreads() == before


def test_a_server_that_never_answers_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr("evaluator.scoring.backends._CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dask = backend("dask", 1, scheduler=f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(EvaluatorError, match=r"No Dask workers can be had from tcp://127\.0\.0\.1"):
            dask.open()
