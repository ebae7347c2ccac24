"""Learned perceptual image patch similarity (LPIPS, v0.1), and two mistaken ways to feed it that were published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.metrics import lpips_net
from evaluator.metrics.contract import Contract, Image, Metric, NotApplicable

_Fed = NDArray[np.float32]
_Feed = Callable[[Image, float], _Fed]


def feed_signed(image: Image, peak: float) -> _Fed:
    """Return `(H, W, 3)` RGB from -1 to 1, as the networks expect it."""
    return feed_unsigned(image, peak) * np.float32(2) - np.float32(1)


def feed_unsigned(image: Image, peak: float) -> _Fed:
    """Return `(H, W, 3)` RGB from 0 to 1."""
    if image.shape[2] != 3:
        raise NotApplicable("needs three channels")
    fed = np.empty(image.shape, np.float32)
    # Divided in float64, so that the same picture in 8 bit, 16 bit and float gives the same digits.
    np.divide(image, peak, out=fed, casting="same_kind")
    return fed


def feed_bgr_8bit(image: Image, peak: float) -> _Fed:
    """Return `(H, W, 3)` from -1 to 1, blue first, clipped and rounded to 8 bit."""
    rounded = np.rint(np.clip(image[:, :, ::-1] / peak, 0, 1) * 255)
    return feed_signed(rounded, 255)


def _metric(net: str, feed: _Feed, contract: Contract) -> Metric:
    def prepare(reference: Image, peak: float) -> list[Any]:
        return lpips_net.load(net).prepare(feed(reference, peak))

    def compare(output: Image, prepared: list[Any], peak: float) -> float:
        return lpips_net.load(net).distance(feed(output, peak), prepared)

    def measure(output: Image, reference: Image, peak: float) -> float:
        return compare(output, prepare(reference, peak), peak)

    return Metric(contract, measure, prepare, compare)


# LPIPS has no upper limit in its definition. The heads' weights limit it to 7.7 (alex), 5.4 (vgg) and 10.2 (squeeze),
# far above what any picture gets: among noise, stripes, flat colours and photographs no pair was above 1.64. So a case
# without an output counts 2: worse than any output that is there.
_WORST = 2.0


def _contract(net: str, title: str, variant: str = "", **fields: str) -> Contract:
    common = {
        "colour": "RGB; images of other than three channels are not scored",
        "range": "0 to peak is mapped to -1 to 1; neither clipped nor rounded; then the scaling layer of v0.1; float32",
        "source": "richzhang/PerceptualSimilarity, lpips 0.1.4, version 0.1, written anew; agrees with it to 1e-5",
    }
    return Contract(
        id=f"lpips.{net}.v0.1{variant}",
        version=1,
        title=title,
        direction="lower",
        unit="",
        worst=_WORST,
        decimals=4,
        window="none; full resolution, no resizing",
        border="none cropped; zero padding as the network has it",
        pooling="features of unit length at each position, squared differences weighted by the heads, mean over "
        "positions, sum over layers",
        aggregation="mean",
        identical="0 exactly",
        minimum_size=lpips_net.BACKBONES[net].minimum_size,
        **(common | fields),  # type: ignore[arg-type]
    )


METRICS = (
    _metric(
        "alex",
        feed_signed,
        _contract(
            "alex",
            "LPIPS, AlexNet, v0.1",
            used_by="DPDD tables (Restormer, IFAN, DRBNet, K3DN), NTIRE and AIM perceptual tracks",
        ),
    ),
    _metric(
        "vgg",
        feed_signed,
        _contract("vgg", "LPIPS, VGG16, v0.1", used_by="tables that say vgg; not comparable with those of alex"),
    ),
    _metric(
        "squeeze",
        feed_signed,
        _contract("squeeze", "LPIPS, SqueezeNet 1.1, v0.1", used_by="DPDD tables of BaMBNet"),
    ),
    _metric(
        "alex",
        feed_unsigned,
        _contract(
            "alex",
            "LPIPS, AlexNet, v0.1, fed 0 to 1",
            ".range01",
            range="0 to peak is mapped to 0 to 1; neither clipped nor rounded; then the scaling layer of v0.1; float32",
            used_by="tables of codes that hand [0, 1] images to the lpips package without normalize=True",
            flaw="the network expects -1 to 1 and gets 0 to 1, half the contrast: values come out too low, and the "
            "order of methods changes",
        ),
    ),
    _metric(
        "alex",
        feed_bgr_8bit,
        _contract(
            "alex",
            "LPIPS, AlexNet, v0.1, channels swapped",
            ".bgr",
            colour="BGR; images of other than three channels are not scored",
            range="both images clipped to [0, peak] and rounded to 8 bit, then mapped to -1 to 1; float32",
            source="jnjaby/DISCNet@63b1859 basicsr/metrics/lpips_metric.py, where bgr2rgb is False",
            used_by="DISCNet's evaluation",
            flaw="the network expects red first and gets blue first; up to 0.16 off for an image",
        ),
    ),
)
