"""K3DN (Yang et al. 2023): dual-pixel deblurring with kernels that the views' disparity chooses, in its three sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from k3dn_disparity import FEATURES, Disparity
from k3dn_psf import PSFBlock
from torch import nn

_SEED = 2023
_SLOPE = 0.2
_WINDOW = (18, 14)
"""Rows and columns, at an eighth of the size, that share a disparity."""
_MULTIPLE = (288, 224)
"""Of which height and width are multiples when images are restored: the paper's costs are of such sizes."""
_LEAST = (144, 112)
"""Of which they are multiples in training: a window's own size, so that small crops need not be stretched as far."""
_NEAR = 9
"""Rows and columns of the neighbourhood that features are compared with."""
_AT_ONCE = 1 << 25
"""Elements of neighbourhoods that lie in memory at a time."""
_TILE = 16
"""Columns that are compared at a time in training."""


def _conv(taken: int, given: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(taken, given, 3, stride=stride, padding=1, bias=bias)


class Residual(nn.Module):
    """Two convolutions, added to what they take."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = _conv(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        added: torch.Tensor = features + self.second(F.leaky_relu(self.first(features), _SLOPE))
        return added


def _blocks(channels: int, times: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(channels) for _ in range(times)))


def _level(resize: nn.Module, channels: int, times: int) -> nn.Sequential:
    return nn.Sequential(resize, nn.LeakyReLU(_SLOPE), _blocks(channels, times))


def near_products(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return the products of each pixel's features with those of the pixels around it.

    Written as matrix products, some rows at a time: what is multiplied is counted, and the neighbourhoods of a whole
    image need not lie in memory.

    Args:
        query: `(N, C, H, W)`.
        key: of the same shape; zero outside of the image.

    Returns:
        `(N, 81, H, W)`: row by row of the neighbourhood.
    """
    n, c, h, w = query.shape
    reach = _NEAR // 2
    padded = F.pad(key.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    rows = max(1, _AT_ONCE // (n * c * _NEAR**2 * w))
    found: list[torch.Tensor] = []
    for top in range(0, h, rows):
        here = query[:, :, top : top + rows].permute(0, 2, 3, 1)
        count = here.shape[1]
        around = padded[:, top : top + count + 2 * reach].unfold(1, _NEAR, 1).unfold(2, _NEAR, 1)
        products = torch.bmm(here.reshape(-1, 1, c), around.reshape(-1, c, _NEAR**2))
        found.append(products.reshape(n, count, w, _NEAR**2).permute(0, 3, 1, 2))
    return torch.cat(found, 2)


def banded_products(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return what `near_products` does, eight times as fast in training.

    Some columns of a row are multiplied with all that lie near any of them; of these products most are thrown away,
    which is less work than to copy each pixel's neighbourhood. It is not what is counted.

    Args:
        query: `(N, C, H, W)`.
        key: of the same shape; zero outside of the image.

    Returns:
        `(N, 81, H, W)`: row by row of the neighbourhood.
    """
    n, c, h, w = query.shape
    reach, tiles = _NEAR // 2, -(-w // _TILE)
    spare = tiles * _TILE - w
    rows = F.pad(query, (0, spare)).permute(2, 0, 3, 1).reshape(h * n * tiles, _TILE, c)
    padded = F.pad(key, (reach, reach + spare, reach, reach)).permute(2, 0, 3, 1)
    around = padded.unfold(2, _TILE + 2 * reach, _TILE).reshape(h + 2 * reach, n * tiles, c, _TILE + 2 * reach)
    columns = torch.arange(_TILE, device=query.device)[:, None] + torch.arange(_NEAR, device=query.device)
    columns = columns.expand(len(rows), _TILE, _NEAR)
    found = [torch.bmm(rows, around[i : i + h].flatten(0, 1)).gather(2, columns) for i in range(_NEAR)]
    return torch.stack(found, 2).reshape(h, n, tiles * _TILE, _NEAR**2)[:, :, :w].permute(1, 3, 0, 2)


class SharpRegions(nn.Module):
    """The SRP block: joins features of before and after deblurring; where they agree, the image was sharp."""

    def __init__(self, channels: int, times: int) -> None:
        """Take the channels of both together, and the number of residual blocks."""
        super().__init__()
        self.products = banded_products
        self.query = _conv(channels, channels, bias=True)
        self.key = _conv(channels, channels, bias=True)
        self.value = _conv(_NEAR**2, channels, bias=True)
        self.output = nn.Sequential(
            _conv(channels, channels, bias=True), _blocks(channels, times), _conv(channels, channels, bias=True)
        )

    def forward(self, joined: torch.Tensor) -> torch.Tensor:
        """Return features `(N, C, H, W)`, of the same shape."""
        similar = self.products(self.query(joined), self.key(joined))
        refined: torch.Tensor = self.output(joined * self.value(similar)) + joined
        return refined


class K3DN(nn.Module):
    """Takes two views `(N, 3, H, W)` in [-0.5, 0.5] and gives an image of the same shape, in [-1, 1].

    Images are resized to the next sizes that the windows allow, 1120×1680 to 1152×1792, and back. In training the sizes
    lie closer.
    """

    def __init__(self, width: int, blocks: int, kernels: int, refining: int) -> None:
        """Take the size of the network.

        Args:
            width: channels at half resolution.
            blocks: residual blocks of each level.
            kernels: PSF blocks.
            refining: residual blocks of each SRP block.
        """
        super().__init__()
        half, quarter, eighth = width, 2 * width, 4 * width
        self.encode1 = _level(_conv(6, half, 2), half, blocks)
        self.encode2 = _level(_conv(half, quarter, 2), quarter, blocks)
        self.encode3 = _level(_conv(quarter, eighth, 2), eighth, blocks)
        self.disparity = Disparity()
        self.psf = nn.ModuleList(PSFBlock(eighth, FEATURES) for _ in range(kernels))
        taken = (eighth, 2 * quarter, 2 * half)
        joined = (2 * quarter, 2 * half, width + 6)
        given = (quarter, half, width)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, c, 4, 2, 1, bias=False), nn.LeakyReLU(_SLOPE))
            for a, c in zip(taken, given, strict=True)
        )
        self.sharp = nn.ModuleList(SharpRegions(c, refining) for c in joined)
        self.decoders = nn.ModuleList(_blocks(c, blocks) for c in joined)
        self.last = _conv(joined[-1], 3)
        self.multiple = _LEAST

    def forward(self, left: torch.Tensor, right: torch.Tensor, sharp: torch.Tensor | None = None) -> torch.Tensor:
        """Return the sharp images of two views; or, in training, sharp images blurred as the views are.

        Args:
            left: `(N, 3, H, W)`.
            right: of the same shape.
            sharp: of the same shape: what is blurred, by the inverse PSF blocks in the opposite order.
        """
        size = left.shape[-2:]
        fitting = [-(-length // multiple) * multiple for length, multiple in zip(size, self.multiple, strict=True)]
        views = [_resized(view, fitting) for view in (left, right)]
        image = torch.cat(views if sharp is None else [_resized(sharp, fitting)] * 2, 1)
        full, half = image, self.encode1(image)
        quarter = self.encode2(half)
        features = self._filtered(self.encode3(quarter), self.disparity(*views), reblur=sharp is not None)
        for up, skip, join, decode in zip(self.ups, (quarter, half, full), self.sharp, self.decoders, strict=True):
            features = decode(join(torch.cat([up(features), skip], 1)))
        return _resized(self.last(features).clamp(-1, 1), list(size))

    def freeze(self) -> K3DN:
        """Make constants of the kernels, take sizes and compute as when images are restored; return the network."""
        self.multiple = _MULTIPLE
        for join in self.sharp:
            join.products = near_products
        for block in self.psf:
            block.freeze()
        return self

    def _filtered(self, features: torch.Tensor, disparity: torch.Tensor, *, reblur: bool) -> torch.Tensor:
        n, c, h, w = features.shape
        rows, columns = h // _WINDOW[0], w // _WINDOW[1]
        windows = features.reshape(n, c, rows, _WINDOW[0], columns, _WINDOW[1]).permute(0, 2, 4, 1, 3, 5)
        windows = windows.reshape(-1, c, *_WINDOW)
        for block in reversed(self.psf) if reblur else self.psf:
            windows = block(windows, disparity, reblur=reblur)
        windows = windows.reshape(n, rows, columns, c, *_WINDOW).permute(0, 3, 1, 4, 2, 5)
        return windows.reshape(n, c, h, w)


def _resized(image: torch.Tensor, size: list[int]) -> torch.Tensor:
    return image if list(image.shape[-2:]) == size else F.interpolate(image, size=size, mode="bicubic")


def build_training(width: int = 48, blocks: int = 4, kernels: int = 8, refining: int = 4) -> K3DN:
    """Return the untrained network with kernels that can be trained; Large, if nothing is said."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return K3DN(width, blocks, kernels, refining)


def build() -> nn.Module:
    """Return the untrained network Large: 15,915,030 parameters, the same at every call."""
    return build_training().freeze().eval()


def build_lightweight_training() -> K3DN:
    """Return the untrained network Lightweight with kernels that can be trained."""
    return build_training(32, 2, 4, 2)


def build_lightweight() -> nn.Module:
    """Return the untrained network Lightweight: 4,973,254 parameters, the same at every call."""
    return build_lightweight_training().freeze().eval()


def build_tiny_training() -> K3DN:
    """Return the untrained network Tiny with kernels that can be trained."""
    return build_training(24, 2, 4, 1)


def build_tiny() -> nn.Module:
    """Return the untrained network Tiny: 3,040,358 parameters, the same at every call."""
    return build_tiny_training().freeze().eval()
