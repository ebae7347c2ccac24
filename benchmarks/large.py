"""Measure the memory and the time that large images take, from their files to a scorecard, and metric by metric.

    python benchmarks/large.py --sizes 3840x2160,10000x10000 --plain --json large.json

For each size, a pair of 8-bit RGB photographs is written as PNG and scored as `evaluate` does it, in a process of its
own, whose peak of resident memory is printed; the worker that decodes the output is another process, and has a peak
of its own. With `--plain`, each metric is computed alone in float64, too, as it is of outputs of another depth, or
floats.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from speed import Size, photograph

METRICS = ("psnr.f64", "ssim.basicsr", "ms_ssim.common")
TASK = """
id = "large"
title = "One large pair"
description = "Made for a measurement."
paper = "none"
inputs = "One image."
metrics = ["psnr.f64", "ssim.basicsr", "ms_ssim.common"]
default_split = "one"

[protocol]

[ranking]
by = ["psnr.f64"]

[limits]
case_s = 600

[splits.one]
reader = "files"
title = "one pair"
licence = "CC0"
home = "https://example.org"
get = "made by the benchmark"
folders = ["data"]
inputs = "in/*.png"
references = "ref/*.png"
"""
PEAK = """
from pathlib import Path
def peak():
    # Not getrusage: its maximum is inherited from the process that started this one.
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) * 1024
"""
SCORE = (
    PEAK
    + """
import evaluator, sys, threading, time
from evaluator.runners.sandbox.usage import usage
import os
root, seen, over = Path(sys.argv[1]), [0], threading.Event()
def watch():
    while not over.wait(0.05):
        seen[0] = max(seen[0], usage(os.getpid(), own=False).resident)
threading.Thread(target=watch).start()
split = evaluator.load_task(root / "large.toml").split("one", root)
(outcome,) = evaluator.score([root / "team"], split, leaderboards=root / "boards")
over.set()
print(peak(), seen[0])
"""
)
PLAIN = (
    PEAK
    + """
import sys
from evaluator import metrics
from evaluator.images import read_image
root, metric = Path(sys.argv[1]), sys.argv[2]
images = [read_image(root / name).array for name in ("team/0.png", "data/ref/0.png")]
if metric != "decode":
    metrics.compute(metric, output=images[0], reference=images[1], peak=255)
print(peak(), 0)
"""
)


def write_pair(root: Path, width: int, height: int) -> None:
    """Write reference, input and output of one case."""
    clean = photograph("astronaut", Size("", min(width, 4000), min(height, 4000), "uint8"))
    for name, sigma in (("data/ref", 0), ("data/in", 20), ("team", 6)):
        noisy = np.clip(np.rint(clean + np.random.default_rng(1).normal(0, sigma, clean.shape)), 0, 255)
        times = -(-height // clean.shape[0]), -(-width // clean.shape[1]), 1
        image = np.tile(noisy.astype(np.uint8)[:, :, ::-1], times)[:height, :width]
        (root / name).mkdir(parents=True)
        cv2.imwrite(str(root / name / "0.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    (root / "large.toml").write_text(TASK, encoding="utf-8")


def measure(script: str, *arguments: str) -> tuple[float, float, float]:
    """Run a script in a process of its own; return its peak and that of its workers in GB, and its time in seconds."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True)
    own, workers = map(int, done.stdout.split()[-2:])
    return own / 1e9, workers / 1e9, time.perf_counter() - start


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="3840x2160,10000x10000", help="WIDTHxHEIGHT,… (default %(default)s)")
    parser.add_argument("--plain", action="store_true", help="measure each metric alone in float64, too")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    given = parser.parse_args()
    rows = []
    print(f"{'size':14}{'work':22}{'peak (GB)':>12}{'worker (GB)':>13}{'time (s)':>10}")
    for text in given.sizes.split(","):
        width, height = map(int, text.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            write_pair(Path(folder), width, height)
            works = [("scored", SCORE, [])]
            works += [(m, PLAIN, [m]) for m in (("decode", *METRICS) if given.plain else ())]
            for work, script, more in works:
                own, workers, seconds = measure(script, folder, *more)
                rows.append({"size": text, "work": work, "peak_gb": own, "worker_gb": workers, "seconds": seconds})
                print(f"{text:14}{work:22}{own:12.2f}{workers:13.2f}{seconds:10.1f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
