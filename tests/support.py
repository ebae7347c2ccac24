"""What fixtures and tests share: a tiny task, and MATLAB files as MATLAB writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from evaluator.images import encode_png
from evaluator.tasks import Split, Task, load_task

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
