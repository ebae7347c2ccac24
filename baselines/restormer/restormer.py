"""Restormer (Zamir et al. 2022): a U-Net of transformers that attend over channels."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

_SEED = 2022
_BLOCKS = (4, 6, 6, 8)
_HEADS = (1, 2, 4, 8)
_REFINEMENT = 4
_WIDTH = 48
_EXPANSION = 2.66
_EPSILON = 1e-5


class Norm(nn.Module):
    """Layer norm over the channels of each pixel of `(N, C, H, W)`; without biases, no mean is taken off either."""

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the normalised features, of the same shape."""
        last = features.permute(0, 2, 3, 1)
        if self.bias is not None:
            last = F.layer_norm(last, last.shape[-1:], self.weight, self.bias, _EPSILON)
        else:
            variance = last.var(dim=-1, keepdim=True, correction=0)
            last = last / torch.sqrt(variance + _EPSILON) * self.weight
        return last.permute(0, 3, 1, 2)


def _conv(taken: int, given: int, size: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(taken, given, size, padding=size // 2, groups=groups, bias=False)


class ChannelAttention(nn.Module):
    """Multi-head attention of channels to channels; its cost grows with the image's area, not with its square."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = _conv(channels, 3 * channels)
        self.depthwise = _conv(3 * channels, 3 * channels, 3, groups=3 * channels)
        self.output = _conv(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        n, c, h, w = features.shape
        parts = self.depthwise(self.project(features)).chunk(3, dim=1)
        query, key, value = (part.reshape(n, self.heads, c // self.heads, h * w) for part in parts)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        weights = ((query @ key.transpose(-2, -1)) * self.temperature).softmax(dim=-1)
        attended: torch.Tensor = self.output((weights @ value).reshape(n, c, h, w))
        return attended


class GatedFeedForward(nn.Module):
    """Two depthwise paths, one of which gates the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = int(channels * _EXPANSION)
        self.project = _conv(channels, 2 * hidden)
        self.depthwise = _conv(2 * hidden, 2 * hidden, 3, groups=2 * hidden)
        self.output = _conv(hidden, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        gate, value = self.depthwise(self.project(features)).chunk(2, dim=1)
        passed: torch.Tensor = self.output(F.gelu(gate) * value)
        return passed


class Block(nn.Module):
    """Attention and feed-forward, each after a norm and added to what it takes."""

    def __init__(self, channels: int, heads: int, *, bias: bool) -> None:
        super().__init__()
        self.norm1 = Norm(channels, bias=bias)
        self.attention = ChannelAttention(channels, heads)
        self.norm2 = Norm(channels, bias=bias)
        self.feed_forward = GatedFeedForward(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        features = features + self.attention(self.norm1(features))
        added: torch.Tensor = features + self.feed_forward(self.norm2(features))
        return added


class Restormer(nn.Module):
    """Takes `(N, 3, H, W)`, sides multiples of 8, and gives the same; the input is added to the output."""

    def __init__(self, views: int = 1, *, bias: bool = False) -> None:
        """Take how many images are joined in the input, and whether norms have biases.

        Where several are joined, none is added to the output: the first features are added to the last ones.
        """
        super().__init__()

        def blocks(channels: int, level: int, times: int) -> nn.Sequential:
            return nn.Sequential(*(Block(channels, _HEADS[level], bias=bias) for _ in range(times)))

        widths = [_WIDTH << level for level in range(4)]
        self.first = _conv(3 * views, _WIDTH, 3)
        self.encoders = nn.ModuleList(blocks(widths[i], i, _BLOCKS[i]) for i in range(4))
        self.downs = nn.ModuleList(nn.Sequential(_conv(c, c // 2, 3), nn.PixelUnshuffle(2)) for c in widths[:-1])
        self.ups = nn.ModuleList(nn.Sequential(_conv(c, 2 * c, 3), nn.PixelShuffle(2)) for c in widths[:0:-1])
        # At full resolution the joined channels are kept, twice as many.
        self.reduces = nn.ModuleList([_conv(2 * widths[2], widths[2]), _conv(2 * widths[1], widths[1]), nn.Identity()])
        self.decoders = nn.ModuleList(
            [blocks(widths[2], 2, _BLOCKS[2]), blocks(widths[1], 1, _BLOCKS[1]), blocks(widths[1], 0, _BLOCKS[0])]
        )
        self.refinement = blocks(widths[1], 0, _REFINEMENT)
        self.skip = _conv(_WIDTH, widths[1]) if views > 1 else None
        self.last = _conv(widths[1], 3, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the restored images `(N, 3, H, W)`."""
        first = features = self.first(image)
        skips: list[torch.Tensor] = []
        for encode, down in zip(self.encoders, self.downs, strict=False):
            skips.append(encode(features))
            features = down(skips[-1])
        features = self.encoders[-1](features)
        for up, reduce, decode in zip(self.ups, self.reduces, self.decoders, strict=True):
            features = decode(reduce(torch.cat([up(features), skips.pop()], 1)))
        features = self.refinement(features)
        restored: torch.Tensor = (
            self.last(features) + image if self.skip is None else self.last(features + self.skip(first))
        )
        return restored


class DualPixelRestormer(Restormer):
    """Takes two views `(N, 3, H, W)`, sides multiples of 8, and gives an image of the same shape."""

    def __init__(self) -> None:
        super().__init__(views=2, bias=True)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the sharp images `(N, 3, H, W)`."""
        return super().forward(torch.cat([left, right], 1))


def _built(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return make()


def build() -> nn.Module:
    """Return the untrained network for denoising: 26,111,668 parameters, the same at every call."""
    return _built(Restormer)


def build_dual_pixel() -> nn.Module:
    """Return the untrained network for dual-pixel views, left and right: 26,132,548 parameters."""
    return _built(DualPixelRestormer)
