"""Networks whose costs are known, for the tests of what reads operators; needs torch."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import nn

from evaluator.ingest import baselines_folder


def conv(taken: int, given: int, size: int = 3, **more: object) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(taken, given, size, padding=size // 2, **more)  # type: ignore[arg-type]


class Mixed(nn.Module):
    """Strided, dilated, grouped, depthwise and transposed convolutions, dense layers, attention, norms."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.slope = nn.PReLU(16)
        self.norm = nn.BatchNorm2d(16)
        self.dilated = nn.Conv2d(16, 16, 3, padding=2, dilation=2, bias=False)
        self.grouped = conv(16, 16, groups=4)
        self.depthwise = conv(16, 16, 5, groups=16)
        self.project = nn.Linear(16, 48)
        self.output = nn.Linear(16, 16, bias=False)
        self.scale = nn.Parameter(torch.ones(1))
        self.up = nn.ConvTranspose2d(16, 12, 4, stride=2, padding=1)
        self.same = self.last = conv(12, 12)  # one layer by two names, which runs twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an image of the input's size, a multiple of 8."""
        y = self.norm(self.slope(self.strided(x)))
        y = self.depthwise(torch.relu(self.dilated(y)) + self.grouped(y) * self.scale)
        n, c, h, w = y.shape
        tokens = self.project(F.avg_pool2d(y, 4).flatten(2).transpose(1, 2))
        query, key, value = (part.unsqueeze(1) for part in tokens.chunk(3, dim=2))
        seen = F.scaled_dot_product_attention(query, key, value).squeeze(1)
        small = self.output(seen).transpose(1, 2).reshape(n, c, h // 4, w // 4)
        z = self.last(torch.relu(self.same(self.up(y + F.interpolate(small, scale_factor=4.0)))))
        return F.pixel_shuffle(F.avg_pool2d(z, 2), 2)


MIXED_PARAMETERS = 448 + 16 + 32 + 2304 + 592 + 416 + 816 + 256 + 1 + 3084 + 1308


def mixed_macs(height: int, width: int) -> int:
    """Return what `Mixed` costs, by hand."""
    half, tokens = height * width // 4, height * width // 64
    convs = 16 * 3 * 9 + 16 * 16 * 9 + 16 * 4 * 9 + 16 * 25 + 16 * 12 * 16
    return half * convs + 2 * height * width * 12 * 12 * 9 + tokens * 16 * (48 + 16) + 2 * 16 * tokens**2


class DnCNN(nn.Sequential):
    """DnCNN-S with batch norms folded into 17 convolutions, gray. Without the subtraction."""

    def __init__(self) -> None:
        middle = [layer for _ in range(15) for layer in (conv(64, 64), nn.ReLU())]
        super().__init__(conv(1, 64), nn.ReLU(), *middle, conv(64, 1))


class ZeroDCE(nn.Module):
    """Zero-DCE: seven convolutions with skips give the maps of eight curves."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, 24)]
        self.convs = nn.ModuleList(conv(*pair) for pair in widths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the enhanced image."""
        first, second, third, fourth, fifth, sixth, last = self.convs
        one = torch.relu(first(x))
        two = torch.relu(second(one))
        three = torch.relu(third(two))
        four = torch.relu(fourth(three))
        five = torch.relu(fifth(torch.cat([three, four], 1)))
        six = torch.relu(sixth(torch.cat([two, five], 1)))
        for curve in torch.split(torch.tanh(last(torch.cat([one, six], 1))), 3, dim=1):
            x = x + curve * (x * x - x)
        return x


# Counts measured on the original code; (channels, parameters, billions of multiply-accumulates at 256×256).
MEASURED = {"DnCNN": (1, 555_137, 36.314), "ZeroDCE": (3, 79_416, 5.1905), "DPED": (3, 401_475, 26.198)}


class DPED(nn.Module):
    """DPED's ResNet 12×64."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 64, 9)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(layer for _ in range(2) for layer in (conv(64, 64), nn.InstanceNorm2d(64, affine=True), nn.ReLU()))
            )
            for _ in range(4)
        )
        self.after = nn.Sequential(conv(64, 64), nn.ReLU(), conv(64, 64), nn.ReLU())
        self.last = conv(64, 3, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the enhanced image."""
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = x + block(x)
        return torch.tanh(self.last(self.after(x))) * 0.58 + 0.5


def srcnn() -> ModuleType:
    """Return the module of the baseline SRCNN."""
    path = baselines_folder() / "srcnn" / "srcnn.py"
    spec = importlib.util.spec_from_file_location("srcnn_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
