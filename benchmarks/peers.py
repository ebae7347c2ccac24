"""What other libraries do for the same numbers: one function a metric, given the images as each library wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Stage = Callable[[Any, Any], object]


@dataclass(frozen=True)
class Peer:
    """A library: how it wants images, and its metrics by the names that all peers share."""

    name: str
    prepare: Callable[[Array, int], Any]
    stages: dict[str, Stage]


def as_tensor(image: Array, peak: int) -> Any:  # noqa: ANN401 - torch may be absent
    """Return `(1, 3, H, W)` float32 from 0 to 1."""
    import torch

    return torch.from_numpy(np.moveaxis(image.astype(np.float32) / peak, 2, 0).copy())[None]


def as_it_is(image: Array, peak: int) -> tuple[Array, int]:
    """Return image and peak."""
    return image, peak


def skimage_peer() -> Peer:
    """Return scikit-image, with the SSIM that papers use."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def ssim(x: tuple[Array, int], y: tuple[Array, int]) -> object:
        options: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return structural_similarity(y[0], x[0], channel_axis=2, data_range=x[1], **options)

    return Peer(
        "scikit-image",
        as_it_is,
        {"psnr": lambda x, y: peak_signal_noise_ratio(y[0], x[0], data_range=x[1]), "ssim": ssim},
    )


def pyiqa_peer(niqe: Path | None) -> Peer:
    """Return pyiqa; NIQE if the file of its parameters is at hand (it would download it)."""
    import pyiqa

    rgb: dict[str, Any] = {"device": "cpu", "test_y_channel": False}
    stages: dict[str, Stage] = {
        "psnr": pyiqa.create_metric("psnr", device="cpu"),
        "ssim": pyiqa.create_metric("ssim", **rgb),
        "ms_ssim": pyiqa.create_metric("ms_ssim", **rgb),
    }
    if niqe:
        score = pyiqa.create_metric("niqe", device="cpu", pretrained_model_path=str(niqe))
        stages["niqe"] = lambda x, _: score(x)
    return Peer("pyiqa", as_tensor, stages)


def piq_peer() -> Peer:
    """Return piq."""
    import piq

    stages: dict[str, Stage] = {
        "psnr": piq.psnr,
        "ssim": lambda x, y: piq.ssim(x, y, downsample=False),
        "ms_ssim": piq.multi_scale_ssim,
    }
    return Peer("piq", as_tensor, stages)


def torchmetrics_peer() -> Peer:
    """Return torchmetrics' functions."""
    from torchmetrics.functional import image

    stages: dict[str, Stage] = {
        "psnr": lambda x, y: image.peak_signal_noise_ratio(x, y, data_range=1.0),
        "ssim": lambda x, y: image.structural_similarity_index_measure(x, y, data_range=1.0),
        "ms_ssim": lambda x, y: image.multiscale_structural_similarity_index_measure(x, y, data_range=1.0),
    }
    return Peer("torchmetrics", as_tensor, stages)


def lpips_peer() -> Peer:
    """Return the lpips package; random weights take as long as trained ones."""
    import lpips

    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    return Peer("lpips", as_tensor, {"lpips": lambda x, y: network(x * 2 - 1, y * 2 - 1)})


def available(niqe: Path | None) -> list[Peer]:
    """Return the libraries that can be imported, on one thread; say which cannot."""
    found = []
    for name, make in (
        ("scikit-image", skimage_peer),
        ("pyiqa", lambda: pyiqa_peer(niqe)),
        ("piq", piq_peer),
        ("torchmetrics", torchmetrics_peer),
        ("lpips", lpips_peer),
    ):
        try:
            found.append(make())
        except ImportError:
            print(f"{name}: not installed, left out")
    if any(peer.prepare is as_tensor for peer in found):
        import torch

        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
    return found


def decode_by_opencv(file: Path) -> Array:
    """Decode by OpenCV, in RGB order."""
    return np.asarray(cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB))


def decode_by_pillow(file: Path) -> Array:
    """Decode by Pillow, as pyiqa does (16 bit become 8)."""
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
