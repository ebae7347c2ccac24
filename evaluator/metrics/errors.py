"""Plain error measures: MAE, and RMSE as the dual-pixel papers' tables print it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evaluator.metrics.contract import Contract, Metric
from evaluator.metrics.strips import AnyImage, mean


def mae(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the mean absolute error over all pixels and channels, as a share of the peak."""
    return mean(lambda x, y: np.abs(x - y), output, reference) / peak


def rmse(output: AnyImage, reference: AnyImage, peak: float) -> float:
    """Return the root of the mean squared error over all pixels and channels, as a share of the peak."""
    return math.sqrt(mean(lambda x, y: np.square(x - y), output, reference)) / peak


def _rmse_rel(output: AnyImage, reference: AnyImage, peak: float) -> float:
    # A zero error has no logarithm: it is left out where its PSNR is left out.
    return rmse(output, reference, peak) or math.inf


_MAE = Contract(
    id="mae",
    version=1,
    title="Mean absolute error",
    direction="lower",
    unit="of peak",
    worst=1.0,
    decimals=5,
    colour="RGB, all channels in one mean",
    range="as the protocol hands it over",
    window="none",
    border="none cropped",
    pooling="mean over all pixels and channels, divided by the peak",
    aggregation="mean",
    identical="0",
    minimum_size=1,
    source="Abdullah-Abuolaim/defocus-deblurring-dual-pixel@7ebf77e metrics.py",
    used_by="dual-pixel defocus deblurring (tables print it × 10)",
)
_RMSE_MEAN = replace(
    _MAE,
    id="rmse_mean",
    title="Mean of per-image RMSE",
    pooling="root of the mean squared error of an image, divided by the peak",
    source="definition; larger than rmse_rel unless all images have the same error",
    used_by="no published table known; often taken for RMSE_rel",
)


def _metric(contract: Contract, measure: Callable[[AnyImage, AnyImage, float], float]) -> Metric:
    return Metric(contract, measure, in_strips=measure)


METRICS = (
    _metric(_MAE, mae),
    _metric(_RMSE_MEAN, rmse),
    _metric(
        replace(
            _RMSE_MEAN,
            id="rmse_rel",
            title="RMSE_rel = 10^(−mean PSNR/20)",
            aggregation="geometric mean",
            identical="left out of the mean, and counted, as in PSNR",
            source="K3DN Tables 1–3: 39 of 41 rows equal 10^(−PSNR/20) to the printed digits; the geometric mean of "
            "per-image RMSE is that number. It says nothing that PSNR does not.",
            used_by="K3DN's tables (dual-pixel defocus deblurring)",
        ),
        _rmse_rel,
    ),
)
