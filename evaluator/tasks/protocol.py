"""Apply a protocol: from pixels as they were read to the numbers that metrics take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluator.images import Pixels
from evaluator.metrics.contract import Image
from evaluator.tasks.spec import Protocol


@dataclass(frozen=True)
class Working:
    """An output ready for the metrics, and what the protocol did to it."""

    image: Image
    """`(H, W, C)` float64, C-contiguous, on the reference's scale."""
    clipped: int = 0
    """How many values lay outside [0, peak] and were clipped."""
    lowest: float = 0.0
    highest: float = 0.0


def to_working(pixels: Pixels, peak: float, protocol: Protocol) -> Working:
    """Bring an output to the reference's scale, then clip and round as the protocol says.

    Args:
        pixels: the output as read.
        peak: the reference's peak.
        protocol: the task's protocol.

    Returns:
        float64 values on the scale 0 to `peak`, with the number of values that were clipped.
    """
    image = np.ascontiguousarray(pixels.array, dtype=np.float64)
    if pixels.peak != peak:
        image = image * (peak / pixels.peak)
    clipped, lowest, highest = 0, 0.0, 0.0
    if pixels.kind == "float":
        lowest, highest = float(image.min()), float(image.max())
        if protocol.clip and (lowest < 0 or highest > peak):
            clipped = int(np.count_nonzero((image < 0) | (image > peak)))
            image = np.clip(image, 0, peak)
    if protocol.quantise == "round" and (pixels.kind == "float" or pixels.peak != peak):
        image = np.rint(image)
    return Working(image, clipped, lowest, highest)
