"""K3DN's PSF block: a depthwise convolution with kernels in the form of a spectrum, and an invertible 1×1 one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_SLOPE = 0.2
_SIZE = 9
_GRID = 10
"""Rows and columns of the spectrum's transform, of which a kernel is cut."""
_EPSILON = 1e-8
_SMALL = 0.001
"""Standard deviation of the initial weights that change a disparity."""
_LARGEST = 100.0
"""Where the inverse of a scale is cut off."""


def kernels_of(spectrum: torch.Tensor) -> torch.Tensor:
    """Return kernels `(C, 1, 9, 9)` of length 1, the same from left and right, of half spectra `(C, 10, 6)`."""
    half = torch.fft.irfft2(spectrum, s=(_GRID, _GRID))[:, :_SIZE, : _SIZE // 2 + 1]
    whole = torch.cat([half, half[..., :-1].flip(-1)], -1)
    return (whole / whole.flatten(1).norm(dim=1).clamp_min(_EPSILON).view(-1, 1, 1)).unsqueeze(1)


class Kernels(nn.Module):
    """A kernel for each channel, and the inverse of each; made of spectra that can be trained until it is frozen."""

    blur: torch.Tensor
    deblur: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        start = torch.fft.rfft2(torch.randn(channels, _GRID, _GRID) / _GRID)
        self.spectrum: nn.Parameter | None = nn.Parameter(torch.view_as_real(start).contiguous())

    def freeze(self) -> None:
        """Make constants of the kernels."""
        with torch.no_grad():
            kernels = {name: self(reblur=reblur).clone() for name, reblur in (("deblur", False), ("blur", True))}
        self.spectrum = None
        for name, kernel in kernels.items():
            self.register_buffer(name, kernel)

    def forward(self, *, reblur: bool) -> torch.Tensor:
        """Return the kernels `(C, 1, 9, 9)`, or their inverses."""
        if self.spectrum is None:
            return self.blur if reblur else self.deblur
        spectrum = torch.view_as_complex(self.spectrum)
        return kernels_of(1 / (spectrum + _EPSILON) if reblur else spectrum)


class Mixing(nn.Module):
    """A matrix of channels in the form P·L·U, which can be inverted (Kingma, Dhariwal 2018)."""

    permutation: torch.Tensor
    sign: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        orthogonal = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(orthogonal)
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.size = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def matrix(self) -> torch.Tensor:
        """Return the matrix `(C, C)`."""
        lower = self.lower.tril(-1) + torch.eye(len(self.size), device=self.lower.device, dtype=self.lower.dtype)
        upper = self.upper.triu(1) + torch.diag(self.sign * self.size.exp())
        return self.permutation @ lower @ upper

    def forward(self, features: torch.Tensor, *, inverse: bool = False) -> torch.Tensor:
        """Return features `(N, C, H, W)` times the matrix, or its inverse."""
        matrix = torch.linalg.inv(self.matrix()) if inverse else self.matrix()
        return F.conv2d(features, matrix[:, :, None, None])


class PSFBlock(nn.Module):
    """Deblurs the features of windows, each by its disparity; or blurs them again by the inverse of all steps."""

    def __init__(self, channels: int, disparity: int) -> None:
        super().__init__()
        self.kernels = Kernels(channels)
        self.mixing = Mixing(channels)
        self.weights = nn.Parameter(torch.zeros(channels, _SIZE, _SIZE // 2 + 1))
        self.enter = nn.Linear(disparity, channels)
        self.leave = nn.Linear(channels, disparity)
        for layer in (self.enter, self.leave):
            nn.init.normal_(layer.weight, std=_SMALL)
            nn.init.zeros_(layer.bias)
        self.choose = nn.Linear(disparity, channels)
        nn.init.normal_(self.choose.weight)
        nn.init.ones_(self.choose.bias)
        self.equal = disparity**-0.5

    def freeze(self) -> None:
        """See `Kernels.freeze`."""
        self.kernels.freeze()

    def forward(self, windows: torch.Tensor, disparity: torch.Tensor, *, reblur: bool = False) -> torch.Tensor:
        """Return windows `(N, C, H, W)`, of the same shape.

        Args:
            windows: features.
            disparity: their vectors `(N, D)`.
            reblur: whether to blur.
        """
        kernels = self.kernels(reblur=reblur)
        scale = self._scale(disparity)
        padding, groups = _SIZE // 2, windows.shape[1]
        if reblur:
            scale = F.normalize((1 / (scale + _EPSILON)).clamp(0, _LARGEST), dim=1)
            mixed = F.leaky_relu(self.mixing(windows, inverse=True) * scale[:, :, None, None], _SLOPE)
            return windows + F.leaky_relu(F.conv2d(mixed, kernels, padding=padding, groups=groups), _SLOPE)
        sharp = F.leaky_relu(F.conv2d(windows, kernels, padding=padding, groups=groups), _SLOPE)
        return windows + F.leaky_relu(self.mixing(sharp * scale[:, :, None, None]), _SLOPE)

    def _scale(self, disparity: torch.Tensor) -> torch.Tensor:
        """Return how much of each channel's kernel a window takes, `(N, C)`: all together 1."""
        left = self.kernels(reblur=False)[:, 0, :, : _SIZE // 2 + 1]
        answer = (self.weights * left).sum((1, 2))
        changed = disparity + F.leaky_relu(self.leave(self.enter(disparity) * answer), _SLOPE)
        return F.linear(changed, self.choose.weight * self.equal, self.choose.bias).softmax(1)
