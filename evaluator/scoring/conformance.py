"""Our values beside those of other libraries on the same photographs, with the reason wherever they differ."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.results import Conformance, environment
from evaluator.results.conformance import Comparison, Verdict

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Compute = Callable[[Any, Pair], float]


@dataclass(frozen=True)
class Peer:
    """One function of another library, set against one metric of ours."""

    metric: str
    package: str
    """Distribution name."""
    module: str
    call: str
    """What was called, for the table."""
    compute: Compute
    tolerance: float | None
    """Largest difference that is agreement; None where the two differ by definition."""
    reason: str = ""


def _tensor(image: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - torch is not loaded before it is needed
    torch = importlib.import_module("torch")
    return torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None] / 255


def _tensors(pair: Pair) -> tuple[Any, Any]:
    return _tensor(pair[0]), _tensor(pair[1])


def _pyiqa(name: str, **options: object) -> Compute:
    def compute(module: Any, pair: Pair) -> float:  # noqa: ANN401
        metric = module.create_metric(name, device="cpu", **options)
        tensors = [t.float() for t in _tensors(pair)]
        return float(metric(*tensors) if metric.metric_mode == "FR" else metric(tensors[0]))

    return compute


_GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
_FLOAT32 = "float32 inside"
_PADDED = "pads by reflection and counts the border, where ours takes the valid region"

PEERS = (
    Peer(
        "psnr.f64",
        "scikit-image",
        "skimage.metrics",
        "peak_signal_noise_ratio(data_range=255)",
        lambda m, p: float(m.peak_signal_noise_ratio(p[1], p[0], data_range=255)),
        1e-9,
    ),
    Peer(
        "ssim.sk_u7",
        "scikit-image",
        "skimage.metrics",
        "structural_similarity(channel_axis=2)",
        lambda m, p: float(m.structural_similarity(p[1], p[0], channel_axis=2, data_range=255)),
        1e-9,
    ),
    Peer(
        "ssim.sk_g",
        "scikit-image",
        "skimage.metrics",
        "structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)",
        lambda m, p: float(m.structural_similarity(p[1], p[0], channel_axis=2, data_range=255, **_GAUSSIAN)),
        1e-9,
    ),
    Peer(
        "psnr.f64",
        "torchmetrics",
        "torchmetrics.functional.image",
        "peak_signal_noise_ratio(data_range=1.0)",
        lambda m, p: float(m.peak_signal_noise_ratio(*_tensors(p), data_range=1.0)),
        1e-4,
        _FLOAT32,
    ),
    Peer(
        "ssim.basicsr",
        "torchmetrics",
        "torchmetrics.functional.image",
        "structural_similarity_index_measure(data_range=1.0)",
        lambda m, p: float(m.structural_similarity_index_measure(*_tensors(p), data_range=1.0)),
        None,
        _PADDED,
    ),
    Peer(
        "ms_ssim.common",
        "torchmetrics",
        "torchmetrics.functional.image",
        "multiscale_structural_similarity_index_measure(data_range=1.0)",
        lambda m, p: float(m.multiscale_structural_similarity_index_measure(*_tensors(p), data_range=1.0)),
        None,
        _PADDED,
    ),
    Peer("psnr.epsilon", "piq", "piq", "psnr", lambda m, p: float(m.psnr(*_tensors(p))), 1e-9),
    Peer(
        "ssim.basicsr",
        "piq",
        "piq",
        "ssim(downsample=False)",
        lambda m, p: float(m.ssim(*_tensors(p), downsample=False)),
        1e-7,
    ),
    Peer(
        "ms_ssim.common",
        "piq",
        "piq",
        "multi_scale_ssim",
        lambda m, p: float(m.multi_scale_ssim(*_tensors(p))),
        None,
        "the same where all sides are even; piq pads odd sides in another way",
    ),
    Peer(
        "ms_ssim.common",
        "pytorch-msssim",
        "pytorch_msssim",
        "ms_ssim(data_range=1)",
        lambda m, p: float(m.ms_ssim(*_tensors(p), data_range=1)),
        1e-5,
        "its window is float32",
    ),
    Peer(
        "ssim.basicsr",
        "pytorch-msssim",
        "pytorch_msssim",
        "ssim(data_range=1)",
        lambda m, p: float(m.ssim(*_tensors(p), data_range=1)),
        1e-5,
        "its window is float32",
    ),
    Peer("psnr.epsilon", "pyiqa", "pyiqa", "psnr", _pyiqa("psnr"), 1e-4, _FLOAT32),
    Peer(
        "ssim.basicsr",
        "pyiqa",
        "pyiqa",
        "ssimc",
        _pyiqa("ssimc"),
        None,
        "sets negative contrast terms to 0",
    ),
    Peer(
        "ssim.wang_gray",
        "pyiqa",
        "pyiqa",
        "ssim",
        _pyiqa("ssim"),
        None,
        "takes the unrounded luma of YIQ, where ours takes MATLAB's rounded gray",
    ),
    Peer(
        "ms_ssim.common",
        "pyiqa",
        "pyiqa",
        "ms_ssim",
        _pyiqa("ms_ssim"),
        None,
        "takes the luma, where ours takes RGB",
    ),
)


def photographs() -> dict[str, Pair]:
    """Return noisy and clean photographs of scikit-image by name: even and odd sizes, a fixed noise."""
    data = importlib.import_module("skimage.data")
    pairs = {}
    for name in ("astronaut", "chelsea"):
        clean = getattr(data, name)()
        noise = np.rint(np.random.RandomState(7).standard_normal(clean.shape) * 15)
        pairs[name] = (np.clip(clean + noise, 0, 255).astype(np.uint8), clean)
    return pairs


def conformance(pairs: Mapping[str, Pair] | None = None) -> list[Comparison]:
    """Compare our metrics with those of the libraries that are installed.

    Args:
        pairs: (output, reference) by name, `(H, W, 3)` uint8; photographs of scikit-image if not given.
    """
    return [_compare(name, pair, peer) for name, pair in (pairs or photographs()).items() for peer in PEERS]


def record(comparisons: Sequence[Comparison]) -> Conformance:
    """Return comparisons with the environment in which they were just made."""
    return Conformance(environment=environment([c.metric for c in comparisons]), comparisons=tuple(comparisons))


def _compare(name: str, pair: Pair, peer: Peer) -> Comparison:
    ours = metrics.compute(peer.metric, output=pair[0], reference=pair[1], peak=255)
    label, theirs, reason = f"{peer.package} {peer.call}", None, ""
    verdict: Verdict = "not installed"
    try:
        module = importlib.import_module(peer.module)
        label = f"{peer.package} {metadata.version(peer.package)} {peer.call}"
    except ImportError:
        pass
    else:
        theirs, reason = peer.compute(module, pair), peer.reason
        if peer.tolerance is None:
            verdict = "differs by definition"
        else:
            verdict = "agrees" if abs(ours - theirs) <= peer.tolerance else "DISAGREES"
    return Comparison(
        pair=name,
        metric=peer.metric,
        version=metrics.get(peer.metric).contract.version,
        ours=ours,
        peer=label,
        theirs=theirs,
        tolerance=peer.tolerance,
        verdict=verdict,
        reason=reason,
    )
