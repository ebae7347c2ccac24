"""Zero-DCE's four losses, none of which needs a reference (Guo et al. 2020, Eq. 5 to 8).

The sums and means are those of the authors' public code. Images are `(N, 3, H, W)` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def terms(
    network: nn.Module, inputs: Sequence[torch.Tensor], target: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Return the losses by name, not weighted yet.

    Args:
        network: `ZeroDCE`, whose curves are looked at, too.
        inputs: dark images, one tensor.
        target: nothing is compared with it.
    """
    (image,) = inputs
    maps = network.curves(image)
    output = network.bent(image, maps)
    return {
        "smoothness": smoothness(maps),
        "spatial": spatial(output, image),
        "colour": colour(output),
        "exposure": exposure(output),
    }


def smoothness(maps: torch.Tensor) -> torch.Tensor:
    """Return twice the squared differences of neighbours of curve maps `(N, C, H, W)`, down plus across: a scalar.

    The mean over places and images, and the sum over maps.
    """
    down, across = maps[:, :, 1:] - maps[:, :, :-1], maps[..., 1:] - maps[..., :-1]
    return 2 * (down.square().mean((0, 2, 3)) + across.square().mean((0, 2, 3))).sum()


def spatial(output: torch.Tensor, image: torch.Tensor, region: int = 4) -> torch.Tensor:
    """Return how much the contrast of regions to their four neighbours has changed, squared: a scalar.

    Args:
        output: enhanced images.
        image: what they were made of; beyond its border lies black.
        region: side of a region, px.
    """
    change = F.avg_pool2d((output - image).mean(1, keepdim=True), region)
    around = F.pad(change, (1, 1, 1, 1))
    neighbours = (around[..., 1:-1, :-2], around[..., 1:-1, 2:], around[..., :-2, 1:-1], around[..., 2:, 1:-1])
    return torch.stack([(change - other).square() for other in neighbours]).sum(0).mean()


def colour(output: torch.Tensor) -> torch.Tensor:
    """Return how far the mean colours of images are from gray, a scalar: √Σ (p − q)⁴ over the pairs of channels."""
    red, green, blue = output.mean((2, 3)).unbind(1)
    squares = torch.stack([(red - green) ** 2, (red - blue) ** 2, (green - blue) ** 2])
    return torch.linalg.vector_norm(squares, dim=0).mean()  # its gradient is finite at gray, unlike the root's


def exposure(output: torch.Tensor, region: int = 16, level: float = 0.6) -> torch.Tensor:
    """Return the mean squared distance of regions' mean brightness from a level, a scalar.

    Args:
        output: enhanced images.
        region: side of a region, px.
        level: what is well exposed.
    """
    return (F.avg_pool2d(output.mean(1, keepdim=True), region) - level).square().mean()
