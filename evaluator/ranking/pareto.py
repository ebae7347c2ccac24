"""The Pareto front of quality against cost."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the points that no other dominates, by their places, cheapest first.

    A point dominates another if it costs no more and is as good, and is better in one of the two. Equal points do not
    dominate each other.

    Args:
        points: (cost, quality) of each: lower cost and higher quality are better; finite.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    front: list[int] = []
    for place in order:
        if not front or points[place][1] > points[front[-1]][1] or points[place] == points[front[-1]]:
            front.append(place)
    return front
