"""Ranks by a rule, of many tables of values at a time: the board's own, or one for each resample or case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluator.ranking.cells import Column
from evaluator.tasks.rules import MEAN_RANK, Ranking

Floats = NDArray[np.float64]
_AT_A_TIME = 4_000_000
"""Comparisons of two rows held in memory."""


def keys(rule: Ranking, columns: Mapping[str, Column], values: Mapping[str, Floats]) -> list[Floats]:
    """Return what decides between rows, the first key first: the higher, the better.

    Args:
        rule: a rule.
        columns: of all that the rule ranks by.
        values: of each, `(R, S)`: R tables of S rows, as far rounded as they are printed. Infinite is better than any
            number, whatever the direction; NaN is worse.
    """
    oriented = [oriented_values(columns[name], values[name]) for name in rule.by]
    if rule.method == MEAN_RANK:
        return [-mean_rank(oriented), oriented[0]]
    return oriented


def oriented_values(column: Column, values: Floats) -> Floats:
    """Return values so that the higher is the better; see `keys`."""
    signed = values if column.direction == "higher" else -values
    signed = np.where(np.isinf(values), np.inf, signed)
    return np.where(np.isnan(values), -np.inf, signed)


def mean_rank(oriented: Sequence[Floats]) -> Floats:
    """Return the mean of the ranks by each key, `(R, S)`; rows that are equal in one share the mean of their ranks."""
    means: Floats = np.mean([_ranks([key], shared_mean=True) for key in oriented], axis=0)
    return means


def mean_rank_of(ordered: Sequence[Floats]) -> Floats:
    """Return ranks by keys, `(R, S)`; rows that are equal in all share the mean of their places."""
    return _ranks(ordered, shared_mean=True)


def places(ordered: Sequence[Floats]) -> NDArray[np.int64]:
    """Return ranks from 1 by keys, `(R, S)`; rows that are equal in all share the first of their places."""
    return _ranks(ordered, shared_mean=False).astype(np.int64)


def _ranks(ordered: Sequence[Floats], *, shared_mean: bool) -> Floats:
    tables, rows = ordered[0].shape
    found = np.empty((tables, rows))
    step = max(1, _AT_A_TIME // max(1, rows * rows))
    for start in range(0, tables, step):
        part = slice(start, start + step)
        better = np.zeros((len(ordered[0][part]), rows, rows), dtype=bool)
        equal = np.ones_like(better)
        for key in ordered:
            one, other = key[part][:, :, None], key[part][:, None, :]
            better |= equal & (other > one)
            equal &= other == one
        found[part] = 1 + better.sum(axis=2)
        if shared_mean:
            found[part] += (equal.sum(axis=2) - 1) / 2
    return found
