"""DPED's residual network in two sizes. The folders dped-resnet and dped-resnet-8-32 hold the same file.

Source: Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional Networks", ICCV 2017; the small
one was a baseline of the PIRM 2018 challenge. The structure is that of the variables of the published checkpoints.
"""

from __future__ import annotations

import torch
from torch import nn

_SEED = 2018
_SPREAD = 0.01
"""Standard deviation of the initial weights, and the initial biases."""


class DPEDResNet(nn.Module):
    """Residual blocks of two convolutions, each with instance norm, between plain convolutions.

    Takes `(N, 3, H, W)` in [0, 1] and gives the same, through `0.58 tanh(x) + 0.5`. Its first and last convolutions are
    9×9, the others 3×3.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        inner = [nn.Conv2d(width, width, 3, padding=1) for _ in range(2 * blocks + 2)]
        ends = nn.Conv2d(3, width, 9, padding=4), nn.Conv2d(width, 3, 9, padding=4)
        self.convs = nn.ModuleList([ends[0], *inner, ends[1]])
        self.norms = nn.ModuleList(nn.InstanceNorm2d(width, eps=1e-3, affine=True) for _ in range(2 * blocks))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of images `(N, 3, H, W)`, of the same size."""
        first, *inner, one, other, last = self.convs
        x = torch.relu(first(image))
        for number in range(0, len(inner), 2):
            y = x
            for conv, norm in zip(inner[number : number + 2], self.norms[number : number + 2], strict=True):
                y = torch.relu(norm(conv(y)))
            x = x + y  # nothing after the sum
        x = torch.relu(other(torch.relu(one(x))))
        enhanced: torch.Tensor = torch.tanh(last(x)) * 0.58 + 0.5
        return enhanced


def build() -> nn.Module:
    """Return DPED's network, untrained, 12 layers of 64 channels: 401,475 parameters, the same at every call."""
    return _started(DPEDResNet(64, 4))


def build_8_32() -> nn.Module:
    """Return PIRM 2018's network, untrained, 8 layers of 32 channels: 71,331 parameters, the same at every call."""
    return _started(DPEDResNet(32, 2))


def _started(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                spread = {"std": _SPREAD, "a": -2 * _SPREAD, "b": 2 * _SPREAD}
                nn.init.trunc_normal_(module.weight, **spread, generator=generator)
                module.bias.fill_(_SPREAD)
    return network
