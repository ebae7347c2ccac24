"""DPDNet (Abuolaim, Brown 2020): a U-Net on the two views of a dual-pixel sensor."""

from __future__ import annotations

import torch
from torch import nn

_SEED = 2020
_DROPOUT = 0.4
_WIDTHS = (64, 128, 256, 512, 1024)
_DROPPED = 2
"""Of how many levels, counted from the deepest, the features are dropped at random in training."""


def _conv(taken: int, given: int, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(taken, given, size)
    nn.init.kaiming_normal_(conv.weight)
    nn.init.zeros_(conv.bias)
    # Of an even kernel's padding the odd line lies below and on the right, as in Keras.
    before, after = (size - 1) // 2, size // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), conv, nn.ReLU())


def _pair(taken: int, given: int) -> nn.Sequential:
    return nn.Sequential(_conv(taken, given), _conv(given, given))


class DPDNet(nn.Module):
    """Takes two views `(N, 3, H, W)` in [0, 1], sides multiples of 16, and gives an image of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(_pair(a, c) for a, c in zip((6, *_WIDTHS[:-1]), _WIDTHS, strict=True))
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), _conv(2 * c, c, 2)) for c in _WIDTHS[-2::-1]
        )
        self.decoders = nn.ModuleList(_pair(2 * c, c) for c in _WIDTHS[-2::-1])
        self.down = nn.MaxPool2d(2)
        self.drop = nn.Dropout(_DROPOUT)
        self.narrow = _conv(_WIDTHS[0], 3)
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the sharp images `(N, 3, H, W)`, in (0, 1)."""
        features = torch.cat([left, right], 1)
        skips: list[torch.Tensor] = []
        for level, encode in enumerate(self.encoders):
            features = encode(self.down(features) if level else features)
            if level >= len(_WIDTHS) - _DROPPED:
                features = self.drop(features)
            skips.append(features)
        skips.pop()
        for up, decode in zip(self.ups, self.decoders, strict=True):
            features = decode(torch.cat([skips.pop(), up(features)], 1))
        return torch.sigmoid(self.last(self.narrow(features)))


def build() -> nn.Module:
    """Return the untrained network: 31,035,151 parameters, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return DPDNet()
