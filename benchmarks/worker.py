"""Measure what it costs to open submissions in sandboxed processes, as ratios taken in turn on the same machine.

    python benchmarks/worker.py --runs 15 --json worker.json

Decoding PNG files of 256×256 and 1280×720 in a worker and in this process; a whole `evaluate` run on sidd/mini with the
strongest sandbox and without one; and `evaluate check` of 1280 outputs of 256×256 on a task of its own. Processor time
is counted beside wall time, for on a busy machine each change of process waits for its turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from speed import SIZES, make_pairs

from evaluator.images import encode_png
from evaluator.ingest import Expected, FolderSource, baselines_folder
from evaluator.ingest import read_output as read_here
from evaluator.runners import Reception, read_output
from evaluator.runners.sandbox.confine import descendants
from evaluator.tasks import Limits, Protocol

COUNT = 1280
TASK = """
id = "many"
title = "Many"
description = "1280 blocks."
paper = "none"
inputs = "One block."
metrics = ["psnr.f64"]
default_split = "all"
[protocol]
[ranking]
by = ["psnr.f64"]
missing = "unranked"
[splits.all]
reader = "files"
title = "all"
licence = "CC0"
home = "https://example.org"
get = "made here"
count = 1280
size = [256, 256]
folders = ["many"]
inputs = "in/*.png"
references = "ref/*.png"
"""
Numbers = dict[str, float]


def processor_s() -> float:
    """Return the processor time of this process and of all that it started and that runs now, in seconds."""
    ticks = 0
    for number in (os.getpid(), *descendants(os.getpid())):
        fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def in_turn(one: Callable[[], object], other: Callable[[], object], runs: int, batch: int) -> Numbers:
    """Return medians in milliseconds of both and the medians of their ratios; batches of calls run in turn."""
    wall: tuple[list[float], list[float]] = ([], [])
    busy: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for at, work in enumerate((one, other)):
            start, used = time.perf_counter(), processor_s()
            for _ in range(batch):
                work()
            if run:
                wall[at].append((time.perf_counter() - start) / batch * 1000)
                busy[at].append((processor_s() - used) / batch * 1000)
    return {
        "worker_ms": statistics.median(wall[0]),
        "here_ms": statistics.median(wall[1]),
        "ratio": statistics.median(a / b for a, b in zip(*wall, strict=True)),
        "least_ratio": min(wall[0]) / min(wall[1]),
        "processor_ratio": sum(busy[0]) / sum(busy[1]),
    }


def decoding(folder: Path, runs: int) -> dict[str, Numbers]:
    """Compare decoding through a worker with decoding here."""
    found = {}
    with Reception(Limits()) as reception:
        workers = reception.workers()
        for size in SIZES[:2]:
            pair = make_pairs(size, folder)[0]
            source, name = FolderSource(pair.files[0].parent), pair.files[0].name
            expected = Expected.of(size.height, size.width, Protocol())

            def there(source: FolderSource = source, name: str = name, expected: Expected = expected) -> None:
                assert read_output(source, name, expected, workers).pixels is not None

            def here(source: FolderSource = source, name: str = name, expected: Expected = expected) -> None:
                assert read_here(source, name, expected).pixels is not None

            found[size.name] = in_turn(there, here, runs, max(1, 1_500_000 // (size.width * size.height)))
    return found


def evaluate(folder: Path, *arguments: str | Path, sandbox: str = "") -> tuple[float, float]:
    """Run `evaluate`; return its wall and processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / "evaluate", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "EVALUATOR_SANDBOX": sandbox},
        check=True,
        capture_output=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starting(folder: Path, runs: int) -> Numbers:
    """Compare whole runs on sidd/mini with the sandbox and without."""
    example = Path(__file__).parents[1] / "submissions" / "example"
    arguments = ("--task", "sidd", "--split", "mini", "--workers", "2", baselines_folder() / "identity", example)
    times: dict[str, list[tuple[float, float]]] = {"A": [], "none": []}
    for run in range(runs + 1):
        for level, into in times.items():
            # A baseline is trusted: it runs without a sandbox too.
            took = evaluate(folder, *arguments, sandbox=level)
            if run:
                into.append(took)
    medians = {level: [statistics.median(x) for x in zip(*into, strict=True)] for level, into in times.items()}
    differences = [a[0] - b[0] for a, b in zip(times["A"], times["none"], strict=True)]
    return {
        "with_s": medians["A"][0],
        "without_s": medians["none"][0],
        "difference_s": statistics.median(differences),
        "processor_difference_s": medians["A"][1] - medians["none"][1],
    }


def checking(folder: Path, runs: int) -> Numbers:
    """Time `evaluate check` of 1280 outputs."""
    random = np.random.default_rng(3)
    clean = make_pairs(SIZES[0], folder)[0].reference
    for name in ("many/in", "many/ref", "team"):
        (folder / name).mkdir(parents=True)
    for case in range(COUNT):
        noisy = (np.clip(clean + random.normal(0, s, clean.shape), 0, 255).astype(np.uint8) for s in (15, 0.5, 8))
        for name, image in zip(("many/in", "many/ref", "team"), noisy, strict=True):
            (folder / name / f"{case}.png").write_bytes(encode_png(image))
    (folder / "many.toml").write_text(TASK, encoding="utf-8")
    arguments = ("check", "--task", "many.toml", "--data", ".", "--workers", "2", "team")
    times = [evaluate(folder, *arguments) for _ in range(runs)]
    return {"median_s": statistics.median(t[0] for t in times), "least_s": min(t[0] for t in times)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="measurements of each kind")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = {
            "load": {"one_minute": os.getloadavg()[0]},
            **decoding(folder, options.runs),
            "sandbox of a run": starting(folder, max(3, options.runs // 3)),
            "check of 1280": checking(folder, max(3, options.runs // 5)),
        }
    for what, values in numbers.items():
        print(f"{what}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
