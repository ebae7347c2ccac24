"""Apply a protocol: from pixels as they were read to the numbers that metrics take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.images import Pixels
from evaluator.metrics.contract import Image
from evaluator.tasks.spec import Protocol, ToneMap


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
    if protocol.tone_map is not None:
        return _tone_mapped(image, peak, protocol, protocol.tone_map)
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


def to_target(pixels: Pixels, protocol: Protocol) -> Pixels:
    """Bring a reference to the scale on which outputs are compared with it.

    Returns:
        The reference as it is; of linear light, its tone-mapped values as float64, on the scale of 8 or 16 bit if the
        protocol rounds, else 0 to 1.
    """
    if protocol.tone_map is None:
        return pixels
    peak = float(2**protocol.bit_depth - 1) if protocol.quantise == "round" else 1.0
    image = np.ascontiguousarray(pixels.array, dtype=np.float64)
    return Pixels(_tone_mapped(image, peak, protocol, protocol.tone_map).image, peak)


def _tone_mapped(image: NDArray[np.float64], peak: float, protocol: Protocol, tone_map: ToneMap) -> Working:
    lowest, highest = float(image.min()), float(image.max())
    outside = int(np.count_nonzero((image < 0) | (image > tone_map.white)))
    light = np.clip(image, 0, tone_map.white)
    mapped = light / (light + tone_map.offset) * peak
    return Working(np.rint(mapped) if protocol.quantise == "round" else mapped, outside, lowest, highest)
