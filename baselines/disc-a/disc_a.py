"""DISCNet's baseline (a) (Feng et al. 2021): its encoder and decoder without dynamic convolutions."""

from __future__ import annotations

import torch
from torch import nn

_SEED = 2021
_SLOPE = 0.2
_SHRINK = 0.1
"""By which the initial weights of residual blocks are scaled."""


class Residual(nn.Module):
    """Two convolutions, added to what they take."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.LeakyReLU(_SLOPE)
        with torch.no_grad():
            for conv in (self.first, self.second):
                nn.init.kaiming_normal_(conv.weight).mul_(_SHRINK)
                nn.init.zeros_(conv.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        added: torch.Tensor = features + self.second(self.act(self.first(features)))
        return added


def _level(taken: int, given: int, stride: int = 1, shuffle: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(taken, given * shuffle**2, 3, stride=stride, padding=1)
    return nn.Sequential(conv, *([nn.PixelShuffle(shuffle)] if shuffle > 1 else []), nn.LeakyReLU(_SLOPE))


def _blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(Residual(channels), Residual(channels))


class DiscA(nn.Module):
    """Takes `(N, 3, H, W)`, sides multiples of 4, and gives the same; the input is added to the output."""

    def __init__(self, width: int = 32) -> None:
        """Take the channels at full resolution."""
        super().__init__()
        half, quarter = 2 * width, 4 * width
        self.encode1 = nn.Sequential(_level(3, width), _blocks(width))
        self.encode2 = nn.Sequential(_level(width, half, stride=2), _blocks(half))
        self.encode3 = nn.Sequential(_level(half, quarter, stride=2), _blocks(quarter))
        self.up2, self.decode2 = _level(quarter, half, shuffle=2), _blocks(half)
        self.up1, self.decode1 = _level(half, width, shuffle=2), _blocks(width)
        self.last = _level(width, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the restored images `(N, 3, H, W)`."""
        full = self.encode1(image)
        half = self.encode2(full)
        features = self.decode2(self.up2(self.encode3(half)) + half)
        features = self.decode1(self.up1(features) + full)
        restored: torch.Tensor = self.last(features) + image
        return restored


def build() -> nn.Module:
    """Return the untrained network: 1,422,883 parameters, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return DiscA()
