"""The clean photographs of the mini splits."""

from __future__ import annotations

import numpy as np

from evaluator.images import pixels_digest
from evaluator.tasks import load_task
from evaluator.tasks.mini.photographs import CROP, crops


def test_sixteen_different_colour_crops_of_one_size() -> None:
    found = crops()
    assert len(found) == len({pixels_digest(crop) for crop in found.values()}) == 16
    for name, crop in found.items():
        assert (crop.shape, crop.dtype) == ((CROP, CROP, 3), np.uint8), name
        assert crop.flags.c_contiguous, name
        assert crop.std() > 10, name
        assert not np.array_equal(crop[:, :, 0], crop[:, :, 2]), name


def test_crops_are_the_published_references() -> None:
    task = load_task("sidd")
    manifest = task.manifest(task.split_spec("mini"))
    assert manifest is not None
    published = {n.removeprefix("reference/"): d for n, d in manifest.items() if n.startswith("reference/")}
    assert {name: pixels_digest(crop) for name, crop in crops().items()} == published
