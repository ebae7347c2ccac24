"""The summary of run times."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.efficiency import summarise


def test_no_times_give_no_summary() -> None:
    assert summarise([], []) is None


def test_time_per_megapixel_is_total_time_over_total_megapixels() -> None:
    found = summarise([1.0, 3.0], [500_000, 1_500_000])
    assert found is not None
    assert found.s_per_megapixel == 2.0
    assert (found.cases, found.median_s) == (2, 2.0)


def test_one_case_is_its_own_median_and_p95() -> None:
    found = summarise([0.25], [1_000_000])
    assert found is not None
    assert (found.median_s, found.p95_s, found.s_per_megapixel) == (0.25, 0.25, 0.25)


def test_one_slow_case_in_a_hundred_moves_neither_median_nor_p95() -> None:
    found = summarise([1.0] * 99 + [60.0], [10_000] * 100)
    assert found is not None
    assert (found.median_s, found.p95_s) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("cases", "rank"), [(1, 1), (2, 2), (10, 10), (19, 19), (20, 19), (21, 20), (40, 38), (100, 95), (101, 96)]
)
def test_p95_is_the_value_of_the_nearest_rank(cases: int, rank: int) -> None:
    found = summarise([float(n) for n in range(1, cases + 1)], [10_000] * cases)
    assert found is not None
    assert found.p95_s == rank


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_a_summary_does_not_depend_on_order_and_its_figures_are_times_of_the_run(
    seconds: list[float], random: Any
) -> None:
    found = summarise(seconds, [10_000] * len(seconds))
    mixed = list(seconds)
    random.shuffle(mixed)
    other = summarise(mixed, [10_000] * len(seconds))
    assert found is not None
    assert other is not None
    assert (found.median_s, found.p95_s) == (other.median_s, other.p95_s)
    assert other.s_per_megapixel == pytest.approx(found.s_per_megapixel, rel=1e-12)
    assert found.median_s == statistics.median(seconds)
    assert found.p95_s in seconds
    assert found.median_s <= found.p95_s
    assert sum(s <= found.p95_s for s in seconds) * 100 >= 95 * len(seconds)
    assert sum(s < found.p95_s for s in seconds) * 100 < 95 * len(seconds)
