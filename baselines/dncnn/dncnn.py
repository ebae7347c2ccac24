"""DnCNN with its batch norms folded into the convolutions before them, as it is at inference.

Source: Zhang et al., "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image Denoising", TIP 2017.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

_SEED = 2017
_WIDTH = 64


class DnCNN(nn.Module):
    """3×3 convolutions that estimate the noise, which is taken off. `(N, C, H, W)` in [0, 1] to about the same."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        widths = [channels, *[_WIDTH] * (layers - 1), channels]
        self.convs = nn.ModuleList(nn.Conv2d(taken, given, 3, padding=1) for taken, given in pairwise(widths))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the denoised images, of the same size."""
        *inner, last = self.convs
        x = image
        for conv in inner:
            x = torch.relu(conv(x))
        restored: torch.Tensor = image - last(x)
        return restored


def build() -> nn.Module:
    """Return the untrained network for colour, 20 layers: 668,227 parameters, the same at every call."""
    return _started(DnCNN(3, 20))


def build_gray() -> nn.Module:
    """Return the untrained network for gray images of one noise level, 17 layers: 555,137 parameters."""
    return _started(DnCNN(1, 17))


def _started(network: DnCNN) -> nn.Module:
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for conv in network.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
            conv.bias.zero_()
    return network
