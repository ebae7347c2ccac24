"""Workers that hang, die, lie or talk too much: each case gets its words, the others go on, nothing is left."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Barrier
from typing import Any, cast

import numpy as np
import pytest

from evaluator.findings import EvaluatorError, Finding, Severity
from evaluator.images import Header, ImageProblem, Pixels, encode_png, inspect
from evaluator.ingest import Expected, FolderSource, ZipSource
from evaluator.runners import (
    Failed,
    ModelRunner,
    Reception,
    RunFailed,
    Stopped,
    Workers,
    WorkerSource,
    decode,
    read_output,
)
from evaluator.runners.client import Answer
from evaluator.runners.frames import Limits as FrameLimits
from evaluator.runners.sandbox.confine import descendants
from evaluator.runners.told import findings_of, shown
from evaluator.tasks import Limits, Protocol

Make = Callable[..., ModelRunner]
Count = Callable[[], int]
LIMIT = 1 << 20
EXPECTED = Expected.of(8, 9, Protocol())
ROOMY = FrameLimits(text=1 << 16, payloads=4, payload=1 << 20)
PNG = encode_png(np.arange(216, dtype=np.uint8).reshape(8, 9, 3))
DARK = Pixels(np.zeros((8, 9, 3), np.uint8), 255.0)
EVIL = """
import os, signal, sys, time
import numpy as np


def restore(image):
    if image.max() > 0:
        evil()
    return image


def evil():
"""


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Workers that decode what they are sent."""
    with Reception(Limits()) as reception:
        yield reception.workers()


def test_what_is_asked_is_answered(workers: Workers) -> None:
    array = np.random.default_rng(0).random((8, 9, 3))
    answer = workers.ask({"job": "ping"}, [array, b"bytes"], answer=ROOMY)
    assert np.array_equal(cast(Any, answer.payloads[0]), array)
    assert answer.payloads[1] == b"bytes"
    assert answer.seconds > 0
    with pytest.raises(Failed, match="KeyError"):
        workers.ask({"job": "no such job"}, answer=ROOMY)
    assert workers.ask({"job": "ping"}, answer=ROOMY).payloads == []
    assert workers.stops == []


def test_threads_share_a_worker_until_a_further_one_is_worth_its_start(
    workers: Workers, processes: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = processes()
    workers.ask({"job": "ping"}, answer=ROOMY)
    one = processes()
    assert one > before
    monkeypatch.setattr(workers, "_start_s", 1000.0)
    with ThreadPoolExecutor(3) as pool:
        arrays = [np.full((40, 40), n, np.uint8) for n in range(30)]
        answers = pool.map(lambda a: workers.ask({"job": "ping"}, [a], answer=ROOMY).payloads[0], arrays)
        assert all(np.array_equal(cast(Any, one), other) for one, other in zip(answers, arrays, strict=True))
    assert processes() == one
    monkeypatch.setattr(workers, "_start_s", 0.1)
    both = Barrier(2)  # neither goes on before the other has a worker, too
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(workers.ask, {"job": "ping"}, answer=ROOMY, meanwhile=both.wait) for _ in range(2)]
        assert all(future.result().payloads == [] for future in asked)
    assert processes() > one
    workers.close()
    assert processes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process can be told where to run")
def test_a_worker_that_decodes_runs_where_its_answer_is_waited_for(workers: Workers, source: FolderSource) -> None:
    cpus = os.sched_getaffinity(0)
    try:
        for cpu in sorted(cpus):
            os.sched_setaffinity(0, {cpu})
            assert read_output(source, "a.png", EXPECTED, workers).pixels is not None
            (connection,) = workers._started
            allowed = [os.sched_getaffinity(pid) for pid in descendants(connection._child._root)]
            assert {cpu} in allowed
    finally:
        os.sched_setaffinity(0, cpus)


WAYS = {
    "hangs": ("time.sleep(1000)", "stopped after 4 s"),
    "waits for a lock": ("import threading; threading.Lock().acquire() and threading.Event().wait()", "after 4 s"),
    "leaves": ("os._exit(3)", "exit: status 3"),
    "leaves as if all were well": ("os._exit(0)", "it ended without an answer"),
    "breaks": ("os.kill(os.getpid(), signal.SIGSEGV)", "crash: signal 11"),
    "ends itself": ("os.kill(os.getpid(), signal.SIGKILL)", "crash: signal 9"),
    "closes all descriptors": ("os.closerange(0, 64); time.sleep(1000)", ""),  # the sandbox around it holds them too
    "takes memory": (
        "import mmap\n    taken = mmap.mmap(-1, 2 << 30)\n    for at in range(0, 2 << 30, 1 << 20):\n"
        "        taken[at : at + (1 << 20)] = bytes(1 << 20)\n    time.sleep(1000)",
        "more than 0.75 GiB of memory",
    ),
    "writes garbage": (
        "for handle in range(3, 64):\n        try:\n            os.write(handle, b'x' * 100)\n"
        "        except OSError:\n            pass\n    time.sleep(1000)",
        "breaks the protocol",
    ),
    "floods the log": ("while True:\n        os.write(2, b'x' * 65536)", "more than 8 MiB of messages"),
    "multiplies": (
        "import threading\n    while True:\n        try:\n"
        "            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "        except RuntimeError:\n            time.sleep(1000)",
        "too many processes",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_dies_costs_its_case_and_no_other(model: Make, image: Pixels, processes: Count, way: str) -> None:
    code, said = WAYS[way]
    before = processes()
    runner = model(EVIL + "    " + code, case_s=4, memory_gib=0.75 if "mmap" in code else 4)
    assert np.array_equal(runner.run({"input": DARK}, limit=LIMIT).output, DARK.array)
    with pytest.raises(RunFailed) as failed:
        runner.run({"input": image}, limit=LIMIT)
    found = failed.value.finding
    assert (found.code, found.severity) == ("stopped", Severity.ERROR)
    assert said in found.got
    assert runner.workers.stops == [found.got]
    assert processes() == before, "something of it is left"
    assert np.array_equal(runner.run({"input": DARK}, limit=LIMIT).output, DARK.array)
    runner.workers.close()
    assert processes() == before


def test_after_five_stops_no_more_is_tried(model: Make, image: Pixels) -> None:
    runner = model(EVIL + "    os._exit(3)")
    for _ in range(5):
        with pytest.raises(RunFailed, match="exit: status 3"):
            runner.run({"input": image}, limit=LIMIT)
    with pytest.raises(RunFailed, match="given up after 5 stops; the first: it died") as failed:
        runner.run({"input": DARK}, limit=LIMIT)
    assert failed.value.finding.code == "stopped"
    assert len(runner.workers.stops) == 5


def test_its_last_words_are_told(model: Make, image: Pixels) -> None:
    runner = model(EVIL + "    os.write(2, b'one\\nthe \\x1b[31mlast'); os._exit(3)")
    with pytest.raises(RunFailed) as failed:
        runner.run({"input": image}, limit=LIMIT)
    assert failed.value.finding.got.endswith("its last words: the \\x1b[31mlast")


FORGED = {
    "words that steer": {"problem": {"code": "\x1b[31m", "expected": "a\u202eb", "got": "\x07" * 9000, "fix": None}},
    "a problem that is none": {"problem": "x"},
    "words of the worker": {"failed": "\x1b[2J\r\n" * 2000},
    "nothing": {},
}


@pytest.mark.parametrize("words", FORGED)
def test_an_answer_that_was_forged_gives_a_finding_that_can_be_shown(model: Make, image: Pixels, words: str) -> None:
    forge = f"import gc\n    channel = next(o for o in gc.get_objects() if type(o).__name__ == 'Channel')\n    channel.send({FORGED[words]!r})\n    time.sleep(1000)"  # noqa: E501
    runner = model(EVIL + "    " + forge)
    with pytest.raises(RunFailed) as failed:
        runner.run({"input": image}, limit=LIMIT)
    for text in asdict_of(failed.value.finding):
        assert text.isprintable()
        assert len(text) <= 2000


def asdict_of(finding: Finding) -> list[str]:
    return [finding.code, finding.file, finding.expected, finding.got, finding.fix]


@pytest.mark.parametrize("seams", ["10 ** 4000", "float('nan')", "float('inf')", "'x'", "[1]", "None", "True"])
def test_forged_seams_are_none(model: Make, image: Pixels, seams: str) -> None:
    forge = f"import gc\n    channel = next(o for o in gc.get_objects() if type(o).__name__ == 'Channel')\n    channel.send({{'seams': {seams}}}, [np.ones((8, 9, 3))])\n    time.sleep(1000)"  # noqa: E501
    ran = model(EVIL + "    " + forge).run({"input": image}, limit=LIMIT)
    assert ran.seams is None


def test_no_worker_to_be_had_is_not_the_submissions_fault(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EvaluatorError, match="No process can be started"):
        workers.ask({"job": "ping"}, answer=ROOMY)
    monkeypatch.undo()
    assert workers.ask({"job": "ping"}, answer=ROOMY).payloads == []
    assert workers.stops == []


def test_workers_sent_elsewhere_are_one_set_for_all_jobs(workers: Workers) -> None:
    one, other = (pickle.loads(pickle.dumps(workers)) for _ in range(2))  # noqa: S301
    assert one is other
    assert one is not workers
    assert one.isolation == workers.isolation
    assert one.ask({"job": "ping"}, [b"x"], answer=ROOMY).payloads == [b"x"]
    one.close()


def test_an_interrupted_question_leaves_no_answer_for_the_next(
    workers: Workers, processes: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = processes()
    from evaluator.runners.frames import Channel

    workers.ask({"job": "ping"}, answer=ROOMY)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Channel, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.ask({"job": "ping"}, [b"for nobody"], answer=ROOMY)
    monkeypatch.undo()
    assert processes() == before
    assert workers.ask({"job": "ping"}, [b"for me"], answer=ROOMY).payloads == [b"for me"]


class Liar:
    """Workers that answer what the test wants."""

    def __init__(self, text: dict[str, Any], *payloads: Any) -> None:
        self._answer = Answer(text, list(payloads), 0.0)

    def ask(self, *_: object, **__: object) -> Answer:
        return self._answer

    def inside(self, path: Path) -> str:
        return str(path)


def lie(text: dict[str, Any], *payloads: Any) -> Workers:
    return cast(Workers, Liar(text, *payloads))


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    (tmp_path / "a.png").write_bytes(PNG)
    return FolderSource(tmp_path)


NAN = np.full((8, 9, 3), np.nan)


@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (b"bytes",),
        (np.zeros((9, 8, 3), np.uint8),),
        (np.zeros((8, 9), np.uint8),),
        (np.zeros((8, 9, 1), np.uint8),),
        (NAN,),
        (np.where(np.arange(3) > 1, np.inf, NAN * 0),),
    ],
)
def test_pixels_that_make_no_sense_are_not_taken(source: FolderSource, payloads: tuple[Any, ...]) -> None:
    reading = read_output(source, "a.png", EXPECTED, lie({"findings": []}, *payloads))
    assert reading.pixels is None
    assert [(f.code, f.file) for f in reading.findings] == [("stopped", "a.png")]
    assert len(reading.sha256) == 64


def test_the_peak_follows_from_the_type_whatever_the_worker_says(source: FolderSource) -> None:
    for dtype, peak in (("uint8", 255.0), ("uint16", 65535.0), ("float32", 1.0)):
        text = {"findings": [], "peak": 1e-9, "sha256": "0" * 64}
        reading = read_output(source, "a.png", EXPECTED, lie(text, np.ones((8, 9, 3), dtype)))
        assert reading.pixels is not None
        assert reading.pixels.peak == peak
        assert reading.sha256 != "0" * 64, "the digest of a file that the harness has read is its own"


@pytest.mark.parametrize("given", ["", "x" * 64, "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", 3, None, ["0" * 64]])
def test_a_digest_that_is_none_is_left_out(given: object) -> None:
    archive = WorkerSource(
        Path("a.zip"), lie({"findings": [], "sha256": given}, np.zeros((8, 9, 3))), Path("a.zip"), []
    )
    assert read_output(archive, "a.png", EXPECTED, lie({})).sha256 == ""


GOOD = {"code": "size", "severity": "error", "file": "a", "expected": "b", "got": "c", "fix": "d"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([GOOD], [("size", "c")]),
        ([{**GOOD, "got": "\x1b[31m\u202e\u2028"}], [("size", "\\u001b[31m\\u202e\\u2028")]),
        ([{**GOOD, "got": "x" * 5000}], [("size", "x" * 1999 + "…")]),
        ([{**GOOD, "severity": "fatal"}, {**GOOD, "more": 1}, {"code": "size"}, 3, None, [], GOOD], [("size", "c")]),
        ([{**GOOD, "got": 3}, {**GOOD, "got": None}], []),
        ("findings", []),
        (None, []),
        ({"0": GOOD}, []),
    ],
)
def test_findings_are_validated_and_cleaned(given: object, wanted: list[tuple[str, str]]) -> None:
    assert [(f.code, f.got) for f in findings_of({"findings": given})] == wanted


def test_what_is_shown_is_one_line_that_steers_nothing() -> None:
    assert shown("  a\nb\tc\x00 ") == "a\\u000ab\\u0009c\\u0000"
    assert shown("ünï × 漢") == "ünï × 漢"
    assert shown("\ud800") == "\\ud800"


HEADER = asdict(inspect(PNG))


@pytest.mark.parametrize(
    "text",
    [
        {"header": None},
        {"header": {**HEADER, "height": 9}},
        {"header": {**HEADER, "height": "tall"}},
        {"header": {"format": "PNG"}},
        {"header": [1]},
        {},
    ],
)
def test_an_image_whose_header_makes_no_sense_is_a_failure(text: dict[str, Any]) -> None:
    with pytest.raises(Failed, match="makes no sense"):
        decode(PNG, lie(text, np.zeros((8, 9, 3), np.uint8)))
    with pytest.raises(Failed, match="makes no sense"):
        decode(PNG, lie({"header": HEADER}, b"bytes"))


def test_an_image_of_any_size_is_decoded_with_its_header(workers: Workers) -> None:
    pixels, header = decode(PNG, workers)
    assert np.array_equal(pixels.array.ravel(), np.arange(216))
    assert isinstance(header, Header)
    assert header == inspect(PNG)
    with pytest.raises(ImageProblem) as problem:
        decode(b"no image", workers)
    assert problem.value.code == "unreadable"


@pytest.mark.parametrize(
    "names",
    [["a.png"], {"a\x1b.png": 1}, {"a.png": "1"}, {"a.png": 1.5}, {"a.png": True}, {"\ud800": 1}, "a.png", None],
)
def test_a_list_of_an_archive_that_makes_no_sense(names: object) -> None:
    archive = WorkerSource(Path("a.zip"), lie({"names": names, "findings": []}), Path("a.zip"), [])
    with pytest.raises(EvaluatorError, match="makes no sense"):
        archive.scan()


def test_an_archive_is_listed_and_read_by_a_worker_as_here(tmp_path: Path, source: FolderSource) -> None:
    import zipfile

    path = tmp_path / "team.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.write(tmp_path / "a.png", "a.png")
        out.write(tmp_path / "a.png", "../b.png")
    here = ZipSource(path)
    with Reception(Limits()) as reception:
        there, workers = reception.files(path, ["a"])
        assert isinstance(there, WorkerSource)
        assert there.scan() == here.scan()
        assert there.read("a.png", 10_000) == PNG
        with pytest.raises(OSError, match=r"none\.png"):
            there.read("none.png", 10_000)
        reading = read_output(there, "a.png", EXPECTED, workers)
        assert reading.pixels is not None
        assert reading.sha256 == read_output(source, "a.png", EXPECTED, workers).sha256
        copy = pickle.loads(pickle.dumps(there))  # noqa: S301
        assert copy.read("a.png", 10_000) == PNG
        copy.workers.close()


def test_a_question_that_takes_too_long_is_named_by_its_limit(workers: Workers) -> None:
    workers.ask({"job": "ping"}, answer=ROOMY)
    with pytest.raises(Stopped) as stopped:
        workers.ask({"job": "ping"}, [bytes(1 << 20)], answer=FrameLimits(text=1 << 16, payloads=1, payload=10))
    assert stopped.value.limit == "answer"
