"""Run a model of a fixed input size on a larger image: overlapping tiles, joined in the middle of their overlaps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[list[NDArray[Any]]], NDArray[np.float32]]


def pad_to(array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Pad `(H, W, C)` at the bottom and on the right by reflection, to at least `height` × `width`."""
    rows, columns = max(height - array.shape[0], 0), max(width - array.shape[1], 0)
    return np.pad(array, ((0, rows), (0, columns), (0, 0)), mode="reflect") if rows or columns else array


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles begin along an axis; the last one ends with the image, and may overlap more."""
    if tile >= length:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def cuts(begins: list[int], tile: int, length: int) -> list[int]:
    """Return the borders of what each tile contributes: the middles of the overlaps, from 0 to `length`."""
    return [0, *((after + before + tile) // 2 for before, after in pairwise(begins)), length]


def restore_tiled(
    run: Run, inputs: list[NDArray[Any]], tile: tuple[int, int], overlap: int
) -> tuple[NDArray[np.float32], float]:
    """Restore an image tile by tile.

    A pixel comes from the tile in which it lies farthest from the tile's border: a model that looks less than half the
    overlap around it gives the same output as on the whole image.

    Args:
        run: from tiles of the inputs to the restored tile.
        inputs: arrays `(H, W, C)`, none smaller than a tile.
        tile: height and width of a tile.
        overlap: by how many pixels neighbours overlap, at least 2 and less than a tile along an axis that is cut.

    Returns:
        The restored image `(H, W, C)`, and the seams: the largest difference of two neighbouring tiles on the two
        lines of pixels beside the cut between them, in the output's units.
    """
    height, width = inputs[0].shape[:2]
    tops, lefts = starts(height, tile[0], overlap), starts(width, tile[1], overlap)
    row_cuts, column_cuts = cuts(tops, tile[0], height), cuts(lefts, tile[1], width)
    whole: NDArray[np.float32] | None = None
    seams = 0.0
    above: list[NDArray[np.float32]] = []
    for i, top in enumerate(tops):
        first, end = row_cuts[i], row_cuts[i + 1]
        row: list[NDArray[np.float32]] = []
        for j, left in enumerate(lefts):
            piece = run([array[top : top + tile[0], left : left + tile[1]] for array in inputs])
            if whole is None:
                whole = np.empty((height, width, piece.shape[2]), np.float32)
            begin, stop = column_cuts[j], column_cuts[j + 1]
            whole[first:end, begin:stop] = piece[first - top : end - top, begin - left : stop - left]
            if j:
                beside = _differ(
                    row[-1], piece, rows=slice(first - top, end - top), cut=(begin - lefts[j - 1], begin - left)
                )
                seams = max(seams, beside)
            if i:
                beside = _differ(
                    above[j].transpose(1, 0, 2),
                    piece.transpose(1, 0, 2),
                    rows=slice(begin - left, stop - left),
                    cut=(first - tops[i - 1], first - top),
                )
                seams = max(seams, beside)
            row.append(piece)
        above = row
    assert whole is not None  # noqa: S101 - there is at least one tile
    return whole, seams


def _differ(one: NDArray[np.float32], other: NDArray[np.float32], *, rows: slice, cut: tuple[int, int]) -> float:
    """Return how far two tiles differ on some rows of the two columns beside a cut (given in each one's columns)."""
    here, there = (tile[rows, column - 1 : column + 1] for tile, column in zip((one, other), cut, strict=True))
    return float(np.abs(here.astype(np.float64) - there).max())
