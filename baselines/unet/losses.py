"""The loss that the U-Net is trained with. LPIENet's paper does not say how its rival was trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def terms(network: nn.Module, inputs: Sequence[torch.Tensor], target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the loss by name, of images `(N, 3, H, W)` in [0, 1].

    Args:
        network: the U-Net.
        inputs: degraded images, one tensor.
        target: clean ones.
    """
    return {"absolute": absolute(network(*inputs), target)}


def absolute(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error, a scalar."""
    return (output - target).abs().mean()
