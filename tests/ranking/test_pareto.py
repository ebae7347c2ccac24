"""The Pareto front: nothing on it is dominated, everything else is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evaluator.ranking.pareto import pareto_front

# Few distinct values, so that ties are common.
NUMBER = st.integers(0, 5).map(float) | st.floats(-1e6, 1e6)
POINTS = st.lists(st.tuples(NUMBER, NUMBER), max_size=25)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


@given(POINTS)
def test_a_point_is_on_the_front_just_if_no_other_dominates_it(points: list[tuple[float, float]]) -> None:
    front = pareto_front(points)
    assert len(front) == len(set(front))
    for place, point in enumerate(points):
        assert (place in front) == (not any(dominates(other, point) for other in points))


@given(POINTS)
def test_the_front_rises_with_cost(points: list[tuple[float, float]]) -> None:
    found = [points[place] for place in pareto_front(points)]
    assert found == sorted(found)
    assert [quality for _, quality in found] == sorted(quality for _, quality in found)


def test_a_front_of_a_few_points() -> None:
    points = [(3.0, 30.0), (1.0, 10.0), (2.0, 9.0), (3.0, 30.0), (2.5, 20.0)]
    assert pareto_front(points) == [1, 4, 0, 3]
    assert pareto_front([]) == []
