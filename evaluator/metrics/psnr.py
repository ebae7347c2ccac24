"""Peak signal-to-noise ratio, in the variants that published numbers rest on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from evaluator.metrics.colour import luma_601, luma_yiq
from evaluator.metrics.contract import Contract, Image, Metric
from evaluator.metrics.strips import AnyImage, changed, cut, mean, parts

SHAVE = 4
"""Pixels cropped at each side by the super-resolution variants."""
_Psnr = Callable[[AnyImage, AnyImage, float], float]


def psnr_f64(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return 10·log10(peak² / MSE) in dB, the MSE over all pixels and channels; `inf` for identical images."""
    mse = mean(lambda x, y: np.square(x - y), output, reference)
    return math.inf if mse == 0 else 10 * math.log10(peak * peak / mse)


def psnr_pirm(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR of both images clipped to [0, peak], as the PIRM 2018 script computes it."""

    def clip(image: Image) -> Image:
        return np.clip(image, 0, peak)

    return psnr_f64(changed(output, clip), changed(reference, clip), peak)


def psnr_round8(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR of the output rounded to 8 bit first, as an image file of 8 bit would hold it."""

    def rounded(image: Image) -> Image:
        return np.asarray(np.rint(np.clip(image / peak, 0, 1) * 255) * (peak / 255))

    return psnr_f64(changed(output, rounded), reference, peak)


def psnr_y601(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR of the limited-range BT.601 luma, peak unchanged: the convention of super-resolution tables."""
    luma = partial(luma_601, peak=peak)
    return psnr_f64(changed(output, luma), changed(reference, luma), peak)


def psnr_yiq(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR of the full-range luma."""
    return psnr_f64(changed(output, luma_yiq), changed(reference, luma_yiq), peak)


def psnr_epsilon(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR with 1e-8 added to the MSE of values in [0, 1]: 80 dB for identical images."""
    mse = mean(lambda x, y: np.square((x - y) / peak), output, reference)
    return 10 * math.log10(1 / (mse + 1e-8))


def psnr_naf(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the PSNR with the peak guessed from the output: 1 if no value of it is above 1, else 255.

    The arrays are taken as the official code hands them over: 8-bit images on the scale 0 to 255.
    """
    scale = 255 / peak
    highest = max(float(strip.max()) for (strip,) in parts(output))
    guessed = 1.0 if highest * scale <= 1 else 255.0

    def scaled(image: Image) -> Image:
        return image * scale

    return psnr_f64(changed(output, scaled), changed(reference, scaled), guessed)


def _shaved(measure: _Psnr) -> _Psnr:
    def measure_inside(output: AnyImage, reference: AnyImage, peak: float) -> float:
        inside = slice(SHAVE, -SHAVE)
        return measure(cut(output, inside, inside), cut(reference, inside, inside), peak)

    return measure_inside


def _capped(value: float) -> _Psnr:
    def measure(output: AnyImage, reference: AnyImage, peak: float) -> float:
        found = psnr_f64(output, reference, peak)
        return value if math.isinf(found) else found

    return measure


_PLAIN = Contract(
    id="psnr.f64",
    version=1,
    title="PSNR, RGB, float64",
    direction="higher",
    unit="dB",
    worst=0.0,
    decimals=4,
    colour="RGB, all channels in one mean",
    range="as the protocol hands it over; neither clipped nor rounded by the metric",
    window="none",
    border="none cropped",
    pooling="mean squared error over all pixels and channels of an image, then 10·log10(peak²/MSE)",
    aggregation="mean",
    identical="infinite: left out of the mean, and counted",
    minimum_size=1,
    source="definition; equals skimage.metrics.peak_signal_noise_ratio and MATLAB psnr",
    used_by="SIDD validation tables (MPRNet, Restormer, Uformer), GoPro",
)
_SHAVED = "4 pixels cropped at each side"
_Y601 = "limited-range BT.601 luma (16 to 235), unrounded; the peak stays that of RGB"


def _metric(contract: Contract, measure: Callable[[AnyImage, AnyImage, float], float]) -> Metric:
    return Metric(contract, measure, in_strips=measure)


METRICS = (
    _metric(_PLAIN, psnr_f64),
    _metric(
        replace(
            _PLAIN,
            id="psnr.pirm",
            title="PSNR of the PIRM 2018 challenge",
            range="both images clipped to [0, peak], not rounded",
            source="aiff22/ai-challenge@6dc52ac evaluate_enhancement.py (whose mean turns infinite at identical pairs)",
            used_by="PIRM 2018 smartphone challenge",
        ),
        psnr_pirm,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.round8",
            title="PSNR, RGB, output rounded to 8 bit",
            range="output clipped and rounded to 255 levels first",
            source="img_as_ubyte before PSNR, as in MPRNet's and Restormer's GoPro scripts",
            used_by="GoPro, HIDE; SIDD's server",
        ),
        psnr_round8,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.crop4",
            title="PSNR, RGB, 4 pixels shaved",
            border=_SHAVED,
            minimum_size=2 * SHAVE + 1,
            source="BasicSR calculate_psnr(crop_border=4); NTIRE efficient super-resolution test_demo.py",
            used_by="super-resolution ×4 on RGB",
        ),
        _shaved(psnr_f64),
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.y601",
            title="PSNR, BT.601 luma (MATLAB, BasicSR)",
            colour=_Y601,
            source="BasicSR calculate_psnr(test_y_channel=True); MATLAB rgb2ycbcr",
            used_by="deraining and super-resolution tables",
        ),
        psnr_y601,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.y601_crop4",
            title="PSNR, BT.601 luma, 4 pixels shaved",
            colour=_Y601,
            border=_SHAVED,
            minimum_size=2 * SHAVE + 1,
            source="BasicSR calculate_psnr(crop_border=4, test_y_channel=True)",
            used_by="super-resolution ×4: Set5, Set14, BSD100, Urban100",
        ),
        _shaved(psnr_y601),
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.yiq",
            title="PSNR, full-range luma (YIQ)",
            colour="luma 0.299 R + 0.587 G + 0.114 B, unrounded",
            source="pyiqa psnry; piq with greyscale conversion",
            used_by="pyiqa's psnry",
        ),
        psnr_yiq,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.dpd",
            title="PSNR, RGB, 100 dB for identical images",
            identical="100 dB",
            source="Abdullah-Abuolaim/defocus-deblurring-dual-pixel@7ebf77e metrics.py",
            used_by="dual-pixel defocus deblurring: DPDNet, Restormer",
        ),
        _capped(100.0),
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.aim22",
            title="PSNR, RGB, 999 dB for identical images",
            identical="999 dB",
            source="mv-lab/AISP@84d4bb4 aim22-reverseisp/scoring",
            used_by="AIM 2022 reversed ISP",
        ),
        _capped(999.0),
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.epsilon",
            title="PSNR, RGB, 1e-8 added to the MSE (pyiqa, piq)",
            identical="80 dB",
            pooling="10·log10(1/(MSE + 1e-8)) of values in [0, 1]",
            source="pyiqa 0.1.16 psnr, piq 0.8.0 psnr",
            used_by="numbers made with pyiqa or piq",
        ),
        psnr_epsilon,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.pooled",
            title="PSNR of the mean squared error of all images",
            aggregation="pooled",
            identical="counts with an error of 0",
            source="DPED train_model.py (per batch); torchmetrics' default; CLIC",
            used_by="DPED's training log, fast-DPED Tables 1 and 2 (in batches)",
        ),
        psnr_f64,
    ),
    _metric(
        replace(
            _PLAIN,
            id="psnr.naf",
            title="PSNR with a guessed peak (NAFNet, HINet)",
            range="peak 1 if no output value is above 1 (of 255), else 255",
            source="megvii-research/NAFNet@2b4af71 basicsr/metrics/psnr_ssim.py",
            used_by="NAFNet and HINet tables",
            flaw="the peak is guessed from the output: a nearly black 8-bit image is scored against peak 1",
        ),
        psnr_naf,
    ),
)
