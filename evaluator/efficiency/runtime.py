"""Summarise the time that a model took for each case of a run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Runtime(BaseModel):
    """Wall time of a model inside a scoring run, other work going on beside it: an indication, no ranking figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int
    median_s: float
    p95_s: float
    """By nearest rank: at least 95 % of the cases took no longer."""
    s_per_megapixel: float
    """Total time over total megapixels."""


def summarise(seconds: Sequence[float], pixels: Sequence[int]) -> Runtime | None:
    """Summarise per-case wall times, or return None if there are none.

    Args:
        seconds: wall time of each case.
        pixels: height x width of each case, in the same order.
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Runtime(
        cases=len(ordered),
        median_s=statistics.median(ordered),
        p95_s=ordered[math.ceil(0.95 * len(ordered)) - 1],
        s_per_megapixel=sum(seconds) / (sum(pixels) / 1e6),
    )
