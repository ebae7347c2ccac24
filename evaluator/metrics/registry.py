"""The metrics by id, and the two ways to run one."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluator.findings import EvaluatorError, did_you_mean
from evaluator.metrics import detection, errors, lpips, ms_ssim, niqe, psnr, pyiqa_zoo, sharp_region, ssim
from evaluator.metrics.contract import (
    Contract,
    Image,
    Measured,
    Metric,
    NotApplicable,
    Score,
    SetContract,
    State,
    Unavailable,
    Undefined,
)
from evaluator.metrics.strips import Strips, bounds, equal, is_large, strips_of
from evaluator.metrics.weights import KNOWN, Weights, digest_of

_MODULES = (psnr, ssim, ms_ssim, errors, lpips, niqe)


@cache
def metrics() -> dict[str, Metric]:
    """Return all metrics by id, in the order in which tables show them."""
    found = {metric.contract.id: metric for module in _MODULES for metric in module.METRICS}
    return found | {SHARP_REGION: Metric(sharp_region.SHARP_REGION, _needs_a_mask)}


def set_contracts() -> dict[str, SetContract]:
    """Return the contracts of the numbers that no single image has, by id."""
    return {contract.id: contract for contract in detection.CONTRACTS}


def contract_of(metric_id: str) -> Contract | SetContract:
    """Return the contract of a metric, or of a number of a whole set.

    Raises:
        EvaluatorError: there is none of that id.
    """
    found = set_contracts().get(metric_id)
    return get(metric_id).contract if found is None else found


def known_weights() -> list[Weights]:
    """Return the weights that metrics may need."""
    metrics()  # importing the metrics registers them
    return list(KNOWN.values())


def weights_used(metric_ids: Sequence[str]) -> dict[str, str]:
    """Return the sha256 of the weights on this machine that these metrics use, by the weights' name."""
    used = {w.name: digest_of(w) for w in known_weights() if any(w.serves(m) for m in metric_ids)}
    used |= {m: pyiqa_zoo.digest_of(m) for m in metric_ids if is_further(m)}
    return {name: digest for name, digest in used.items() if digest}


def is_further(metric_id: str) -> bool:
    """Tell whether an id names a metric of pyiqa's (`pyiqa:NAME`), which `ids` does not list."""
    return metric_id.startswith(pyiqa_zoo.PREFIX)


def ids() -> list[str]:
    """Return the ids of all metrics."""
    return list(metrics())


def get(metric_id: str) -> Metric:
    """Return a metric by id: one of `ids`, or `pyiqa:NAME`.

    Raises:
        EvaluatorError: there is none of that id.
    """
    if is_further(metric_id):
        return pyiqa_zoo.metric(metric_id)
    try:
        return metrics()[metric_id]
    except KeyError:
        if metric_id in set_contracts():
            verb = set_contracts()[metric_id].verb
            raise EvaluatorError(f"No image has a {metric_id}, only a whole set of detections: {verb}.") from None
        known = [*metrics(), *set_contracts()]
        family = [m for m in known if m.startswith(f"{metric_id}.")]
        hint = did_you_mean(metric_id, known) or f" Known: {', '.join(known)}."
        hint = f" There are {', '.join(family)}." if family else hint
        raise EvaluatorError(f"There is no metric {metric_id!r}.{hint}") from None


def evaluate(
    metric_id: str,
    *,
    output: Image | Strips,
    reference: Image | Strips | None,
    peak: float,
    prepared: dict[Any, Any] | None = None,
) -> Score:
    """Return one metric of one pair as a score with its state; never raises for what an image may hold.

    Args:
        metric_id: a metric's id.
        output: `(H, W, C)` float64 values, or strips of them; 0 to `peak` in a well-formed output. Large images are
            taken in strips, however they come, by the metrics that can; strips are made whole for the others.
        reference: the same shape; may be None for a metric that needs none.
        peak: the value of full white.
        prepared: an empty dict that is given again with the same reference, so that what depends on the reference
            alone is computed once; metrics of a family share it.
    """
    metric = get(metric_id)
    if metric.contract.reference and reference is None:
        return Score(State.NOT_APPLICABLE, detail="needs a reference")
    least = metric.contract.minimum_size
    if min(output.shape[:2]) < least:
        size = f"{output.shape[1]}×{output.shape[0]}"
        return Score(State.NOT_APPLICABLE, detail=f"needs images of {least}×{least} at least; this is {size}")
    if reference is not None and metric.contract.reference and output.shape != reference.shape:
        raise EvaluatorError(f"output is {output.shape}, reference is {reference.shape}: nothing is resized to fit.")
    try:
        with np.errstate(all="ignore"):  # what comes of it is looked at below
            if metric.in_strips is not None and reference is not None and is_large(output.shape):
                measured = metric.in_strips(_strips(output), _strips(reference), peak)
            else:
                whole = None if reference is None else _whole(reference)
                measured = _measure(metric, _whole(output), whole, peak, prepared)
    except (NotApplicable, Unavailable, Undefined) as reason:
        return Score(_STATES[type(reason)], detail=str(reason))
    except _arithmetic_errors() as error:
        return Score(State.FAILED, detail=f"{metric_id} has no number for this output ({error})")
    value, extra = (measured.value, measured.extra) if isinstance(measured, Measured) else (measured, {})
    if math.isinf(value) and (reference is None or not equal(_strips(output), _strips(reference))):
        return Score(State.FAILED, detail=f"{metric_id} is beyond all numbers for this output", extra=extra)
    return _score(metric_id, value, extra)


def evaluate_compiled(
    metric_ids: Sequence[str],
    *,
    output: NDArray[Any],
    reference: NDArray[Any],
    peak: float,
    prepared: dict[Any, Any] | None = None,
) -> dict[str, Score]:
    """Return those of the metrics that `evaluator.metrics.fast` computes, by id; ask `evaluate` for the others.

    Args:
        metric_ids: ids of metrics.
        output: `(H, W, C)`, uint8 or uint16.
        reference: the same shape and dtype.
        peak: the value of full white.
        prepared: see `evaluate`.
    """
    from evaluator.metrics.fast import IDS, measure_bundle  # numba is loaded only where it is wanted

    wanted = [metric for metric in metric_ids if metric in IDS]
    found = measure_bundle(output, reference, peak, wanted, prepared) if wanted else {}
    return {metric: _score(metric, value, {}) for metric, value in found.items()}


def evaluate_sharp(*, output: Image, given: Image, mask: NDArray[np.bool_], peak: float) -> Score:
    """Return the sharp-region preservation of one image as a score with its state.

    Args:
        output: `(H, W, C)` float64 values.
        given: what the method was given, of the same shape.
        mask: `(H, W)`, true where that is in focus.
        peak: the value of full white.
    """
    try:
        measured = sharp_region.score(output, given, mask, peak)
    except (NotApplicable, Undefined) as reason:
        return Score(_STATES[type(reason)], detail=str(reason))
    return _score(SHARP_REGION, measured.value, measured.extra)


def _needs_a_mask(output: Image, reference: Image, peak: float) -> float:
    raise NotApplicable("needs the input and a mask of what is in focus: evaluate metrics sharp, or a task with masks")


SHARP_REGION = sharp_region.SHARP_REGION.id


def _score(metric_id: str, value: float, extra: Mapping[str, float]) -> Score:
    if value == math.inf:
        return Score(State.INFINITE, detail="output and reference are identical", extra=extra)
    if not math.isfinite(value):
        return Score(State.FAILED, detail=f"{metric_id} is not a number for this output")
    return Score(State.OK, value, extra=extra)


def _arithmetic_errors() -> tuple[type[Exception], ...]:
    """Return what a metric may raise for values that it cannot handle; OpenCV's kind only if OpenCV was loaded."""
    opencv = sys.modules.get("cv2")
    return (ArithmeticError, ValueError, *((opencv.error,) if opencv else ()))


_STATES: dict[type[Exception], State] = {
    NotApplicable: State.NOT_APPLICABLE,
    Unavailable: State.UNAVAILABLE,
    Undefined: State.FAILED,
}


def _strips(image: Image | Strips) -> Strips:
    return image if isinstance(image, Strips) else strips_of(image)


def _whole(image: Image | Strips) -> Image:
    return image.whole() if isinstance(image, Strips) else image


def _measure(
    metric: Metric, output: Image, reference: Image | None, peak: float, prepared: dict[Any, Any] | None
) -> float | Measured:
    if reference is None:
        return metric.measure(output, output, peak)
    if prepared is None or metric.prepare is None or metric.compare is None:
        return metric.measure(output, reference, peak)
    if metric.prepare not in prepared:
        prepared[metric.prepare] = metric.prepare(reference, peak)
    return metric.compare(output, prepared[metric.prepare], peak)


def compute(metric_id: str, *, output: ArrayLike, reference: ArrayLike | None = None, peak: float) -> float:
    """Compute one metric of one pair of images.

    Args:
        metric_id: a metric's id, such as `psnr.f64`; `evaluate metrics` lists them. Or `pyiqa:NAME`.
        output: `(H, W, C)` or `(H, W)`, any integer or float type, values from 0 to `peak`.
        reference: the same shape; may be left out for a metric that needs none.
        peak: the value of full white: 255 for 8 bit, 65535 for 16 bit, 1 for floats. Never guessed.

    Returns:
        The value; `inf` where the metric is infinite for identical images.

    Raises:
        EvaluatorError: unknown id, shapes that differ, or a peak that is not positive.
        NotApplicable: the metric is not defined for images of this size, or needs a reference.
        Undefined: its formula gives no number for this pair.
        Unavailable: something it needs is not on this machine.
    """
    out = _image(output, "output")
    ref = None if reference is None else _image(reference, "reference")
    if ref is not None and out.shape != ref.shape:
        raise EvaluatorError(f"output is {out.shape}, reference is {ref.shape}: nothing is resized or cropped to fit.")
    if not peak > 0:
        raise EvaluatorError(f"peak must be positive, got {peak}.")
    for name, given, image in (("output", output, out), ("reference", reference, ref)):
        highest = np.asarray(given).max(initial=0) if image is not None and np.asarray(given).dtype.kind in "ui" else 0
        if highest > peak:
            raise EvaluatorError(f"{name} holds integers up to {highest:.0f}, above the peak {peak:g}.")
    score = evaluate(metric_id, output=out, reference=ref, peak=peak)
    if score.state is State.INFINITE:
        return math.inf
    if score.value is None:
        raise _RAISED.get(score.state, Undefined)(score.detail)
    return score.value


_RAISED = {State.NOT_APPLICABLE: NotApplicable, State.UNAVAILABLE: Unavailable}


def _image(values: ArrayLike, name: str) -> Image | Strips:
    array = np.asarray(values)
    if array.ndim not in (2, 3) or array.dtype.kind not in "uif":
        raise EvaluatorError(
            f"{name} must be an (H, W, C) or (H, W) array of numbers, got {array.dtype} {array.shape}."
        )
    array = array[:, :, None] if array.ndim == 2 else array
    if array.dtype.kind == "f" and not all(np.isfinite(array[a:b]).all() for a, b in bounds(*array.shape[:2])):
        raise EvaluatorError(f"{name} holds NaN or infinity.")
    if array.shape[2] not in (1, 3):
        raise EvaluatorError(f"{name} is {array.shape}: expected (H, W, C) with 1 or 3 channels, channels last.")
    return strips_of(array) if is_large(array.shape) else np.ascontiguousarray(array, dtype=np.float64)
