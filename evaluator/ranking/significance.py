"""Paired tests between submissions: Wilcoxon's signed-rank test by scipy, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wilcoxon(one: Floats, other: Floats) -> tuple[float, int]:
    """Return the two-sided p of Wilcoxon's signed-rank test, and which has the higher ranks: 1, -1, or 0 for neither.

    Pairs of equal values are left out (Wilcoxon's own way with zeros); without any other, p is 1.

    Args:
        one: values, `(N,)`; NaN leaves out the pair, infinite is more than any number.
        other: those that they are paired with, `(N,)`.
    """
    from scipy.stats import rankdata
    from scipy.stats import wilcoxon as test

    with np.errstate(invalid="ignore"):
        difference = np.where(one == other, 0.0, one - other)
    difference = difference[~np.isnan(difference) & (difference != 0)]
    if not len(difference):
        return 1.0, 0
    signed = np.sign(difference) * rankdata(
        np.abs(difference)
    )  # in place of the values: infinite ones have a rank, too
    return float(test(signed).pvalue), int(np.sign(signed.sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values with Holm's correction for that many tests.

    Source: Holm: A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    found, highest = [0.0] * len(p_values), 0.0
    for step, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - step) * p_values[place]))
        found[place] = highest
    return found


def kendall_tau(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's τ-b of two rankings; None where one of them is all ties, or of fewer than two."""
    from scipy.stats import kendalltau

    if len(one) < 2 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(kendalltau(one, other).statistic)
