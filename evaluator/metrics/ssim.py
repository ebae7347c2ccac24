"""Structural similarity, by the definitions that published tables use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from evaluator.metrics.colour import gray_matlab, luma_601
from evaluator.metrics.contract import Contract, Image, Metric
from evaluator.metrics.strips import AnyImage, Strips, changed, cut, padded, shrunk, total
from evaluator.metrics.windows import (
    central,
    filter_valid,
    gaussian_taps,
    raw_moments,
    replicate,
    ssim_means,
    ssim_of,
    windowed_strips,
)

_G11 = gaussian_taps(11, 1.5)
_STRIP = 256  # rows
_BLOCK = 16  # rows whose moments lie in the processor's cache together
KEPT = 3 << 20
"""Values of a reference up to which its moments are kept for other outputs."""


def ssim_basicsr(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return SSIM with an 11-tap Gaussian window (σ 1.5), population covariance, valid region, mean over channels."""
    return float(np.mean(ssim_means(output, reference, peak, _G11)[0]))


def ssim_sk_u7(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return SSIM with a uniform 7×7 window, sample covariance, interior pixels: scikit-image's default."""
    taps = np.full(7, 1 / 7)
    return float(np.mean(ssim_means(output, reference, peak, taps, covariance_scale=49 / 48)[0]))


def ssim_sk_l2(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return scikit-image's default SSIM with twice the dynamic range, as it took for floats before it asked."""
    taps = np.full(7, 1 / 7)
    return float(np.mean(ssim_means(output, reference, 2 * peak, taps, covariance_scale=49 / 48)[0]))


def ssim_matlab_ch(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return MATLAB's `ssim` of each channel: Gaussian window, replicated border, every pixel counted."""
    return float(np.mean(ssim_means(replicate(output, _G11), replicate(reference, _G11), peak, _G11)[0]))


def ssim_matlab3d(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return MATLAB's `ssim` of an RGB array, which it takes as a volume: the window covers the colour axis too."""
    if not isinstance(output, Strips) and not isinstance(reference, Strips):
        return _compare_volume(output, _prepare_volume(reference, peak), peak)
    mixing = channel_mixing(output.shape[2])

    def sum_of(strip: Image, reference_strip: Image) -> float:
        planes = raw_moments(strip, reference_strip, _G11)
        return float(np.sum(ssim_of(central(*(plane @ mixing for plane in planes)), peak)[0]))

    wide, wide_reference = replicate(output, _G11), replicate(reference, _G11)
    return total(sum_of(*pair) for pair in windowed_strips(wide, wide_reference, _G11)) / output.size


@dataclass(frozen=True)
class _Volume:
    """Rows of a reference, with their halo, and what SSIM needs of them whatever the output is."""

    rows: Image
    mean: Image
    square: Image


def _prepare_volume(reference: Image, peak: float) -> Sequence[_Volume] | Image:
    """Return the moments of a reference in strips; of one that is not small, the image: they would take much memory."""
    return reference if reference.size > KEPT else list(_volumes(reference))


def _volumes(reference: Image) -> Iterator[_Volume]:
    mixing, halo = channel_mixing(reference.shape[2]), len(_G11) - 1
    wide = np.asarray(replicate(reference, _G11))
    for top in range(0, wide.shape[0] - halo, _STRIP):
        rows = wide[top : top + _STRIP + halo]
        yield _Volume(rows, filter_valid(rows, _G11) @ mixing, filter_valid(rows * rows, _G11) @ mixing)


def _compare_volume(output: Image, prepared: Sequence[_Volume] | Image, peak: float) -> float:
    """Return `ssim.matlab3d` of an output and what was prepared of its reference."""
    mixing, wide = channel_mixing(output.shape[2]), np.asarray(replicate(output, _G11))
    volumes = _volumes(prepared) if isinstance(prepared, np.ndarray) else prepared

    def sum_of(number: int, volume: _Volume) -> float:
        x, y = wide[number * _STRIP : number * _STRIP + len(volume.rows)], volume.rows
        mean, square, product = (filter_valid(plane, _G11) @ mixing for plane in (x, x * x, x * y))
        found = np.empty_like(mean)
        for top in range(0, len(mean), _BLOCK):
            moments = (plane[top : top + _BLOCK] for plane in (mean, volume.mean, square, volume.square, product))
            found[top : top + _BLOCK] = ssim_of(central(*moments), peak)[0]
        return float(np.sum(found))

    return total(sum_of(*numbered) for numbered in enumerate(volumes)) / output.size


def channel_mixing(channels: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the `(C, C)` matrix by which 11 Gaussian taps with replicated ends filter along the colour axis."""
    mixing = np.zeros((channels, channels))
    for target in range(channels):
        for offset, tap in zip(range(-5, 6), _G11, strict=True):
            mixing[min(max(target + offset, 0), channels - 1), target] += tap
    return mixing


def ssim_wang_gray(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return Wang's `ssim_index.m` on MATLAB's gray image: Gaussian window, valid region, no down-sampling."""
    gray = partial(gray_matlab, peak=peak)
    return ssim_basicsr(changed(output, gray), changed(reference, gray), peak)


def ssim_wang_auto(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return Wang's `ssim.m`: as `ssim_index.m`, after down-sampling by F = max(1, round(min(H, W)/256))."""
    factor = max(1, int(np.floor(min(output.shape[:2]) / 256 + 0.5)))
    gray = partial(gray_matlab, peak=peak)
    small = [_box_downsample(changed(image, gray), factor) for image in (output, reference)]
    return ssim_basicsr(small[0], small[1], peak)


def _box_downsample(image: AnyImage, factor: int) -> AnyImage:
    """Return MATLAB's `imfilter(image, ones(F)/F², 'symmetric', 'same')`, every F-th pixel from the first."""
    if factor == 1:
        return image
    # 'same' of an even window is centred half a pixel to the right and below, as MATLAB's imfilter has it.
    before = (factor - 1) // 2
    height, width = (-(-side // factor) for side in image.shape[:2])
    wide = padded(image, (before, factor), (before, factor), "symmetric")
    wide = cut(wide, slice(height * factor), slice(width * factor))

    def boxes(rows: Image) -> Image:
        found = np.zeros((rows.shape[0] // factor, width, rows.shape[2]))
        for i in range(factor):
            for j in range(factor):
                found += rows[i::factor, j::factor]
        return found / factor**2

    return shrunk(wide, factor, height, boxes) if isinstance(wide, Strips) else boxes(wide)


def ssim_basicsr_y(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return `ssim.basicsr` of the limited-range BT.601 luma."""
    luma = partial(luma_601, peak=peak)
    return ssim_basicsr(changed(output, luma), changed(reference, luma), peak)


_GAUSSIAN = "Gaussian, 11 taps, σ 1.5, population covariance; no down-sampling"
_BASICSR = Contract(
    id="ssim.basicsr",
    version=1,
    title="SSIM, Gaussian window, per RGB channel",
    direction="higher",
    unit="",
    worst=-1.0,
    decimals=4,
    colour="RGB, each channel on its own",
    range="as the protocol hands it over; L = peak, K1 = 0.01, K2 = 0.03",
    window=_GAUSSIAN,
    border="valid region (5 pixels cropped)",
    pooling="mean of the SSIM map, then of channels",
    aggregation="mean",
    identical="1",
    minimum_size=11,
    source="Wang et al. 2004 as in BasicSR calculate_ssim(test_y_channel=False)",
    used_by="BasicSR family, KAIR, CycleISP helper, DISCNet",
)
_SK_U7 = replace(
    _BASICSR,
    id="ssim.sk_u7",
    title="SSIM, scikit-image default, per RGB channel",
    window="uniform 7×7, sample covariance (×49/48); no down-sampling",
    border="interior (3 pixels cropped)",
    minimum_size=7,
    source="skimage.metrics.structural_similarity(channel_axis=2, data_range=peak)",
    used_by="dual-pixel defocus deblurring: DPDNet, IFAN, Restormer, DRBNet, K3DN",
)
_MATLAB = replace(
    _BASICSR, border="replicated, every pixel counted", minimum_size=1, pooling="mean of all pixels and channels"
)
_WANG = replace(
    _BASICSR,
    id="ssim.wang_gray",
    title="SSIM, Wang's ssim_index.m on gray",
    colour="MATLAB's rgb2gray, rounded to 8 bit",
    pooling="mean of the SSIM map",
    source="Wang's ssim_index.m",
    used_by="super-resolution and enhancement papers",
)


def _metric(contract: Contract, measure: Callable[[AnyImage, AnyImage, float], float]) -> Metric:
    return Metric(contract, measure, in_strips=measure)


METRICS = (
    _metric(_BASICSR, ssim_basicsr),
    _metric(
        replace(
            _BASICSR,
            id="ssim.sk_g",
            title="SSIM, scikit-image with Wang's window",
            source="skimage structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False): the "
            "same number as ssim.basicsr",
            used_by="RealBlur's script, AIM 2022 reversed ISP",
        ),
        ssim_basicsr,
    ),
    _metric(_SK_U7, ssim_sk_u7),
    Metric(
        replace(
            _MATLAB,
            id="ssim.matlab3d",
            title="SSIM, MATLAB's ssim of an RGB array (3-D)",
            colour="RGB as a volume: the window has 11 taps on the colour axis too",
            source="MATLAB Image Processing Toolbox ssim(A, ref) with an H×W×3 array; the conv3d of NAFNet and HINet "
            "is the same in float32 (1e-4 apart on average)",
            used_by="SIDD, GoPro and HIDE tables of MPRNet, Restormer, Uformer, HINet, NAFNet",
        ),
        ssim_matlab3d,
        prepare=_prepare_volume,
        compare=_compare_volume,
        in_strips=ssim_matlab3d,
    ),
    _metric(
        replace(
            _MATLAB,
            id="ssim.matlab_ch",
            title="SSIM, MATLAB's ssim of each channel",
            source="MATLAB Image Processing Toolbox ssim with DataFormat 'SSC', or channel by channel",
            used_by="no published table known",
        ),
        ssim_matlab_ch,
    ),
    _metric(_WANG, ssim_wang_gray),
    _metric(
        replace(
            _WANG,
            id="ssim.wang_auto",
            title="SSIM, Wang's ssim.m on gray, down-sampled",
            window="Gaussian, 11 taps, σ 1.5, population covariance; after a box average and every F-th pixel, "
            "F = max(1, round(min(H, W)/256))",
            source="Wang's ssim.m",
            used_by="3D-LUT enhancement papers, older quality assessment papers, piq's default",
        ),
        ssim_wang_auto,
    ),
    _metric(
        replace(
            _BASICSR,
            id="ssim.basicsr_y",
            title="SSIM, Gaussian window, BT.601 luma",
            colour="limited-range BT.601 luma (16 to 235), unrounded",
            pooling="mean of the SSIM map",
            source="BasicSR calculate_ssim(test_y_channel=True)",
            used_by="deraining and super-resolution tables",
        ),
        ssim_basicsr_y,
    ),
    _metric(
        replace(
            _SK_U7,
            id="ssim.sk_l2",
            title="SSIM, scikit-image on floats with L = 2",
            range="as the protocol hands it over; L = 2 × peak",
            source="skimage structural_similarity of floats without data_range, before version 0.20",
            used_by="Uformer's GoPro script; published numbers made with old scikit-image",
            flaw="the dynamic range is taken twice too large, which inflates the score",
        ),
        ssim_sk_l2,
    ),
)
