"""The networks behind LPIPS, written down plainly: three backbones of torchvision's layout and the linear heads.

torch is imported when the first network is loaded, never with this module. No global state of torch is changed, but for
two things: `limit_threads` sets torch's thread count in the threads that compute scores, if it was called; and on a GPU
TF32 and non-deterministic kernels are switched off while a network runs, and back on afterwards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.extras import install
from evaluator.metrics.contract import NotApplicable, Unavailable
from evaluator.metrics.weights import Weights, need, register, weights_folder

Tensor = Any
"""A `torch.Tensor`; torch is optional, so its types are not named here."""
Torch = Any
"""The module torch."""
Tensors = Mapping[str, Tensor]

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Mean and deviation of ImageNet's channels, for values from -1 to 1 (the scaling layer that v0.0 lacked)."""

_ROWS = 1 << 16  # pixels whose distance is computed at once, so that VGG's first maps are not copied whole


def alexnet(x: Tensor, w: Tensors) -> Iterator[Tensor]:
    """Yield the five ReLU outputs of AlexNet; `x` is `(1, 3, H, W)`, H and W 31 at least."""
    f = import_module("torch.nn.functional")
    yield (x := _conv(x, w, "0", stride=4, padding=2))
    yield (x := _conv(f.max_pool2d(x, 3, 2), w, "3", padding=2))
    yield (x := _conv(f.max_pool2d(x, 3, 2), w, "6", padding=1))
    yield (x := _conv(x, w, "8", padding=1))
    yield _conv(x, w, "10", padding=1)


def vgg16(x: Tensor, w: Tensors) -> Iterator[Tensor]:
    """Yield the last ReLU output of each of VGG16's five blocks; `x` is `(1, 3, H, W)`, H and W 16 at least."""
    f = import_module("torch.nn.functional")
    for block in (("0", "2"), ("5", "7"), ("10", "12", "14"), ("17", "19", "21"), ("24", "26", "28")):
        if block[0] != "0":
            x = f.max_pool2d(x, 2, 2)
        for layer in block:
            x = _conv(x, w, layer, padding=1)
        yield x


def squeezenet(x: Tensor, w: Tensors) -> Iterator[Tensor]:
    """Yield seven outputs of SqueezeNet 1.1; `x` is `(1, 3, H, W)`, H and W 17 at least."""
    f = import_module("torch.nn.functional")
    yield (x := _conv(x, w, "0", stride=2))
    for block in (("3", "4"), ("6", "7"), ("9",)):
        x = f.max_pool2d(x, 3, 2, ceil_mode=True)
        for layer in block:
            x = _fire(x, w, layer)
        yield x
    for layer in ("10", "11", "12"):
        yield (x := _fire(x, w, layer))


def _conv(x: Tensor, w: Tensors, layer: str, *, stride: int = 1, padding: int = 0) -> Tensor:
    f = import_module("torch.nn.functional")
    weight, bias = w[f"features.{layer}.weight"], w[f"features.{layer}.bias"]
    return f.relu_(f.conv2d(x, weight, bias, stride=stride, padding=padding))


def _fire(x: Tensor, w: Tensors, layer: str) -> Tensor:
    x = _conv(x, w, f"{layer}.squeeze")
    wide = (_conv(x, w, f"{layer}.expand1x1"), _conv(x, w, f"{layer}.expand3x3", padding=1))
    return import_module("torch").cat(wide, 1)


@dataclass(frozen=True)
class Backbone:
    """One of the three networks: how it runs, what it reads, and the smallest side that all its layers accept."""

    features: Callable[[Tensor, Tensors], Iterator[Tensor]]
    minimum_size: int
    weights: Weights
    heads: Weights


def _backbone_weights(net: str, torchvision: str, npz: tuple[tuple[str, str], ...] = ()) -> Weights:
    prefix = Path(torchvision).stem.rpartition("-")[2]  # the start of the file's sha256, as torchvision names it
    return register(
        Weights(
            name=Path(torchvision).stem,
            files=((torchvision, prefix), *npz),
            url=f"https://download.pytorch.org/models/{torchvision}",
            licence="BSD-3-Clause (torchvision)",
            used_by=f"lpips.{net}.v0.1",
        )
    )


def _head_weights(net: str, digest: str) -> Weights:
    return register(
        Weights(
            name=f"lpips-{net}-v0.1",
            files=((f"lpips-{net}-v0.1.pth", digest), (f"{net}.pth", digest)),
            url=f"https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/{net}.pth",
            licence="BSD-2-Clause (PerceptualSimilarity)",
            used_by=f"lpips.{net}.v0.1",
            package=f"lpips/weights/v0.1/{net}.pth",
        )
    )


BACKBONES = {
    "alex": Backbone(
        alexnet,
        31,
        _backbone_weights(
            "alex",
            "alexnet-owt-7be5be79.pth",
            (
                (
                    "alexnet_features_torchvision_layout.npz",
                    "e762b28a0489ca1b9a809bcf1fc6d82b9310cd77ff6c495d057dc8811994eab4",
                ),
            ),
        ),
        _head_weights("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    ),
    "vgg": Backbone(
        vgg16,
        16,
        _backbone_weights("vgg", "vgg16-397923af.pth"),
        _head_weights("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    ),
    "squeeze": Backbone(
        squeezenet,
        17,
        _backbone_weights(
            "squeeze",
            "squeezenet1_1-b8a52dc0.pth",
            (
                (
                    "squeezenet1_1_features_torchvision_layout.npz",
                    "d93ddd97c67fea9a17380d10cac44bdf76c3cdf377a3315240c1b5a4d3e63158",
                ),
            ),
        ),
        _head_weights("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
    ),
}


@dataclass(frozen=True)
class Network:
    """A backbone with its heads, ready on one device."""

    torch: Torch
    backbone: Backbone
    device: str
    tensors: Tensors
    heads: tuple[Tensor, ...]

    def prepare(self, image: NDArray[np.float32]) -> list[Tensor]:
        """Return the normalised features of a reference, one `(pixels, channels)` tensor a layer.

        Args:
            image: `(H, W, 3)`, values from -1 to 1 for LPIPS as it is meant.
        """
        with self._running():
            return [x / _norm(self.torch, x) for x in map(_rows, self._features(image))]

    def distance(self, image: NDArray[np.float32], prepared: list[Tensor]) -> float:
        """Return LPIPS between an image and what `prepare` gave for its reference."""
        total = 0.0
        with self._running():
            # Layer by layer, so that no more than one layer's features of the output are held.
            for x, reference, head in zip(self._features(image), prepared, self.heads, strict=True):
                total += self._layer(_rows(x), reference, head)
        return total

    def _layer(self, x: Tensor, reference: Tensor, head: Tensor) -> float:
        maps = []
        for part, against in zip(x.split(_ROWS), reference.split(_ROWS), strict=True):
            difference = (part / _norm(self.torch, part)).sub_(against)
            maps.append(difference.square_().mul_(head).sum(dim=1))
        # The spatial mean in float64, by numpy: the same digits however many threads torch has.
        return float(np.concatenate([m.cpu().numpy() for m in maps]).mean(dtype=np.float64))

    def _features(self, image: NDArray[np.float32]) -> Iterator[Tensor]:
        height, width = image.shape[:2]
        least = self.backbone.minimum_size
        if min(height, width) < least:
            raise NotApplicable(f"the network needs images of {least}×{least} at least; this is {width}×{height}")
        x = self.torch.from_numpy(np.ascontiguousarray(image).reshape(height, width * 3)).to(self.device)
        # Rows as long vectors: torch is slow where the innermost axis has three values only.
        shift, scale = (self.torch.tensor(v, device=self.device).repeat(width) for v in (SHIFT, SCALE))
        x = ((x - shift) / scale).view(1, height, width, 3).permute(0, 3, 1, 2)  # channels last in memory
        return self.backbone.features(x, self.tensors)

    @contextmanager
    def _running(self) -> Iterator[None]:
        apply_thread_limit(self.torch)
        with self.torch.inference_mode(), self._exact():
            yield

    @contextmanager
    def _exact(self) -> Iterator[None]:
        if self.device == "cpu":
            yield
            return
        # These switches belong to the process, so one thread at a time; a GPU works on one network at a time anyway.
        flags: AbstractContextManager[Any] = self.torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with _GPU, flags:
            yield


def _rows(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])  # (pixels, channels)


def _norm(torch: Torch, x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=1, keepdim=True).add_(1e-10)


_LOADED: dict[tuple[str, str, str], Network] = {}
_LOCK = threading.Lock()
_GPU = threading.Lock()


def load(net: str) -> Network:
    """Return the network `alex`, `vgg` or `squeeze`, loaded once per process, folder of weights and device.

    The environment variable EVALUATOR_DEVICE names the device: `cpu` (default), `cuda` or `cuda:N`.

    Raises:
        Unavailable: torch, the device or the weights are not on this machine.
    """
    try:
        torch = import_module("torch")
    except ImportError as reason:
        raise Unavailable(f"needs torch: {install('torch')}") from reason
    device = os.environ.get("EVALUATOR_DEVICE") or "cpu"
    key = (net, str(weights_folder()), device)
    with _LOCK:
        if key not in _LOADED:
            check_device(torch, device)
            _LOADED[key] = _load(torch, BACKBONES[net], device)
        return _LOADED[key]


def check_device(torch: Torch, device: str) -> None:
    """Check that torch has a device of that name.

    Raises:
        Unavailable: it is not on this machine, or is no such name.
    """
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()) or (kind == "cpu" and number):
        raise Unavailable(f"EVALUATOR_DEVICE is {device!r}: set it to cpu, cuda or cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise Unavailable(f"EVALUATOR_DEVICE is {device!r}, but torch finds no such GPU: export EVALUATOR_DEVICE=cpu")


def _load(torch: Torch, backbone: Backbone, device: str) -> Network:
    features, heads = (read_tensors(need(w)) for w in (backbone.weights, backbone.heads))
    last = torch.channels_last
    tensors = {
        name: tensor.to(device, memory_format=last) if tensor.ndim == 4 else tensor.to(device)
        for name, tensor in features.items()
        if name.startswith("features.")
    }
    rows = tuple(heads[f"lin{layer}.model.1.weight"].flatten().to(device) for layer in range(len(heads)))
    return Network(torch, backbone, device, tensors, rows)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the float32 tensors by name of an `.npz` or of a state dict that torch saved (no code is unpickled)."""
    torch = import_module("torch")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]).float() for name in arrays.files}
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float() for name, tensor in state.items()}


_threads: int | None = None
_before: int | None = None
"""Torch's own number, to be put back."""
_applied = threading.local()


def limit_threads(count: int | None) -> None:
    """Have each thread that computes LPIPS from now on use `count` threads of torch; None leaves torch's own number.

    Kept here, and not done with torch directly, so that an engine can say it without importing torch.
    """
    global _threads, _before  # noqa: PLW0603  # one setting for the process, as torch has it
    _threads = count
    if count is None and _before is not None:
        import_module("torch").set_num_threads(_before)
        _before = None


def apply_thread_limit(torch: Torch) -> None:
    """Set what `limit_threads` said for the thread that calls."""
    # OpenMP keeps the number for each thread, so each that computes sets it, once.
    global _before  # noqa: PLW0603
    if _threads is not None and getattr(_applied, "count", None) != _threads:
        _before = _before or int(torch.get_num_threads())
        torch.set_num_threads(_threads)
        _applied.count = _threads
