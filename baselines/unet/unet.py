"""A plain U-Net of 5.9 G multiply-accumulates at 256×256, the stand-in for the one of the LPIENet paper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_SEED = 2023
WIDTHS = (32, 64, 128, 64, 32)
"""Channels of three stages of the encoder and two of the decoder."""


class Stage(nn.Module):
    """A convolution, and a residual block of two."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(taken, given, 3, padding=1)
        self.inner = nn.Conv2d(given, given, 3, padding=1)
        self.outer = nn.Conv2d(given, given, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the same size."""
        x = torch.relu(self.head(x))
        features: torch.Tensor = x + self.outer(torch.relu(self.inner(x)))
        return features


class UNet(nn.Module):
    """Three scales; a stage comes before each enlargement, as in LPIENet. `(N, 3, H, W)` in [0, 1] to about the same.

    H and W must be multiples of 4.
    """

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four, five = WIDTHS
        self.encoder = nn.ModuleList([Stage(3, one), Stage(one, two), Stage(two, three)])
        self.decoder = nn.ModuleList([Stage(three, four), Stage(four + two, five)])
        self.tail = nn.Conv2d(five + one, 3, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the restored images, of the same size."""
        whole = self.encoder[0](image)
        half = self.encoder[1](F.max_pool2d(whole, 2))
        x = self.decoder[0](self.encoder[2](F.max_pool2d(half, 2)))
        x = self.decoder[1](_joined(x, half))
        restored: torch.Tensor = image + self.tail(_joined(x, whole))
        return restored


def build() -> nn.Module:
    """Return the untrained network: 685,539 parameters, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return UNet()


def _joined(x: torch.Tensor, skipped: torch.Tensor) -> torch.Tensor:
    """Enlarge to twice the size, and put the encoder's features of that size beside it."""
    larger = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.cat([larger, skipped], 1)
