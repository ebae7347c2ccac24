"""The clean photographs of the mini splits."""

from __future__ import annotations

import socket
from importlib import metadata
from importlib.resources import files

import numpy as np
import pytest

from evaluator.images import pixels_digest
from evaluator.tasks import load_task
from evaluator.tasks.mini.photographs import CROP, corners, crops, motorcycle_disparity, photograph, window


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


def test_everything_is_installed_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a mini split reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    installed = {path.name for path in metadata.files("scikit-image") or () if path.parent.name == "data"}
    names = {name for name, _, _ in corners().values()} | {"motorcycle_right"}
    assert {f"{name}.png" for name in names} | {"motorcycle_disp.npz"} <= installed
    assert all(photograph(name).ndim == 3 for name in names)
    assert motorcycle_disparity().size


def test_a_margin_shows_more_of_the_photograph_and_mirrors_beyond_its_border() -> None:
    plain, wide = crops(), crops(20)
    assert all(np.array_equal(wide[case][20:-20, 20:-20], plain[case]) for case in plain)
    whole = photograph("astronaut")
    corner = wide["astronaut-0"]
    assert np.array_equal(corner[20:, 20:], whole[: CROP + 20, : CROP + 20])
    assert np.array_equal(corner[19], corner[21])
    assert np.array_equal(corner[:, 0], corner[:, 40])
    gray = np.arange(100).reshape(10, 10)
    assert window(gray, 3, 4, 2, 1).tolist() == [[23, 24, 25, 26], [33, 34, 35, 36], [43, 44, 45, 46], [53, 54, 55, 56]]


def test_the_motorcycles_disparity_is_the_measured_one_without_holes() -> None:
    with np.load(str(files("skimage") / "data" / "motorcycle_disp.npz")) as archive:
        measured = archive["arr_0"]
    filled = motorcycle_disparity()
    known = np.isfinite(measured)
    assert filled.shape == photograph("motorcycle_left").shape[:2] == measured.shape
    assert 0.9 < known.mean() < 1
    assert np.abs(filled[known] / 64 - measured[known]).max() <= 1 / 128
    # A hole takes a neighbour's value, and the farther one's: less disparity.
    for row, column in np.argwhere(~known)[::997]:
        before = np.flatnonzero(known[row, :column])
        after = column + np.flatnonzero(known[row, column:])
        sides = [measured[row, side] for side in (before[-1:], after[:1]) if side.size]
        assert filled[row, column] / 64 == pytest.approx(float(np.min(sides)), abs=1 / 128)


def test_left_and_right_match_by_the_disparity() -> None:
    # Middlebury's convention: left(x) = right(x − d). A map of another picture, or mirrored, would not fit.
    left, right = (photograph(name).astype(float) for name in ("motorcycle_left", "motorcycle_right"))
    shift = np.rint(motorcycle_disparity() / 64).astype(int)
    rows, columns = np.mgrid[0 : left.shape[0], 0 : left.shape[1]]
    inside = columns >= shift
    there = right[rows, np.where(inside, columns - shift, 0)]
    error = np.abs(left - there)[inside]
    assert np.median(error) < 6
    assert np.median(np.abs(left - right)) > 2 * np.median(error)
