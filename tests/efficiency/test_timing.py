"""Timing in turns, with clocks that the tests set themselves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from evaluator.efficiency import timing
from evaluator.efficiency.timing import Round, Timed, interleave


def steady(*values: float) -> Callable[[], float]:
    """Return runs that take these seconds, over and over."""
    each: Iterator[int] = count()
    return lambda: values[next(each) % len(values)]


def test_a_ratio_is_reference_over_model() -> None:
    found = interleave(steady(0.1), steady(0.3))
    assert found.ratio == pytest.approx(3)
    assert len(found.seconds) == len(found.reference) == 2 * timing.FEWEST


def test_runs_take_turns_and_every_other_pair_is_turned_round() -> None:
    order: list[str] = []

    def noted(name: str) -> Callable[[], float]:
        def run() -> float:
            order.append(name)
            return 0.1

        return run

    interleave(noted("a"), noted("b"))
    assert order[:4] == ["b", "a", "b", "a"], "both are warmed up first"
    assert "".join(order[4:12]) == "abbaabba"


def test_load_that_hits_both_and_bursts_that_hit_one_leave_the_ratio() -> None:
    draw = random.Random(1)  # noqa: S311 - nothing secret
    slow = 1.0

    def run(own: float) -> Callable[[], float]:
        def once() -> float:
            nonlocal slow
            slow = max(1.0, slow + draw.uniform(-0.2, 0.2))  # the machine's load wanders
            burst = 5.0 if draw.random() < 0.15 else 1.0
            return own * slow * burst * draw.uniform(0.99, 1.01)

        return once

    found = Timed(tuple(interleave(run(0.02), run(0.05)) for _ in range(timing.FEWEST_ROUNDS)))
    assert found.ratio == pytest.approx(2.5, rel=0.05)


def test_without_a_reference_there_is_no_ratio() -> None:
    found = Timed((interleave(steady(0.1, 0.2), None),))
    assert found.reference == ()
    assert found.ratio is None
    assert found.ratio_spread is None
    assert 0.1 <= found.median <= 0.2


def test_the_budget_ends_it_after_the_fewest_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(timing.time, "monotonic", lambda: next(clock))
    found = interleave(steady(0.1, 0.4), steady(0.2, 0.1, 0.4), budget_s=0.5)
    assert len(found.seconds) == timing.FEWEST


def test_it_ends_where_the_ratio_never_becomes_sure() -> None:
    found = interleave(steady(0.1, 0.4, 0.9), steady(0.2, 0.1, 0.4, 0.7, 1.1))
    assert len(found.seconds) == timing.MOST


def test_a_process_that_is_slower_all_its_life_does_not_decide() -> None:
    even, odd = Round((0.1,) * 6, (0.2,) * 6), Round((0.1,) * 6, (0.23,) * 6)
    found = Timed((even, odd, even))
    assert not found.enough
    assert Timed((even, even, even)).enough
    assert Timed((even, odd) * 4).enough
    assert not Timed((even, even)).enough
    assert found.ratio == pytest.approx(2)
    assert found.ratio_spread == pytest.approx(0.15)
    assert found.p95 == pytest.approx(0.1)
    assert found.spread == 0


def test_what_a_run_gains_after_one_of_its_own_cancels() -> None:
    last = ""

    def run(name: str) -> Callable[[], float]:
        def once() -> float:
            nonlocal last
            seconds = 0.09 if last == name else 0.10
            last = name
            return seconds

        return once

    assert interleave(run("a"), run("b")).ratio == pytest.approx(1, abs=0.001)
