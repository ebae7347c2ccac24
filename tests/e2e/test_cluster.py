"""A Dask cluster of processes on the loopback: the digits of one thread, whatever happens to its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluator.results import Store
from support import Tiny, make_tiny

pytest.importorskip("distributed", reason="needs the extra dask")
pytestmark = pytest.mark.slow
OF_THE_RUN = {"started", "wall_time_s", "retried"}
CASES = 400


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, ""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        quick = {  # a worker that is silent is given up after seconds, not minutes
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "20s",
        }
        log = (self.folder / f"{name}.log").open("ab")
        module = "distributed.cli.dask_scheduler" if name == "scheduler" else "distributed.cli.dask_worker"
        command = [sys.executable, "-m", module, *arguments]
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **quick})

    def scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        self.start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--scheduler-file", str(file))
        wait_for(lambda: file.exists() and bool(file.read_text()))
        self.address = json.loads(file.read_text())["address"]

    def worker(self, name: str, *more: str) -> None:
        self.start(name, self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name, *more)

    def at_work(self, name: str) -> int:
        """How many jobs a worker has been given."""
        from distributed import Client

        client: Any = Client(self.address)  # type: ignore[no-untyped-call]
        named = {info["id"]: address for address, info in client.scheduler_info(n_workers=-1)["workers"].items()}
        jobs = client.processing().get(named.get(name), ())
        client.close()
        return len(jobs)

    def signal(self, name: str, number: int) -> None:
        self.processes[name].send_signal(number)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def wait_for(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    found.scheduler()
    yield found
    found.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = make_tiny(tmp_path_factory.mktemp("many"), [f"c-{number}" for number in range(CASES)])
    tiny.outputs("one")
    tiny.outputs("two")
    return tiny


class Evaluate:
    """Runs `evaluate` on the two submissions, with its log as events."""

    def __init__(self, many: Tiny, command: str) -> None:
        self.many, self.command = many, command

    def begin(self, boards: Path, *more: str) -> subprocess.Popen[str]:
        command = [self.command, "--task", str(self.many.toml), "--data", str(self.many.root), "--log", "json"]
        command += ["--leaderboards", str(boards), *more]
        command += [str(self.many.root / "submissions" / name) for name in ("one", "two")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def run(many: Tiny, command: str) -> Evaluate:
    return Evaluate(many, command)


@pytest.fixture(scope="module")
def quiet(run: Evaluate, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, Any], bytes]]:
    """What one thread makes of it."""
    boards = tmp_path_factory.mktemp("quiet") / "b"
    process = run.begin(boards, "--workers", "1")
    process.communicate()
    assert process.returncode == 0
    return told(boards)


def told(boards: Path) -> list[tuple[dict[str, Any], bytes]]:
    found = []
    for card in Store(boards).read("tiny", "five"):
        values = card.model_dump(exclude=OF_THE_RUN)
        values["submission"].pop("source")  # relative to the folder of results
        found.append((values, (boards / "tiny/five" / card.submission.id / "cases.csv").read_bytes()))
    assert len(found) == 2
    return found


def journalled(boards: Path) -> int:
    return sum(file.read_bytes().count(b"\n") - 1 for file in boards.rglob("journal.jsonl"))


def ended(process: subprocess.Popen[str], status: int = 0) -> list[dict[str, Any]]:
    """Wait for a run; return what it said."""
    _, said = process.communicate(timeout=150)
    assert process.returncode == status, said
    return [json.loads(line) for line in said.splitlines() if line.startswith('{"time"')]


def test_a_cluster_gives_the_digits_of_a_thread(cluster: Cluster, run: Evaluate, quiet: object, tmp_path: Path) -> None:
    cluster.worker("w1")
    cluster.worker("w2")
    events = ended(run.begin(tmp_path / "b", "--executor", "dask", "--scheduler", cluster.address))
    assert told(tmp_path / "b") == quiet
    (report,) = (event for event in events if event["event"] == "run-finished")
    assert (report["scores"], report["references"]) == (2 * CASES, CASES)
    assert "CRITICAL" not in (cluster.folder / "scheduler.log").read_text(), "the client left without a word"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "cut off"])
def test_a_worker_that_is_lost_costs_no_case(
    *, cluster: Cluster, run: Evaluate, quiet: object, tmp_path: Path, how: int
) -> None:
    cluster.worker("w1")
    cluster.worker("w2")
    process = run.begin(tmp_path / "b", "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: journalled(tmp_path / "b") > 4)
    wait_for(lambda: bool(cluster.at_work("w1")))
    cluster.signal("w1", how)
    events = ended(process)
    assert told(tmp_path / "b") == quiet
    (report,) = (event for event in events if event["event"] == "run-finished")
    assert report["scores"] == 2 * CASES, "a case was scored twice, or not at all"
    (line,) = report["retried"]
    assert line.endswith("their worker was lost or left, given to the next")
    assert all(card.retried == (line,) for card in Store(tmp_path / "b").read("tiny", "five"))


def test_a_scheduler_that_is_restarted_costs_no_case(
    cluster: Cluster, run: Evaluate, quiet: object, tmp_path: Path
) -> None:
    cluster.worker("w1")
    process = run.begin(tmp_path / "b", "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: journalled(tmp_path / "b") > 4)
    cluster.signal("scheduler", signal.SIGKILL)
    cluster.processes["scheduler"].wait()
    cluster.processes["w1"].wait()  # it ends with its scheduler
    cluster.scheduler()
    cluster.worker("w2")
    events = ended(process)
    assert told(tmp_path / "b") == quiet
    assert any("workers were lost, done again" in e["message"] for e in events if e["event"] == "retried")


def test_a_cluster_that_is_gone_is_said_and_the_run_goes_on_elsewhere(
    cluster: Cluster, run: Evaluate, quiet: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker("w1")
    process = run.begin(tmp_path / "b", "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: journalled(tmp_path / "b") > 4)
    cluster.close()
    events = ended(process, status=2)
    messages = [event["message"] for event in events if event["event"] == "message"]
    assert any("No Dask workers can be had" in message and "is kept" in message for message in messages), messages
    assert not list((tmp_path / "b").rglob("scorecard.json"))
    ended(run.begin(tmp_path / "b", "--executor", "processes", "--workers", "1"))
    assert told(tmp_path / "b") == quiet


def test_a_cluster_that_loses_all_workers_is_not_waited_for_without_end(
    cluster: Cluster, run: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker("w1")
    process = run.begin(tmp_path / "b", "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: journalled(tmp_path / "b") > 4)
    cluster.signal("w1", signal.SIGKILL)
    events = ended(process, status=2)
    messages = [event["message"] for event in events if event["event"] == "message"]
    assert any("No Dask workers can be had" in message for message in messages), messages


def test_models_run_where_their_resource_is_offered(cluster: Cluster, command: str, tmp_path: Path, many: Tiny) -> None:
    cluster.worker("plain")
    cluster.worker("gpu", "--resources", "GPU=1")
    model = tmp_path / "model"
    model.mkdir()
    (model / "submission.toml").write_text('kind = "python"\n[python]\nentry = "model:restore"\n')
    (model / "model.py").write_text(
        "import os\nimport numpy as np\n\n\ndef restore(image):\n    return image + np.float32(os.getppid() * 0)\n"
    )
    arguments = ["--task", str(many.toml), "--data", str(many.root), "--leaderboards", str(tmp_path / "b")]
    arguments += ["--executor", "dask", "--scheduler", cluster.address, "--resources", "GPU=1", "--trust", "model"]
    done = subprocess.run([command, *arguments, str(model)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    from distributed import Client

    client: Any = Client(cluster.address)  # type: ignore[no-untyped-call]
    ran = client.run(lambda dask_worker: bool(dask_worker.state.executed_count))
    names = {info["id"]: ran[address] for address, info in client.scheduler_info(n_workers=-1)["workers"].items()}
    client.close()
    assert names == {"plain": False, "gpu": True}
