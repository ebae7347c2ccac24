"""NAFNet (Chen et al. 2022): a U-Net of blocks without activations, in its two sizes for SIDD."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_SEED = 2022
_EPSILON = 1e-6


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel of `(N, C, H, W)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the normalised features, of the same shape."""
        last = features.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, _EPSILON).permute(0, 3, 1, 2)


def _gated(features: torch.Tensor) -> torch.Tensor:
    """Return one half of the channels times the other."""
    first, second = features.chunk(2, dim=1)
    return first * second


class Block(nn.Module):
    """A depthwise half with channel attention and a pointwise half; both are scaled and added to what they take."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.widen1 = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attend = nn.Conv2d(channels, channels, 1)
        self.project1 = nn.Conv2d(channels, channels, 1)
        self.norm2 = ChannelNorm(channels)
        self.widen2 = nn.Conv2d(channels, 2 * channels, 1)
        self.project2 = nn.Conv2d(channels, channels, 1)
        self.scale1 = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale2 = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        inner = _gated(self.depthwise(self.widen1(self.norm1(features))))
        inner = inner * self.attend(inner.mean(dim=(2, 3), keepdim=True))
        features = features + self.project1(inner) * self.scale1
        inner = self.project2(_gated(self.widen2(self.norm2(features))))
        return features + inner * self.scale2


class NAFNet(nn.Module):
    """Takes `(N, 3, H, W)`, sides multiples of 16, and gives the same; the input is added to the output."""

    def __init__(
        self,
        width: int,
        encoder: tuple[int, ...] = (2, 2, 4, 8),
        middle: int = 12,
        decoder: tuple[int, ...] = (2, 2, 2, 2),
    ) -> None:
        """Take the channels at full resolution, and how many blocks there are at each level."""
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        widths = [width << level for level in range(len(encoder) + 1)]
        self.encoders = nn.ModuleList(_blocks(c, n) for c, n in zip(widths[:-1], encoder, strict=True))
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in widths[:-1])
        self.middle = _blocks(widths[-1], middle)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, 2 * c, 1, bias=False), nn.PixelShuffle(2)) for c in widths[:0:-1]
        )
        self.decoders = nn.ModuleList(_blocks(c, n) for c, n in zip(widths[-2::-1], decoder, strict=True))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the restored images `(N, 3, H, W)`."""
        features = self.first(image)
        skips: list[torch.Tensor] = []
        for blocks, down in zip(self.encoders, self.downs, strict=True):
            features = blocks(features)
            skips.append(features)
            features = down(features)
        features = self.middle(features)
        for up, blocks in zip(self.ups, self.decoders, strict=True):
            features = blocks(up(features) + skips.pop())
        return self.last(features) + image


def _blocks(channels: int, times: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(times)))


def _built(width: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return NAFNet(width)


def build() -> nn.Module:
    """Return the untrained network of width 32: 29,159,715 parameters, the same at every call."""
    return _built(32)


def build_64() -> nn.Module:
    """Return the untrained network of width 64: 115,982,915 parameters, the same at every call."""
    return _built(64)
