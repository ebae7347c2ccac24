"""Sharp-region preservation: what share of an image's in-focus pixels a method leaves as they were.

After K3DN (Fig. 8), which plots, over in-focus regions, the share of pixels whose error against the *input* is below
a threshold. Its labels are not public; `evaluator.metrics.focus_mask` makes masks that can be published instead.

The metric needs the input and a mask besides the output, which no `Metric.measure` is given; hence `score`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.contract import Contract, Measured, NotApplicable, Undefined

Pixels = NDArray[np.generic]
"""`(H, W)` or `(H, W, C)`, any integer or float type, 0 to the peak that is given with it."""
Mask = NDArray[np.bool_]
"""`(H, W)`, true where the input is in focus."""

THRESHOLDS = tuple(k / 255 for k in range(17))
LIMIT = 16 / 255
"""The area is taken under S(t) for t from 0 to this."""
MINIMUM_SHARE = 0.02
"""Images whose mask covers less than this share of them are left out."""

_PUBLISHED = (1, 2, 4, 8, 16)
# In floats 4/255 − 3/255 is not 1/255: without this, an error on a threshold would fall to either side of it. It lies
# far above the rounding of float64 and far below the spacing of the errors of 16-bit images (6e-10 at 16/255).
_TIE = 1e-12


@dataclass(frozen=True)
class Curve:
    """The error distribution of one image over its mask. Without any mask pixel, shares and area are NaN."""

    thresholds: tuple[float, ...]
    """Errors t as a share of the peak, 0 to 1."""
    shares: tuple[float, ...]
    """S(t): percent of the mask's pixels whose error is strictly below t."""
    area: float
    """Integral of S over t from 0 to 16/255, divided by 16/255: 0 to 100, 100 if nothing in the mask changed."""
    mask_share: float
    """Share of the image's pixels in the mask, 0 to 1."""


@dataclass(frozen=True)
class PooledCurve:
    """The mean of the curves of the images whose mask is large enough."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    """Mean over the kept images of S(t), percent."""
    area: float
    """Mean over the kept images of the area, 0 to 100."""
    kept: int
    dropped: int


def combined_view(left: Pixels, right: Pixels) -> NDArray[np.float64]:
    """Return (left + right) / 2, unrounded: the input where a data set has only the two dual-pixel views.

    Args:
        left: left view, any shape and scale.
        right: right view, of the same shape and scale.

    Returns:
        float64 values of the same shape and scale.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape("left", left, "right", right)
    return np.asarray((left.astype(np.float64) + right.astype(np.float64)) / 2)


def error_map(input: Pixels, output: Pixels, peak: float) -> NDArray[np.float64]:
    """Return e(p): the root of the mean squared difference of input and output over the channels of each pixel.

    Args:
        input: the image the method was given, 0 to `peak`.
        output: what the method made of it, of the same shape, 0 to `peak`.
        peak: the value of full white.

    Returns:
        `(H, W)` float64, 0 to 1.

    Raises:
        Undefined: an image holds NaN or infinity.
        ValueError: the shapes differ, or the peak is not positive.
    """
    _same_shape("input", input, "output", output)
    if not (math.isfinite(peak) and peak > 0):
        raise ValueError(f"the peak must be a positive number; got {peak}")
    squared = np.square(input.astype(np.float64) - output.astype(np.float64))
    if not np.isfinite(squared).all():
        raise Undefined("input or output holds NaN or infinity")
    mean = squared.mean(axis=2) if squared.ndim == 3 else squared
    return np.asarray(np.sqrt(mean) / peak)


def preservation_curve(
    input: Pixels, output: Pixels, mask: Mask, peak: float, thresholds: Sequence[float] = THRESHOLDS
) -> Curve:
    """Return the share of mask pixels whose error is strictly below each threshold, and the area under that curve.

    The area does not depend on `thresholds`. A pixel of error e is counted by S from t = e on, so it adds
    max(0, 1 − e / (16/255)) to the normalised integral: the mean of that over the mask is the exact area.

    Args:
        input: the image the method was given, `(H, W)` or `(H, W, C)`, 0 to `peak`.
        output: what the method made of it, of the same shape.
        mask: `(H, W)` bool, true where the input is in focus.
        peak: the value of full white.
        thresholds: errors as a share of the peak; may hold infinity.

    Raises:
        Undefined: an image holds NaN or infinity.
        ValueError: shapes do not fit, the mask is not bool, or the peak is not positive.
    """
    errors = error_map(input, output, peak)
    if mask.dtype != np.bool_ or mask.shape != errors.shape:
        raise ValueError(f"the mask must be bool {errors.shape}; got {mask.dtype.name} {mask.shape}")
    inside = np.sort(errors[mask])
    levels = tuple(float(t) for t in thresholds)
    if not inside.size:
        return Curve(levels, (math.nan,) * len(levels), math.nan, 0.0)
    below = np.searchsorted(inside, np.array(levels) - _TIE, side="left")
    return Curve(
        thresholds=levels,
        shares=tuple(float(100 * n / inside.size) for n in below),
        area=100 * math.fsum(np.maximum(0, 1 - inside / LIMIT)) / inside.size,
        mask_share=inside.size / mask.size,
    )


def pool(curves: Sequence[Curve], minimum_share: float = MINIMUM_SHARE) -> PooledCurve:
    """Return the mean curve over the images whose mask covers at least `minimum_share` of them.

    Args:
        curves: one curve an image, all with the same thresholds.
        minimum_share: 0 to 1; images without any mask pixel are dropped even at 0.

    Raises:
        NotApplicable: no image is left.
        ValueError: the thresholds differ.
    """
    if len({curve.thresholds for curve in curves}) > 1:
        raise ValueError("curves of different thresholds cannot be pooled")
    kept = [curve for curve in curves if curve.mask_share >= minimum_share and curve.mask_share > 0]
    if not kept:
        raise NotApplicable(f"of {len(curves)} images, none has a mask of {minimum_share:.0%} of its pixels or more")
    return PooledCurve(
        thresholds=kept[0].thresholds,
        shares=tuple(math.fsum(column) / len(kept) for column in zip(*(c.shares for c in kept), strict=True)),
        area=math.fsum(c.area for c in kept) / len(kept),
        kept=len(kept),
        dropped=len(curves) - len(kept),
    )


def score(output: Pixels, input: Pixels, mask: Mask, peak: float) -> Measured:
    """Return `sharp_region.area` of one image, with what its contract publishes beside it.

    Args:
        output: what the method made of the input, `(H, W)` or `(H, W, C)`, 0 to `peak`.
        input: the image the method was given, of the same shape; see `combined_view` for dual-pixel pairs.
        mask: `(H, W)` bool, true where the input is in focus.
        peak: the value of full white.

    Raises:
        NotApplicable: the mask covers less than 2 % of the image.
        Undefined: an image holds NaN or infinity.
        ValueError: shapes do not fit, the mask is not bool, or the peak is not positive.
    """
    curve = preservation_curve(input, output, mask, peak, [k / 255 for k in _PUBLISHED])
    if curve.mask_share < MINIMUM_SHARE:
        raise NotApplicable(
            f"the mask covers {curve.mask_share:.2%} of the image, less than {MINIMUM_SHARE:.0%}: the case is left "
            "out, as the specification says"
        )
    extra = {f"below_{k}": share for k, share in zip(_PUBLISHED, curve.shares, strict=True)}
    return Measured(curve.area, extra | {"mask_share": curve.mask_share})


def _same_shape(one: str, a: Pixels, other: str, b: Pixels) -> None:
    if a.shape != b.shape:
        raise ValueError(f"{one} is {a.shape}, {other} is {b.shape}; nothing is resized")


SHARP_REGION = Contract(
    id="sharp_region.area",
    version=1,
    title="Sharp-region preservation: area under the error distribution",
    direction="higher",
    unit="%",
    worst=0.0,
    decimals=2,
    colour="RGB; error of a pixel = root of the mean squared difference over the channels",
    range="as the protocol hands it over, divided by the peak",
    window="none",
    border="none cropped",
    pooling="over the pixels of the in-focus mask: integral of S(t) for t from 0 to 16/255, divided by 16/255, "
    "where S(t) is the percentage of pixels whose error against the input is strictly below t",
    aggregation="mean",
    identical="100 (the output is the input, inside the mask)",
    minimum_size=1,
    source="K3DN, Fig. 8 (intensity error distribution); the area and the mask are this project's own, since the "
    "paper's labels are not public",
    used_by="dual-pixel defocus deblurring (K3DN plots S(t) on hand-labelled regions of DPD-blur)",
    reference=False,
    extra={f"below_{k}": f"percent of mask pixels whose error is strictly below {k}/255" for k in _PUBLISHED}
    | {"mask_share": "share of the image's pixels in the mask, 0 to 1; below 0.02 the case is left out"},
    flaw="An output equal to its input has the best value: it says what a method leaves alone, never what it restores. "
    "Read it beside PSNR.",
)
