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


def baseline(name: str) -> ModuleType:
    """Return the module of a baseline."""
    module_name = name.replace("-", "_")
    path = baselines_folder() / name / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"{module_name}_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def srcnn() -> ModuleType:
    """Return the module of the baseline SRCNN."""
    return baseline("srcnn")
