"""DnCNN's loss (Zhang et al. 2017, Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def terms(network: nn.Module, inputs: Sequence[torch.Tensor], target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the loss by name, of images `(N, C, H, W)` in [0, 1].

    Args:
        network: the denoiser.
        inputs: noisy images, one tensor.
        target: clean ones.
    """
    return {"residual": residual(network(*inputs), target)}


def residual(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return half the mean squared error of the estimated noise, a scalar.

    Output and target are both the input less noise, so that theirs is the noise's error. The paper sums over the pixels
    of a patch instead of taking the mean.
    """
    return (output - target).square().mean() / 2
