"""K3DN's loss: the error of the sharp image, and that of the sharp image blurred again (Yang et al. 2023, Eq. 18).

The two distances and their balance are in the paper's supplement; recipe.toml has what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def terms(network: nn.Module, inputs: Sequence[torch.Tensor], target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the losses by name, not weighted yet, of images `(N, 3, H, W)` in [-0.5, 0.5].

    Args:
        network: with kernels that can be trained.
        inputs: the left and the right view.
        target: the sharp images.
    """
    left, right = inputs
    return {
        "deblurring": deblurring(network(left, right), target),
        "reblurring": reblurring(network(left, right, target), left, right),
    }


def deblurring(output: torch.Tensor, target: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Return the Charbonnier distance √(x² + ε²), the mean over pixels: a scalar."""
    return _charbonnier(output - target, epsilon)


def reblurring(blurred: torch.Tensor, left: torch.Tensor, right: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    """Return the same distance of sharp images, blurred by the network, from the mean of both views."""
    return _charbonnier(blurred - (left + right) / 2, epsilon)


def _charbonnier(error: torch.Tensor, epsilon: float) -> torch.Tensor:
    return (error.square() + epsilon**2).sqrt().mean()
