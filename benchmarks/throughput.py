"""What the engine saves and what it costs: submissions together, two workers, its own overhead; ratios from one run.

    python benchmarks/throughput.py [--cases 10000] [--rounds 3]

The pairs of each ratio are run alternately, in rounds; the median is printed with the smallest and the largest. Wall
time needs a quiet machine; processor time, which others disturb less, lacks that of sandboxed readers.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from evaluator.images import encode_png
from evaluator.ingest import open_submission
from evaluator.metrics.lpips_net import limit_threads
from evaluator.runners import Reception
from evaluator.scoring import Tally, backend, plan, score
from evaluator.scoring.backends import Kind
from evaluator.scoring.jobs import CaseJob, CaseResult, PrecomputedOutputs, run_case
from evaluator.scoring.running import is_large
from evaluator.scoring.stages import Stages
from evaluator.tasks import Split, Task, load_task
from evaluator.tasks.manifests import format_manifest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
PAIRS = 256
GOALS = {"together": 0.60, "workers": 1.7, "overhead": 0.05}


def processor() -> float:
    """Return the seconds of processor time of this process and of those it waited for, sandboxed readers not."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def said(ratios: list[float]) -> str:
    """Return the median of ratios, with their range."""
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} rounds)"


def spent(act: Callable[[], object]) -> tuple[float, float]:
    """Return how long something takes: wall time, and processor time, in seconds."""
    begin, busy = time.perf_counter(), processor()
    act()
    return time.perf_counter() - begin, processor() - busy


def compared(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the ratios of wall and processor time."""
    return one[0] / other[0], one[1] / other[1]


def both(ratios: list[tuple[float, float]]) -> str:
    """Return the ratios of wall time and of processor time in words."""
    return f"wall {said([w for w, _ in ratios])}, processor {said([p for _, p in ratios])}"


def photographs(root: Path, submissions: int) -> tuple[Split, list[Path]]:
    """Write pairs of 256×256 and submissions of noisy copies; return them as a split with all of sidd's metrics.

    There are so many that the compiled metrics are used, as for SIDD's own 1,280 blocks.
    """
    from support import TOML

    task, mini = TOML, load_task("sidd").split("mini")
    task = task.replace("size = [24, 20]", "size = [256, 256]").replace("count = 5", f"count = {PAIRS}")
    listed = "metrics = [" + ", ".join(f'"{name}"' for name in mini.task.spec.metrics) + "]"
    task = "\n".join(listed if line.startswith("metrics") else line for line in task.splitlines())
    (root / "bench.toml").write_text(task, encoding="utf-8")
    chance, paths = np.random.default_rng(0), [root / "submissions" / f"team-{n}" for n in range(submissions)]
    for folder in (root / "tiny/in", root / "tiny/ref", *paths):
        folder.mkdir(parents=True)
    cleans = [mini.target(case).array for case in mini.case_ids]
    for case in range(PAIRS):
        clean = np.roll(cleans[case % len(cleans)], case, axis=1)
        (root / "tiny/ref" / f"{case}.png").write_bytes(encode_png(clean))
        for folder in (root / "tiny/in", *paths):
            noisy = clean + chance.normal(0, 10, clean.shape)
            (folder / f"{case}.png").write_bytes(encode_png(np.clip(noisy, 0, 255).astype(np.uint8)))
    return load_task(root / "bench.toml").split("five", root), paths


def together(split: Split, paths: list[Path], root: Path, rounds: int) -> None:
    """Print the time of a run of all over that of runs of each."""

    def command(name: str, given: list[Path]) -> None:
        where = ["--task", str(root / "bench.toml"), "--data", str(root), "--leaderboards", str(root / name)]
        done = subprocess.run(
            [shutil.which("evaluate") or "evaluate", *where, *map(str, given)],
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def each(name: str) -> None:
        for path in paths:
            command(name, [path])

    def one_by_one(name: str) -> None:
        for path in paths:
            score([path], split, leaderboards=root / name, workers=2)

    commands, inside = [], []
    for n in range(rounds):
        commands.append(compared(spent(partial(command, f"c{n}", paths)), spent(partial(each, f"s{n}"))))
        together_ = partial(score, paths, split, leaderboards=root / f"i{n}", workers=2)
        inside.append(compared(spent(together_), spent(partial(one_by_one, f"j{n}"))))
    print(f"{len(paths)} submissions in one command, over one command each: {both(commands)}; goal {GOALS['together']}")
    print(f"the same in one process, without starting: {both(inside)}", flush=True)


def workers(split: Split, paths: list[Path], root: Path, rounds: int) -> None:
    """Print how much faster two workers are than one."""
    kinds: tuple[Kind, ...] = ("threads", "processes")
    for kind in kinds:
        ratios = []
        for n in range(rounds):
            one, two = (
                spent(partial(score, paths, split, leaderboards=root / f"w{kind}{n}{c}", executor=backend(kind, c)))[0]
                for c in (1, 2)
            )
            ratios.append(one / two)
        print(f"two workers over one, {kind}: {said(ratios)}; goal {GOALS['workers']}", flush=True)


def pin(toml: Path) -> None:
    """Give a task the manifest that published data has: without one, all files are read once more before a run."""
    folder = toml.parent / "tiny"
    digests = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.glob("*/*.png")
    }
    (toml.parent / "tiny.sha256").write_text(format_manifest(digests), encoding="utf-8")
    text = toml.read_text(encoding="utf-8")
    toml.write_text(
        text.replace('folders = ["tiny"]', 'folders = ["tiny"]\nmanifest = "tiny.sha256"'), encoding="utf-8"
    )


def overhead(task: Task, data: Path, path: Path, root: Path, rounds: int) -> None:
    """Print what the engine adds to the stages of its jobs: references, outputs, metrics, looks.

    That is what a run takes beyond its stages, from the opening of the split to the scorecard. It is a small difference
    of large numbers, so its parts are measured by themselves, too: the engine doing jobs whose results are known, and
    what jobs do between their stages.
    """
    import cv2

    metrics, shares, alones, betweens = task.spec.metrics, [], [], []
    for number in range(rounds):
        split, stages = task.split("five", data), Stages()
        known: dict[str, dict[int, CaseResult]] = {}
        cv2.setNumThreads(1)
        limit_threads(1)
        with Reception(task.spec.limits) as reception:
            source, own = reception.files(path, split.case_ids)
            provider = PrecomputedOutputs(open_submission(path, split.case_ids, source), own)
            gc.freeze()  # as the command does
            begin = time.perf_counter()
            for case in split.case_ids:
                known[case] = run_case(CaseJob(split, case, {0: provider}, metrics, is_large(split), stages))
            between = time.perf_counter() - begin - stages.total
            gc.unfreeze()

        def run(name: str, tally: Tally) -> bytes:
            gc.freeze()  # nor does a run have all results before it begins
            score([path], task.split("five", data), leaderboards=root / name, tally=tally)
            gc.unfreeze()
            return next((root / name).rglob("cases.csv")).read_bytes()

        begin = processor()
        with patch.object(plan, "run_case", lambda job, known=known: known[job.case]):
            table = run(f"a{number}", Tally())
        alone, tally = processor() - begin, Tally()
        assert run(f"o{number}", tally) == table
        report = tally.report()
        shares.append(report.seconds / tally.stages.total - 1)
        alones.append(alone / stages.total)
        betweens.append(between / stages.total)
        print(f"  {len(split.case_ids)} cases, {stages.total:.1f} s in the stages", flush=True)
    print(f"wall time of a run beyond that of its stages: {said(shares)}; goal {GOALS['overhead']}")
    print(f"of it the engine alone, processor time, over the time of the stages: {said(alones)}")
    print(f"and what jobs do between their stages: {said(betweens)}")


def main() -> None:
    """Print the three numbers."""
    from support import make_tiny

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="small cases, for the overhead")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ.setdefault("EVALUATOR_CACHE", str(root / "cache"))
        split, paths = photographs(root, submissions=20)
        together(split, paths, root, given.rounds)
        workers(split, paths[:4], root, given.rounds)
        small = make_tiny(root / "small", [f"c-{number}" for number in range(given.cases)])
        pin(small.toml)
        overhead(load_task(small.toml), small.root, small.outputs("team"), root, given.rounds)


if __name__ == "__main__":
    main()
