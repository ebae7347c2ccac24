"""Where the time of a run goes."""

from __future__ import annotations

import pytest

from evaluator.scoring.plan import Done
from evaluator.scoring.report import Tally
from evaluator.scoring.stages import Stages


def test_the_slowest_cases_of_all_chunks_are_named() -> None:
    tally = Tally()
    for first in (0, 10, 20):
        tally.add(Done(seconds={f"case-{n}": float(n) for n in range(first, first + 10)}), scored=10)
    tally.add(Done(seconds={"late": 25.5}), scored=1)
    slowest = ["case-29", "case-28", "case-27", "case-26", "late", *(f"case-{n}" for n in range(25, 20, -1))]
    assert list(tally.report().slowest) == slowest
    assert (tally.references, tally.scored) == (31, 31)


def test_a_stage_that_fails_is_counted() -> None:
    stages = Stages()
    with pytest.raises(ValueError, match="in it"), stages.of("metrics"):
        raise ValueError("in it")
    once = stages.seconds["metrics"]
    assert once == stages.total > 0
    stages.add(Stages(dict(stages.seconds)))
    assert stages.total == 2 * once
