"""Faults of disks, files and processes: what was finished is kept, what passes is tried again, no file is half."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator import patience
from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.metrics import State
from evaluator.patience import patiently
from evaluator.results import store as results
from evaluator.scoring import CaseResult, Outcome, score
from evaluator.scoring.journal import Journal
from support import Run, Tiny, make_tiny

OF_THE_RUN = {"started", "wall_time_s", "retried"}
Trouble = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.0)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """Have the reading of files of a name fail so many times, with an error of the system."""

    def arrange(name: str, number: int, times: int = 1 << 30) -> None:
        left = [times]
        real = Path.read_bytes

        def read_bytes(self: Path) -> bytes:
            if self.match(name) and left[0] > 0:
                left[0] -= 1
                raise OSError(number, os.strerror(number), str(self))
            return real(self)

        monkeypatch.setattr(Path, "read_bytes", read_bytes)

    return arrange


def told(outcome: Outcome) -> dict[str, Any]:
    assert outcome.card is not None, outcome.message
    return outcome.card.model_dump(exclude=OF_THE_RUN)


# --- Reading


def test_what_may_pass_is_tried_three_times() -> None:
    tried: list[int] = []

    def read(fails: int, number: int = errno.EIO) -> str:
        tried.append(1)
        if len(tried) <= fails:
            raise OSError(number, os.strerror(number))
        return "content"

    with patience.noting() as lines:
        assert patiently(lambda: read(2), "a.png") == "content"
    assert lines == ["a.png: read again after Input/output error"] * 2
    for fails, number, wanted in ((3, errno.EIO, 3), (1, errno.EACCES, 1), (1, errno.ENOENT, 1)):
        tried.clear()
        with pytest.raises(OSError, match=os.strerror(number)):
            patiently(lambda f=fails, n=number: read(f, n), "a.png")  # type: ignore[misc]
        assert len(tried) == wanted


def test_a_disk_that_recovers_changes_no_number_and_is_on_record(tiny: Tiny, tmp_path: Path, trouble: Trouble) -> None:
    folder = tiny.outputs("team")
    (quiet,) = score([folder], tiny.split, leaderboards=tmp_path / "quiet")
    split = tiny.split
    _ = split.digest
    trouble("ref/b-9.png", errno.EIO, 2)
    (outcome,) = score([folder], split, leaderboards=tmp_path / "other")
    assert told(outcome) == told(quiet)
    assert outcome.card is not None
    assert outcome.card.retried == ("ref/b-9.png: read again after Input/output error",) * 2


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_reference_that_cannot_be_read_stops_the_run_which_goes_on_later(
    *, tiny: Tiny, tmp_path: Path, trouble: Trouble, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.outputs("team")
    (quiet,) = score([folder], tiny.split, leaderboards=tmp_path / "quiet")
    split = tiny.split
    _ = split.digest
    with monkeypatch.context() as fault:
        real = Path.read_bytes

        def read_bytes(self: Path) -> bytes:
            if self.match("ref/b-10.png"):  # the last one
                raise OSError(number, os.strerror(number), str(self))
            return real(self)

        fault.setattr(Path, "read_bytes", read_bytes)
        with pytest.raises(EvaluatorError, match=r"b-10\.png cannot be read") as error:
            score([folder], split, leaderboards=tmp_path / "other")
    (finding,) = error.value.findings
    assert (finding.code, finding.got) == ("data-missing", os.strerror(number))
    assert sorted(p.name for p in (tmp_path / "other/tiny/five/team").iterdir()) == ["journal.jsonl"]
    (outcome,) = score([folder], tiny.split, leaderboards=tmp_path / "other")
    assert outcome.resumed > 0
    assert told(outcome) == told(quiet)


@pytest.mark.parametrize("damage", ["cut short", "other pixels"])
def test_a_reference_that_changes_after_its_digest_was_taken_is_never_used(
    tiny: Tiny, tmp_path: Path, damage: str
) -> None:
    folder, split = tiny.outputs("team"), tiny.split
    _ = split.digest
    file = tiny.root / "tiny/ref/b-9.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30] if damage == "cut short" else encode_png(tiny.inputs["b-9"]))
    with pytest.raises(EvaluatorError, match="is not the file that belongs to the data set"):
        score([folder], split, leaderboards=tmp_path / "boards")
    assert not list((tmp_path / "boards").rglob("scorecard.json"))
    file.write_bytes(whole)
    (outcome,) = score([folder], tiny.split, leaderboards=tmp_path / "boards")
    assert outcome.resumed > 0
    (quiet,) = score([folder], tiny.split, leaderboards=tmp_path / "quiet")
    assert told(outcome) == told(quiet)


def test_an_output_that_is_cut_short_while_it_is_read_costs_its_own_case_only(tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("team")
    file = folder / "b-9.png"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    (outcome,) = score([folder], tiny.split, leaderboards=tmp_path)
    assert outcome.card is not None
    assert outcome.card.status == "incomplete"
    rows = {row.case: row for row in results.Store(tmp_path).read_cases(outcome.card)}
    assert {case for case, row in rows.items() if row.scores["mae"].state is not State.OK} == {"b-9"}
    file.write_bytes(whole)
    (mended,) = score([folder], tiny.split, leaderboards=tmp_path)
    assert mended.card is not None
    assert mended.card.status == "complete"


# --- Writing


class Full:
    """A file on a disk with so many bytes left."""

    def __init__(self, file: Any, left: int) -> None:
        self.file, self.left = file, left

    def write(self, data: memoryview) -> int:
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self.file.write(data[: self.left])
        self.left -= count
        return int(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("left", [0, 1, 300, 700])
def test_a_full_disk_leaves_whole_lines_and_says_so(
    tiny: Tiny, tmp_path: Path, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.outputs("team")
    (quiet,) = score([folder], tiny.split, leaderboards=tmp_path / "quiet")
    opened = Journal.open

    def full(self: Journal) -> None:
        opened(self)
        self._file = Full(self._file, left)

    with monkeypatch.context() as fault:
        fault.setattr(Journal, "open", full)
        with pytest.raises(EvaluatorError, match=r"journal\.jsonl cannot be written \(No space left on device\)"):
            score([folder], tiny.split, leaderboards=tmp_path / "other")
    lines = (tmp_path / "other/tiny/five/team/journal.jsonl").read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") and json.loads(line) for line in lines)
    assert not list((tmp_path / "other").rglob("scorecard.json"))
    (outcome,) = score([folder], tiny.split, leaderboards=tmp_path / "other")
    assert outcome.resumed == len(lines) - 1
    assert told(outcome) == told(quiet)


@pytest.mark.parametrize("which", ["scorecard.json", "cases.csv"])
def test_a_disk_that_is_full_for_a_scorecard_leaves_the_journal_and_the_old_one(
    tiny: Tiny, tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.outputs("team")
    boards = tmp_path / "boards"
    (old,) = score([folder], tiny.split, leaderboards=boards)
    for file in folder.iterdir():
        file.write_bytes(encode_png(tiny.inputs[file.stem]))
    real = os.fsync

    def full(descriptor: int) -> None:
        if which in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as fault:
        fault.setattr(results.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            score([folder], tiny.split, leaderboards=boards)
    kept = sorted(p.name for p in (boards / "tiny/five/team").iterdir())
    assert kept == ["cases.csv", "journal.jsonl", "scorecard.json"]
    (card,) = results.Store(boards).read("tiny", "five")
    assert card == old.card, "the old scorecard stays until the new one is whole"
    assert len(results.Store(boards).read_cases(card)) == 5, "and so does its table"
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.resumed == 5
    assert outcome.card is not None
    assert len(results.Store(boards).read_cases(outcome.card)) == 5


def test_a_real_limit_of_the_system_ends_with_a_message_and_a_resume(tiny: Tiny, tmp_path: Path, evaluate: Run) -> None:
    folder = tiny.outputs("team")
    arguments = ("--task", tiny.toml, "--data", tiny.root, "--leaderboards", tmp_path / "boards", folder)
    code = "import sys; from evaluator.cli.main import main; sys.argv[0] = 'evaluate'; main()"
    stopped = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 2, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "File too large" in stopped.stderr
    assert evaluate(*arguments).returncode == 0


def test_a_damaged_line_of_a_journal_costs_what_comes_after_it_only(tiny: Tiny, tmp_path: Path) -> None:
    numbers, file = tiny.split.case_numbers, tmp_path / "j.jsonl"
    journal = Journal(file, "key", "team", numbers)
    journal.open()
    journal.add([CaseResult(case, f"{case}.png", "00" * 32, {}, (), 480, None) for case in ("a-1", "a-2", "b-1")])
    journal.close()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"\0" * 200 + b"\n", lines[3]]))
    again = Journal(file, "key", "team", numbers)
    again.open()
    assert list(again) == ["a-1"]
    again.close()


# --- Being killed


@pytest.mark.slow
def test_a_run_killed_at_twenty_moments_ends_as_if_it_never_was(tmp_path: Path) -> None:
    many = make_tiny(tmp_path, [f"c-{number}" for number in range(60)])
    paths = [many.outputs("one"), many.outputs("two")]
    command = [sys.executable, "-c", "from evaluator.cli.main import main; main()", "--workers", "2"]
    command += ["--task", str(many.toml), "--data", str(many.root)]

    def begin(boards: str) -> subprocess.Popen[bytes]:
        where = ["--leaderboards", str(tmp_path / boards), *map(str, paths)]
        return subprocess.Popen(
            command + where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def cards(boards: str) -> list[dict[str, Any]]:
        read = results.Store(tmp_path / boards).read("tiny", "five")
        return [card.model_dump(exclude=OF_THE_RUN) for card in read]

    clock = time.perf_counter()
    assert begin("quiet").wait() == 0
    whole = time.perf_counter() - clock
    chance = random.Random(20)  # noqa: S311
    resumed = 0
    for _ in range(20):
        run = begin("killed")
        time.sleep(chance.uniform(0.3, 1.0) * whole)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        for journal in (tmp_path / "killed").rglob("journal.jsonl"):
            lines = journal.read_bytes().split(b"\n")[1:-1]
            names = [json.loads(line)["case"] for line in lines]
            assert len(set(names)) == len(names), "a case was scored twice"
            resumed += bool(names)
        for card in (tmp_path / "killed").rglob("scorecard.json"):
            json.loads(card.read_bytes())
    assert resumed, "no run was killed in its middle"
    assert begin("killed").wait() == 0
    assert cards("killed") == cards("quiet")
    for name in ("one", "two"):
        table = f"tiny/five/{name}/cases.csv"
        assert (tmp_path / "killed" / table).read_bytes() == (tmp_path / "quiet" / table).read_bytes()
        assert not (tmp_path / "killed" / f"tiny/five/{name}/journal.jsonl").exists()
