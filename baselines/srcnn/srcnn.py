"""SRCNN (Dong et al. 2014) in the form that the PIRM 2018 challenge had as its baseline for enhancement."""

from __future__ import annotations

import torch
from torch import nn

_SEED = 2018
_SPREAD = 0.01
"""Standard deviation of the initial weights, and the initial biases."""


class SRCNN(nn.Module):
    """Three convolutions, 9-5-5, with 64 and 32 channels between them.

    Takes `(N, 3, H, W)` in [0, 1] and gives the same, through `0.58 tanh(x) + 0.5`. The last convolution adds one
    number to all channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 9, padding="same")
        self.second = nn.Conv2d(64, 32, 5, padding="same")
        self.third = nn.Conv2d(32, 3, 5, padding="same", bias=False)
        self.bias = nn.Parameter(torch.empty(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of images `(N, 3, H, W)`, of the same size."""
        inner = torch.relu(self.second(torch.relu(self.first(image))))
        enhanced: torch.Tensor = torch.tanh(self.third(inner) + self.bias) * 0.58 + 0.5
        return enhanced


def build() -> nn.Module:
    """Return the untrained network: 69,249 parameters, the same at every call."""
    network = SRCNN()
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                nn.init.trunc_normal_(parameter, std=_SPREAD, a=-2 * _SPREAD, b=2 * _SPREAD, generator=generator)
            else:
                parameter.fill_(_SPREAD)
    return network
