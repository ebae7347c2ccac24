"""Zero-DCE, which lights dark images by eight curves for each pixel.

Source: Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020.
"""

from __future__ import annotations

import torch
from torch import nn

_SEED = 2020
_SPREAD = 0.02
_CHANNELS = ((3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, 24))
"""What each convolution takes and gives; the last gives the maps of eight curves, three channels each."""


class ZeroDCE(nn.Module):
    """Seven 3×3 convolutions with skips, whose output bends the image. `(N, 3, H, W)` in [0, 1] to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(taken, given, 3, padding=1) for taken, given in _CHANNELS)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the enhanced images, of the same size."""
        return self.bent(image, self.curves(image))

    def curves(self, image: torch.Tensor) -> torch.Tensor:
        """Return the maps of the curves, `(N, 24, H, W)` in [-1, 1]."""
        first, second, third, fourth, fifth, sixth, last = self.convs
        one = torch.relu(first(image))
        two = torch.relu(second(one))
        three = torch.relu(third(two))
        four = torch.relu(fourth(three))
        five = torch.relu(fifth(torch.cat([three, four], 1)))
        six = torch.relu(sixth(torch.cat([two, five], 1)))
        return torch.tanh(last(torch.cat([one, six], 1)))

    @staticmethod
    def bent(image: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Return images with eight curves applied to them, one after the other."""
        for curve in torch.split(maps, 3, dim=1):
            image = image + curve * (image * image - image)
        return image


def build() -> nn.Module:
    """Return the untrained network: 79,416 parameters, the same at every call."""
    network = ZeroDCE()
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for conv in network.convs:
            conv.weight.normal_(0, _SPREAD, generator=generator)
            conv.bias.zero_()
    return network
