"""Apply a protocol: from pixels as they were read to the numbers that metrics take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evaluator.images import Pixels
from evaluator.metrics.contract import Image
from evaluator.metrics.strips import Strips, bounds
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
    peak = target_peak(pixels, protocol)
    image = np.ascontiguousarray(pixels.array, dtype=np.float64)
    return Pixels(_tone_mapped(image, peak, protocol, protocol.tone_map).image, peak)


def target_peak(pixels: Pixels, protocol: Protocol) -> float:
    """Return the peak of what `to_target` makes of a reference."""
    if protocol.tone_map is None:
        return pixels.peak
    return float(2**protocol.bit_depth - 1) if protocol.quantise == "round" else 1.0


def working_strips(pixels: Pixels, peak: float, protocol: Protocol) -> tuple[Strips, int]:
    """Return the image of `to_working` in strips, and how many values are clipped."""

    def convert(first: int, last: int) -> Working:
        return to_working(replace(pixels, array=pixels.array[first:last]), peak, protocol)

    height, width, channels = pixels.array.shape
    # Integers lie in their range: there is nothing to count.
    counted = bounds(height, width) if pixels.kind == "float" else ()
    clipped = sum(convert(*bound).clipped for bound in counted)
    return Strips((height, width, channels), lambda first, last: convert(first, last).image), clipped


def target_strips(pixels: Pixels, protocol: Protocol) -> Strips:
    """Return the image of `to_target` in strips of float64."""

    def rows(first: int, last: int) -> Image:
        part = replace(pixels, array=pixels.array[first:last])
        return np.ascontiguousarray(to_target(part, protocol).array, dtype=np.float64)

    height, width, channels = pixels.array.shape
    return Strips((height, width, channels), rows)


def _tone_mapped(image: NDArray[np.float64], peak: float, protocol: Protocol, tone_map: ToneMap) -> Working:
    lowest, highest = float(image.min()), float(image.max())
    outside = int(np.count_nonzero((image < 0) | (image > tone_map.white)))
    light = np.clip(image, 0, tone_map.white)
    mapped = light / (light + tone_map.offset) * peak
    return Working(np.rint(mapped) if protocol.quantise == "round" else mapped, outside, lowest, highest)
