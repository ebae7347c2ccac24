"""How steady the runtime ratio is: a model timed against itself, ten times over, on a quiet and on a busy machine.

    python benchmarks/runtime.py --model srcnn --input 256x256 --rounds 10 --json runtime.json

The ratio of a model to itself is 1. Beside the estimate that the harness uses (medians over pairs that ran in turns)
two others are computed from the same times: the ratio of the medians, and of the fastest runs. `--busy N` adds N
processes that load the machine in bursts, as other people's jobs do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import time
from pathlib import Path

from evaluator.efficiency.timing import Timed, interleave
from evaluator.runners import Meter, Reception
from evaluator.scoring.profile import Images, find_model, open_model, runs
from evaluator.tasks import Limits
from evaluator.tasks.costs import parse_size

WITHIN = 0.05


def disturb(seed: int) -> None:
    """Load a processor in bursts, for ever."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    while True:
        end = time.monotonic() + draw.uniform(0.05, 2.0)
        while time.monotonic() < end:
            sum(range(10_000))
        time.sleep(draw.uniform(0.0, 1.0))


def once(name: str, size: tuple[int, int]) -> Timed:
    """Time a model against another instance of it."""
    with Reception(Limits()) as reception:
        model, other = (open_model(find_model(name), reception) for _ in range(2))
        timed = Timed(())
        while not timed.enough:
            one, two = (runs(Meter(s.runner), Images(s, size)) for s in (model, other))
            timed = Timed((*timed.rounds, interleave(one, two)))
            model.runner.workers.close()
            other.runner.workers.close()
    return timed


def measure(name: str, size: tuple[int, int], rounds: int, busy: int) -> dict[str, object]:
    """Return the ratios of all rounds by each estimate, and how many are within 5 % of 1."""
    noise = [multiprocessing.Process(target=disturb, args=(i,), daemon=True) for i in range(busy)]
    for process in noise:
        process.start()
    found: dict[str, list[float]] = {"by pairs": [], "medians": [], "fastest": []}
    try:
        for _ in range(rounds):
            timed = once(name, size)
            assert timed.ratio is not None
            print(f"  {busy} disturbing: {timed.ratio:.3f} in {len(timed.rounds)} rounds", flush=True)
            found["by pairs"].append(timed.ratio)
            found["medians"].append(statistics.median(timed.reference) / timed.median)
            found["fastest"].append(min(timed.reference) / min(timed.seconds))
    finally:
        for process in noise:
            process.kill()
    within = {key: sum(abs(r - 1) <= WITHIN for r in ratios) for key, ratios in found.items()}
    return {"busy": busy, "rounds": rounds, "ratios": found, "within_5_percent": within}


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="srcnn")
    parser.add_argument("--input", type=parse_size, default=(256, 256))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--busy", type=int, nargs="*", default=[0, 2])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = [measure(arguments.model, arguments.input, arguments.rounds, busy) for busy in arguments.busy]
    for result in results:
        print(f"{result['busy']} disturbing processes: {json.dumps(result['within_5_percent'])} of {result['rounds']}")
        for key, ratios in result["ratios"].items():  # type: ignore[attr-defined]
            print(f"  {key:16}", *(f"{r:.3f}" for r in ratios))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
