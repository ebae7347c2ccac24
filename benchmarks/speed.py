"""Measure how fast scoring is, as ratios to other libraries doing the same work on the same machine.

    python benchmarks/speed.py --runs 15 --json speed.json

Three sets of photographs with noisy copies are written to a temporary folder as PNG: 256×256 and 1280×720 of 8 bit,
1680×1120 of 16 bit. Each comparison runs ours and theirs in turn, each on one thread, and divides the medians: a busy
machine disturbs both sides alike. Libraries that are not installed are named and left out. NIQE and LPIPS need their
weights (`evaluate weights list`), LPIPS torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from peers import Peer, available, decode_by_opencv, decode_by_pillow

from evaluator import metrics
from evaluator.images import encode_png
from evaluator.images.png_fast import decode_png
from evaluator.metrics import State
from evaluator.metrics.lpips_net import limit_threads

Array = NDArray[Any]
Work = Callable[[], object]
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")
NOISE = 10  # standard deviation, of 255
STAGES = {"psnr": "psnr.f64", "ssim": "ssim.basicsr", "ms_ssim": "ms_ssim.common", "niqe": "niqe.live"}
PIXEL = ("psnr.f64", "mae", "rmse_rel", "ssim.basicsr", "ms_ssim.common")
LPIPS = "lpips.alex.v0.1"


@dataclass(frozen=True)
class Size:
    """A kind of images to measure with."""

    name: str
    width: int
    height: int
    dtype: str

    @property
    def peak(self) -> int:
        """The value of full white."""
        return int(np.iinfo(self.dtype).max)


SIZES = (
    Size("a: 256×256, 8 bit", 256, 256, "uint8"),
    Size("b: 1280×720, 8 bit", 1280, 720, "uint8"),
    Size("c: 1680×1120, 16 bit", 1680, 1120, "uint16"),
)


@dataclass(frozen=True)
class Pair:
    """An output and its reference, in memory and as files."""

    output: Array
    reference: Array
    files: tuple[Path, Path]
    peak: int


@dataclass(frozen=True)
class Result:
    """Medians of one comparison, in milliseconds a pair."""

    size: str
    work: str
    peer: str
    ours_ms: float
    peer_ms: float
    ratio: float


def photograph(name: str, size: Size) -> Array:
    """Return a photograph of scikit-image of the size, `(H, W, 3)`: scaled to the height, repeated to the width."""
    from skimage import data

    image = getattr(data, name)()
    scale = max(size.height / image.shape[0], 0.5)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    across, down = -(-size.width // image.shape[1]), -(-size.height // image.shape[0])
    return np.ascontiguousarray(np.tile(image, (down, across, 1))[: size.height, : size.width])


def make_pairs(size: Size, folder: Path) -> list[Pair]:
    """Write the files of a set. 16-bit pixels get noise in the low bytes too, as cameras give it."""
    rng = np.random.default_rng(1)
    unit = size.peak / 255
    pairs = []
    for name in PHOTOGRAPHS:
        clean = photograph(name, size) * unit
        clean = clean + (rng.normal(0, 0.3 * unit, clean.shape) if unit > 1 else 0)
        noisy = clean + rng.normal(0, NOISE * unit, clean.shape)
        images = [np.clip(values, 0, size.peak).astype(size.dtype) for values in (noisy, clean)]
        files = (folder / f"{name}-{size.width}-output.png", folder / f"{name}-{size.width}-reference.png")
        for file, image in zip(files, images, strict=True):
            file.write_bytes(encode_png(image))
        pairs.append(Pair(images[0], images[1], files, size.peak))
    return pairs


def alternate(ours: Work, theirs: Work, runs: int) -> tuple[float, float]:
    """Return the medians of both in milliseconds; they run in turn, after one run each that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for work, into in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            work()
            if run:
                into.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def decode(file: Path) -> Array:
    """Decode by the compiled decoder."""
    pixels = decode_png(file.read_bytes())
    if pixels is None:
        raise RuntimeError(f"{file} is not decoded by the compiled decoder")
    return pixels


def measure(ids: tuple[str, ...], output: Array, reference: Array, peak: int) -> None:
    """Compute metrics of a pair as the engine does: the compiled ones together, the others one by one."""
    found = metrics.evaluate_compiled(ids, output=output, reference=reference, peak=peak)
    rest = [metric for metric in ids if metric not in found]
    if rest:
        image = np.ascontiguousarray(output, np.float64)
        for metric in rest:
            target = reference.astype(np.float64) if metrics.get(metric).contract.reference else None
            score = metrics.evaluate(metric, output=image, reference=target, peak=peak)
            if score.state is not State.OK:
                raise RuntimeError(f"{metric}: {score.detail}")


def in_memory(ids: tuple[str, ...], pair: Pair) -> None:
    """Measure what is decoded already."""
    measure(ids, pair.output, pair.reference, pair.peak)


def from_files(ids: tuple[str, ...], pair: Pair) -> None:
    """Decode two files and measure."""
    measure(ids, decode(pair.files[0]), decode(pair.files[1]), pair.peak)


def reference_kept(ids: tuple[str, ...], pair: Pair) -> None:
    """Decode the output and measure it against a reference in memory."""
    measure(ids, decode(pair.files[0]), pair.reference, pair.peak)


class PreparedLpips:
    """LPIPS with the references' features computed beforehand, as for the second submission of a run."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._prepared: dict[Path, dict[Any, Any]] = {pair.files[1]: {} for pair in pairs}
        self._references = {pair.files[1]: pair.reference.astype(np.float64) for pair in pairs}
        for pair in pairs:
            self(pair)

    def __call__(self, pair: Pair) -> None:
        """Measure one pair."""
        key = pair.files[1]
        output, reference = pair.output.astype(np.float64), self._references[key]
        prepared = self._prepared[key]
        metrics.evaluate(LPIPS, output=output, reference=reference, peak=pair.peak, prepared=prepared)


class Comparisons:
    """The comparisons on one set, and their results."""

    def __init__(self, size: Size, pairs: list[Pair], runs: int) -> None:
        self.size, self.pairs, self.runs = size, pairs, runs
        self.results: list[Result] = []

    def add(
        self,
        work: str,
        peer: str,
        ours: Callable[[Pair], object],
        theirs: Callable[[Pair], object],
        *,
        runs: int | None = None,
        pairs: int | None = None,
    ) -> Result:
        """Measure ours and theirs in turn on the pairs, print and keep the result."""
        chosen = self.pairs[:pairs]
        times = [alternate(partial(ours, p), partial(theirs, p), runs or self.runs) for p in chosen]
        mine, other = (statistics.median(side) for side in zip(*times, strict=True))
        return self.note(work, peer, mine, other)

    def note(self, work: str, peer: str, mine: float, other: float) -> Result:
        """Print and keep a result."""
        result = Result(self.size.name, work, peer, mine, other, other / mine)
        self.results.append(result)
        print(f"{work:34}{mine:10.2f}{other:10.2f}{result.ratio:8.2f}×  {peer}", flush=True)
        return result


def compare(on: Comparisons, peers: list[Peer], *, niqe: bool, lpips: bool) -> None:
    """Run all comparisons of one set."""
    pixel = PIXEL + (("niqe.live",) if niqe else ())
    whole = on.add(
        "decode and " + ("all but LPIPS" if niqe else "pixel metrics"),
        "OpenCV's decoding of the two files alone",
        partial(from_files, pixel),
        lambda p: [*map(decode_by_opencv, p.files)],
    )
    on.add("decode two files", "OpenCV", lambda p: [*map(decode, p.files)], lambda p: [*map(decode_by_opencv, p.files)])
    on.add("output decoded, reference kept", "both decoded", partial(reference_kept, pixel), partial(from_files, pixel))
    few = max(1, on.runs // 5)  # the peers are slow
    stages: dict[str, dict[str, float]] = {}  # metric → library → its milliseconds
    for peer in peers:
        for stage, theirs in peer.stages.items():
            if stage == "lpips" and not lpips:
                continue
            ready = {p.files[0]: (peer.prepare(p.output, p.peak), peer.prepare(p.reference, p.peak)) for p in on.pairs}
            ours = in_memory if stage != "lpips" else partial(in_memory, (LPIPS,))
            mine = partial(in_memory, (STAGES[stage],)) if stage in STAGES else ours
            call = partial(lambda stage, ready, p: stage(*ready[p.files[0]]), theirs, ready)
            result = on.add(f"{stage}, in memory", peer.name, mine, call, runs=few, pairs=2)
            stages.setdefault(stage, {})[peer.name] = result.peer_ms
    files = partial(from_files, pixel)
    on.add("two pairs on two threads", "on one", partial(twice, files, threads=2), partial(twice, files, threads=1))
    bundle = on.add("PSNR, MAE, SSIM, MS-SSIM in memory", "plain float64", partial(in_memory, PIXEL), plain, runs=few)
    if "scikit-image" in stages.get("ssim", {}):
        mine, theirs_ms = bundle.ours_ms, stages["ssim"]["scikit-image"]
        on.note("PSNR, MAE, SSIM, MS-SSIM in memory", "scikit-image's SSIM alone", mine, theirs_ms)
    totals(on, stages, whole.ours_ms, lpips=lpips)


def plain(pair: Pair) -> None:
    """Measure by the plain definitions in float64."""
    images = [np.ascontiguousarray(image, np.float64) for image in (pair.output, pair.reference)]
    prepared: dict[Any, Any] = {}
    for metric in PIXEL:
        metrics.evaluate(metric, output=images[0], reference=images[1], peak=pair.peak, prepared=prepared)


def twice(work: Callable[[Pair], object], pair: Pair, *, threads: int) -> None:
    """Do a pair's work twice."""
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, pair) for _ in range(2)]:
            future.result()


def totals(on: Comparisons, stages: dict[str, dict[str, float]], ours_ms: float, *, lpips: bool) -> None:
    """Add up the stages: pyiqa's command line, which decodes for each metric again, and the best peer of each stage."""
    pair = on.pairs[0]
    by_opencv, by_pillow = alternate(
        lambda: [*map(decode_by_opencv, pair.files)], lambda: [*map(decode_by_pillow, pair.files)], on.runs
    )
    pyiqa = {stage: times["pyiqa"] for stage, times in stages.items() if "pyiqa" in times}
    best = {stage: min(times.values()) for stage, times in stages.items() if stage in STAGES}
    mine = ours_ms
    if pyiqa:
        command = sum(pyiqa.values()) + by_pillow * (len(pyiqa) - 0.5 * ("niqe" in pyiqa))
        on.note("from files, without LPIPS", "pyiqa, metric by metric", mine, command)
        on.note("from files, without LPIPS", "the best peer of each stage", mine, sum(best.values()) + by_opencv)
    if lpips and pyiqa and "lpips" in stages:
        theirs = stages["lpips"]["lpips"]
        network = on.add(
            "lpips", "with references prepared", partial(in_memory, (LPIPS,)), PreparedLpips(on.pairs), pairs=2
        )
        kept = next(r for r in on.results if r.work.startswith("output decoded"))
        on.note("lpips, references prepared", "lpips", network.peer_ms, theirs)
        on.note("from files, with LPIPS", "pyiqa and lpips", mine + network.ours_ms, command + theirs + by_pillow)
        on.note(
            "the same, references prepared",
            "pyiqa and lpips",
            kept.ours_ms + network.peer_ms,
            command + theirs + by_pillow,
        )


def main() -> None:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=15, help="runs of each side per pair (default %(default)s)")
    parser.add_argument("--sets", default="abc", help="which sets, by letter (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    limit_threads(1)
    found = {w.name: w for w in metrics.known_weights()}
    parameters = metrics.weights.locate(found["niqe_live"])
    peers = available(parameters)
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.float64)
    score = metrics.evaluate(LPIPS, output=image, reference=image[::-1], peak=255)
    if score.state is not State.OK:
        print(f"{LPIPS} is left out: {score.detail}")
    if not parameters:
        print("niqe.live is left out: evaluate weights fetch niqe_live")
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (s for s in SIZES if s.name[0] in arguments.sets):
            print(f"\n{size.name}\n{'milliseconds a pair':34}{'ours':>10}{'peer':>10}{'ratio':>9}")
            on = Comparisons(size, make_pairs(size, Path(folder)), arguments.runs)
            compare(on, peers, niqe=parameters is not None, lpips=score.state is State.OK)
            results += on.results
    if arguments.json:
        rows = [asdict(result) for result in results]
        arguments.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
