"""What fixtures and tests share: a tiny task, MATLAB files as MATLAB writes them, and records of costs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from evaluator.efficiency import Cost, DeviceCard, Hardware, PhoneRun, Timing
from evaluator.efficiency.counts import Counts, Uncounted
from evaluator.images import encode_png
from evaluator.tasks import Split, Task, TaskSpec, load_task

Run = Callable[..., "CompletedProcess[str]"]
"""Runs `evaluate` with arguments; see the fixture `evaluate`."""

CASES = ("a-1", "a-2", "b-1", "b-10", "b-9")
"""In natural order a-1, a-2, b-1, b-9, b-10: the names tell whether sorting is natural."""

TOML = """
id = "tiny"
title = "Tiny task"
description = "Five small pairs for tests."
paper = "none"
inputs = "One 24×20 image."
metrics = ["psnr.f64", "ssim.basicsr", "ms_ssim.common", "mae", "rmse_rel"]
default_split = "five"

[protocol]
clip = true

[ranking]
by = ["psnr.f64", "ssim.basicsr"]
missing = "unranked"

[splits.five]
reader = "files"
title = "five pairs"
licence = "CC0"
home = "https://example.org"
get = "made by the tests"
count = 5
size = [24, 20]
folders = ["tiny"]
inputs = "in/*.png"
references = "ref/*.png"
"""


def ruled_task(more: str = "", **ranking: Any) -> Task:
    """Return the tiny task with another rule, by PSNR if none is given; `more` is TOML to add."""
    values = tomllib.loads(TOML + more)
    values["ranking"] = {"by": ["psnr.f64"]} | ranking
    return Task(TaskSpec.model_validate(values), Path())


@dataclass(frozen=True)
class Tiny:
    """A task of five 24×20 cases in a temporary folder."""

    root: Path
    """The data root; the task's data lies in `root / "tiny"`."""
    toml: Path
    references: dict[str, NDArray[np.uint8]]
    inputs: dict[str, NDArray[np.uint8]]

    @property
    def task(self) -> Task:
        return load_task(self.toml)

    @property
    def split(self) -> Split:
        return self.task.split("five", self.root)

    def outputs(self, name: str, error: int = 4) -> Path:
        """Write a valid submission: references with a small deterministic error."""
        folder = self.root / "submissions" / name
        folder.mkdir(parents=True)
        for number, (case, clean) in enumerate(self.references.items()):
            random = np.random.default_rng(number)
            noise = random.integers(-error, error + 1, clean.shape)
            noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
            (folder / f"{case}.png").write_bytes(encode_png(noisy))
        return folder


def make_tiny(root: Path, cases: Sequence[str] = CASES) -> Tiny:
    """Write the data of a task of 24×20 cases, and the task."""
    references, inputs = {}, {}
    for number, case in enumerate(cases):
        random = np.random.default_rng(100 + number)
        rows, columns = np.mgrid[0:20, 0:24]
        base = (rows * 6 + columns * 4 + 20)[:, :, None] + np.array([0, 15, 30])
        clean = np.clip(base + random.integers(-10, 11, (20, 24, 3)), 0, 255).astype(np.uint8)
        references[case] = clean
        inputs[case] = np.clip(clean + random.integers(-30, 31, clean.shape), 0, 255).astype(np.uint8)
        for folder, image in (("in", inputs[case]), ("ref", clean)):
            path = root / "tiny" / folder / f"{case}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(image))
    toml = root / "tiny.toml"
    toml.write_text(TOML.replace("count = 5", f"count = {len(cases)}"), encoding="utf-8")
    return Tiny(root, toml, references, inputs)


def save_mat73(path: Path, build: Callable[[Any], None]) -> Path:
    """Write a MAT-file of version 7.3 as MATLAB does: HDF5 behind a header of 512 bytes; `build` fills it."""
    with h5py.File(path, "w", userblock_size=512) as file:
        build(file)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def put_mat73(group: Any, name: str, array: NDArray[Any], kind: str, **options: Any) -> Any:
    """Put an array into a MAT-file of version 7.3: axes reversed, MATLAB's class beside it."""
    dataset = group.create_dataset(name, data=np.transpose(array), **options)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    return dataset


def make_timing(**changes: Any) -> Timing:
    """Return a time of 100 ms at 720×1280, half as fast as srcnn; keywords replace its fields."""
    fields: dict[str, Any] = {
        "input": (720, 1280),
        "device": "cpu",
        "device_name": "Some CPU",
        "precision": "float32",
        "threads": 4,
        "runs": 20,
        "median_ms": 100.0,
        "p95_ms": 110.0,
        "spread": 0.02,
        "reference": "srcnn",
        "reference_median_ms": 50.0,
        "ratio": 0.5,
        "ratio_spread": 0.03,
        "memory_mb": 300.0,
    }
    return Timing(**{**fields, **changes})


def failed_timing(why: str) -> Timing:
    """Return a time that is none."""
    names = ("median_ms", "p95_ms", "spread", "reference_median_ms", "ratio", "ratio_spread", "memory_mb")
    return make_timing(**dict.fromkeys(names), runs=0, failure=why)


def make_counts(macs: int = 2_000_000_000, **changes: Any) -> Counts:
    """Return a count at 720×1280; keywords replace its fields."""
    fields: dict[str, Any] = {
        "input": (720, 1280),
        "macs": macs,
        "flops": 2 * macs,
        "tf_profiler_flops": 2 * macs + 7,
        "activations": 1000,
        "uncounted": (Uncounted(operator="ADD", times=3, share=0.1, why="convention"),),
        "complete": True,
    }
    return Counts(**{**fields, **changes})


def make_cost(submission: str = "team", **changes: Any) -> Cost:
    """Return what a model of a submission to dped costs; keywords replace its fields."""
    fields: dict[str, Any] = {
        "task": "dped",
        "submission": submission,
        "version": "ab" * 32,
        "format": "tflite",
        "parameters": 113_000,
        "size_bytes": 460_000,
        "counts": (make_counts(),),
        "timings": (make_timing(),),
        "harness": "0",
        "hardware": Hardware(processor="p", cores=2, memory_gib=4.0, system="s"),
    }
    return Cost(**{**fields, **changes})


PHONE = DeviceCard(id="phone-a", name="Phone A", chipset="Chip 1")


def make_phone_run(**changes: Any) -> PhoneRun:
    """Return a run of 41.2 ms at 720×1280 on `PHONE`; keywords replace its fields."""
    fields: dict[str, Any] = {
        "device": PHONE,
        "input": (720, 1280),
        "backend": "GPU delegate",
        "tool": "ai_benchmark",
        "mean_ms": 41.2,
        "source_sha256": "cd" * 32,
    }
    return PhoneRun(**{**fields, **changes})
