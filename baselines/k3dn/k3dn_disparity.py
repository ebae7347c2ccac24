"""K3DN's estimate of disparity: one vector for each window of an image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

FEATURES = 256
"""Length of a vector."""
_SLOPE = 0.2
_SHIFTS = 4
"""Disparities that are looked at, in pixels of an eighth of the resolution."""
_POOLS = (32, 16)
_WINDOW = (5, 4)


class _Unit(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, taken: int, given: int, size: int = 3, stride: int = 1, dilation: int = 1) -> None:
        conv = nn.Conv2d(taken, given, size, stride=stride, dilation=dilation, padding=size // 2 * dilation, bias=False)
        super().__init__(conv, nn.BatchNorm2d(given), nn.ReLU())


class _Volume(nn.Sequential):
    """3-D convolution, batch norm, ReLU."""

    def __init__(self, taken: int, given: int, stride: int = 1) -> None:
        conv = nn.Conv3d(taken, given, 3, stride=stride, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm3d(given), nn.ReLU())


class Disparity(nn.Module):
    """Takes two views `(N, 3, H, W)` and gives `(N · H/144 · W/112, 256)`; H a multiple of 144, W of 112."""

    def __init__(self) -> None:
        super().__init__()
        self.view = nn.Sequential(
            _Unit(3, 32), _Unit(32, 64), _Unit(64, 128, dilation=4), _Unit(128, 128, stride=2, dilation=8)
        )
        self.pools = nn.ModuleList(_Unit(128, 32, 1) for _ in _POOLS)
        self.join = nn.Sequential(_Unit(192, 96), nn.Conv2d(96, 32, 1, bias=False))
        self.volume = nn.Sequential(
            _Volume(64, 32), _Volume(32, 48, 2), _Volume(48, 48), _Volume(48, 64, 2), _Volume(64, 64)
        )
        self.last = nn.Linear(64, FEATURES)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the windows' vectors, image by image and row by row."""
        height, width = left.shape[-2:]
        one, other = self._features(left), self._features(right)
        columns = one.shape[-1]
        # Where the shifted view has nothing to compare with, there are zeros.
        pairs = [torch.cat([one[..., i:], other[..., : columns - i]], 1) for i in range(_SHIFTS)]
        volume = torch.stack([F.pad(pair, (i, 0)) for i, pair in enumerate(pairs)], 2)
        matched = self.volume(volume).squeeze(2)
        # So that each window of features gets one cell of the pooling.
        size = (matched.shape[2] + height // 288, matched.shape[3] + width // 224)
        cells = F.avg_pool2d(F.interpolate(matched, size=size, mode="nearest"), _WINDOW)
        return F.leaky_relu(self.last(cells.permute(0, 2, 3, 1).reshape(-1, cells.shape[1])), _SLOPE)

    def _features(self, view: torch.Tensor) -> torch.Tensor:
        features = self.view(F.avg_pool2d(view, 4))
        size = features.shape[-2:]
        parts = [features]
        for window, pool in zip(_POOLS, self.pools, strict=True):
            # A small image has less than a window.
            cells = pool(F.avg_pool2d(features, (min(window, size[0]), min(window, size[1]))))
            parts.append(F.interpolate(cells, size=size, mode="bilinear"))
        joined: torch.Tensor = self.join(torch.cat(parts, 1))
        return joined
