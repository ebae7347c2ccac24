"""Sharp-region preservation of images against their inputs, over masks of what was in focus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.metrics import NotApplicable
from evaluator.metrics.focus_mask import freeze
from evaluator.metrics.sharp_region import Curve, PooledCurve, pool, preservation_curve
from evaluator.runners import Reception, Workers
from evaluator.scoring.spread import matched, read_pixels
from evaluator.tasks import Limits


@dataclass(frozen=True)
class SharpCase:
    """One image: its curve, and the sha256 of the mask's pixels that it was taken over."""

    curve: Curve
    mask_sha256: str


def sharp(output: Path, input_: Path, mask: Path) -> tuple[PooledCurve, dict[str, SharpCase]]:
    """Return the preservation curve of an image, or of a folder of images, and that of each image by name.

    Args:
        output: an image file, or a folder of them.
        input_: what the method was given and asked to keep where it was sharp; matched by name.
        mask: 8-bit gray PNG, 255 where the input is in focus, 0 elsewhere; matched by name.

    Raises:
        EvaluatorError: a file cannot be read, has no partner, or has another size than its output.
    """
    inputs, masks = matched(output, input_), matched(output, mask)
    with Reception(Limits()) as reception:
        cases = _curves(inputs, masks, reception.workers())
    try:
        return pool([case.curve for case in cases.values()]), cases
    except NotApplicable as reason:
        raise EvaluatorError(f"There is nothing to pool: {reason}.") from None


def _curves(
    inputs: Mapping[str, tuple[Path, Path | None]], masks: Mapping[str, tuple[Path, Path | None]], workers: Workers
) -> dict[str, SharpCase]:
    cases = {}
    for name, (out_file, in_file) in inputs.items():
        mask_file = masks[name][1]
        assert in_file is not None  # noqa: S101 - both folders were given
        assert mask_file is not None  # noqa: S101
        out, degraded = read_pixels(out_file, workers)[0], read_pixels(in_file, workers)[0]
        focus = _read_mask(mask_file, workers)
        if (
            not out.array.shape[:2] == degraded.array.shape[:2] == focus.shape
            or out.array.shape != degraded.array.shape
        ):
            got = f"output {out.array.shape}, input {degraded.array.shape}, mask {focus.shape}"
            finding = Finding.error("size", str(out_file), "three images of one size", got, "Nothing is resized.")
            raise EvaluatorError("Output, input and mask do not fit together.", [finding])
        scaled = out.array.astype(np.float64) * (degraded.peak / out.peak)
        if not focus.any():
            raise EvaluatorError(f"{mask_file} marks no pixel as in focus.")
        curve = preservation_curve(degraded.array.astype(np.float64), scaled, focus, degraded.peak)
        cases[name] = SharpCase(curve, freeze(focus)[1])
    return cases


def _read_mask(path: Path, workers: Workers) -> NDArray[np.bool_]:
    array = read_pixels(path, workers)[0].array
    levels = set(np.unique(array).tolist())
    if array.dtype != np.uint8 or array.shape[2] != 1 or not levels <= {0, 255}:
        got = f"{array.dtype} with {array.shape[2]} channels and {len(levels)} levels"
        finding = Finding.error("mask", str(path), "8-bit gray of 0 and 255", got, "Save 255 where it is in focus.")
        raise EvaluatorError(f"{path} is no mask.", [finding])
    return np.asarray(array[:, :, 0] == 255)
