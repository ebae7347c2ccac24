"""Tiles cover the image, are joined in the middle of their overlaps, and show where they disagree."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from evaluator.runners.models.tiles import cuts, pad_to, restore_tiled, starts

Array = NDArray[Any]


@given(length=st.integers(1, 300), tile=st.integers(3, 60), overlap=st.integers(2, 59))
def test_tiles_cover_the_axis_and_overlap_enough(length: int, tile: int, overlap: int) -> None:
    if overlap >= tile:
        return
    length = max(length, tile)
    begins = starts(length, tile, overlap)
    assert begins[0] == 0
    assert begins[-1] + tile == length
    borders = cuts(begins, tile, length)
    assert (borders[0], borders[-1]) == (0, length)
    for before, after in pairwise(begins):
        assert before < after <= before + tile - overlap
    for i, begin in enumerate(begins):
        assert begin <= borders[i] < borders[i + 1] <= begin + tile


def test_hand_worked_tiles() -> None:
    assert starts(20, 8, 4) == [0, 4, 8, 12]
    assert cuts([0, 4, 8, 12], 8, 20) == [0, 6, 10, 14, 20]
    assert starts(21, 8, 4) == [0, 4, 8, 12, 13]
    assert starts(8, 8, 4) == [0]


@pytest.mark.parametrize(("overlap", "exact", "seamless"), [(2, 0, 0), (4, 0, 0), (6, 1, 0), (8, 1, 1)])
def test_a_model_that_looks_less_far_than_half_the_overlap_sees_no_tiles(
    overlap: int, exact: int, seamless: int
) -> None:
    image = np.random.default_rng(2).random((50, 61, 3)).astype(np.float32)

    def blur(tiles: list[Array]) -> NDArray[np.float32]:  # looks 3 pixels far
        return np.asarray(uniform_filter(tiles[0].astype(np.float64), (7, 7, 1), mode="constant"), np.float32)

    whole, seams = restore_tiled(blur, [image], (20, 24), overlap)
    error = np.abs(whole - blur([image])).max()
    assert (error < 1e-6) == exact
    assert (seams < 1e-6) == seamless


@pytest.mark.parametrize("axis", [0, 1])
def test_seams_are_what_neighbours_differ_by(axis: int) -> None:
    # Each tile is told apart by the coordinate of its first pixel: neighbours differ by the step of 6.
    rows, columns = np.mgrid[0:20, 0:20].astype(np.float32)
    image = (rows if axis == 0 else columns)[:, :, np.newaxis]
    whole, seams = restore_tiled(lambda tiles: np.full_like(tiles[0], tiles[0][0, 0, 0]), [image], (8, 8), 2)
    assert seams == 6
    line = whole[:, 0, 0] if axis == 0 else whole[0, :, 0]
    assert line.tolist() == [0] * 7 + [6] * 6 + [12] * 7


def test_a_seam_of_one_pixel_is_found() -> None:
    image = np.zeros((8, 14, 1), np.float32)

    def marked(tiles: list[Array]) -> NDArray[np.float32]:
        output = tiles[0].copy()
        output[5, 7] = 0.25  # beside the cut at column 7 in the first tile, far from it in the second
        return output

    whole, seams = restore_tiled(marked, [image], (8, 8), 2)
    assert seams == 0.25
    assert whole[5, 7] == 0
    assert whole[5, 13] == 0.25


def test_inputs_are_cut_alike() -> None:
    image = np.random.default_rng(2).random((30, 30, 1)).astype(np.float32)
    whole, seams = restore_tiled(lambda tiles: tiles[0] - tiles[1], [image, image], (8, 8), 2)
    assert not whole.any()
    assert seams == 0


def test_padding_reflects() -> None:
    assert pad_to(np.array([[[1], [2], [3]]]), 1, 5)[0, :, 0].tolist() == [1, 2, 3, 2, 1]
    assert pad_to(np.array([[[1], [2], [3]]]), 2, 3)[:, :, 0].tolist() == [[1, 2, 3], [1, 2, 3]]
    array = np.zeros((3, 3, 1))
    assert pad_to(array, 2, 3) is array
