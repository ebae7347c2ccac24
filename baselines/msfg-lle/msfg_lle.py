"""Low-light enhancement guided by features (Guo et al. 2021): a U-Net attending to what is dark and has structure."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_SEED = 2021
_SLOPE = 0.2
_WIDTH = 32
_DEPTH = 4
"""Levels below the first."""
_GAMMA = 4
_FAINT = 0.02
"""Added to the light that differences are divided by: five steps of 8 bit."""
_LUMINANCE = (0.299, 0.587, 0.114)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512)
"""Channels of VGG-16's convolutions up to the first one after the fourth pooling; 0 pools."""


class Vgg(nn.Sequential):
    """VGG-16 up to conv5_1, after its ReLU. Frozen: it is not trained with the generator."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        taken = 3
        for given in _VGG:
            if given:
                layers += [nn.Conv2d(taken, given, 3, padding=1), nn.ReLU()]
                taken = given
            else:
                layers.append(nn.MaxPool2d(2))
        super().__init__(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.requires_grad_(requires_grad=False)


class Gradients(nn.Module):
    """Stands in for VGG-16 where its weights are not at hand: nothing in it is learnt, and it has no parameters."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return how much neighbours differ, as a share of how light it is there: `(N, 3, H / 16, W / 16)`, 0 or more.

        Looked at in means of 4×4 pixels, where noise is a quarter; as coarse in the end as conv5_1.

        Args:
            image: `(N, 3, H, W)` in [0, 1], sides multiples of 16.
        """
        coarse = F.avg_pool2d(image, 4)
        wide = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        down, across = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1], wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
        light = F.avg_pool2d(wide, 3, 1)
        return F.avg_pool2d((down.abs() + across.abs()) / (light + _FAINT), 4)


class Attention(nn.Module):
    """The map x_a of Eq. 3: high where an image is dark and VGG-16 sees structure."""

    mean: torch.Tensor
    std: torch.Tensor
    luminance: torch.Tensor

    def __init__(self, *, stretched: bool = False, pretrained: bool = True) -> None:
        """Take what the map is made of.

        Args:
            stretched: the map is stretched to [0, 1]; by the formula alone it lies between 0.5 and 0.731.
            pretrained: structure is what VGG-16 sees, which needs its weights; else `Gradients`.
        """
        super().__init__()
        self.vgg = Vgg() if pretrained else None
        self.gradients = Gradients()
        self.stretched = stretched
        for name, values in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD), ("luminance", _LUMINANCE)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the maps `(N, 1, H, W)` of images `(N, 3, H, W)` in [-1, 1], sides multiples of 16."""
        unit = (image + 1) / 2
        dark = 1 - (unit * self.luminance).sum(1, keepdim=True)
        found = self.gradients(unit) if self.vgg is None else self.vgg((unit - self.mean) / self.std)
        features = found.mean(1, keepdim=True)
        seen = torch.sigmoid(F.interpolate(features, size=image.shape[2:], mode="bilinear"))
        if not self.stretched:
            return torch.sigmoid(dark * seen**_GAMMA)
        product = dark * seen**_GAMMA
        low, high = product.amin((2, 3), keepdim=True), product.amax((2, 3), keepdim=True)
        return (product - low) / (high - low).clamp_min(1e-8)


class _Half(nn.Sequential):
    """A convolution, its activation, and then the norm."""

    def __init__(self, taken: int, given: int, *, norm: bool = True) -> None:
        layers = [nn.Conv2d(taken, given, 3, padding=1), nn.LeakyReLU(_SLOPE)]
        super().__init__(*layers, *([nn.BatchNorm2d(given)] if norm else []))


def _block(taken: int, given: int, *, last: bool = False) -> nn.Sequential:
    return nn.Sequential(_Half(taken, given), _Half(given, given, norm=not last))


class Generator(nn.Module):
    """A U-Net on an image and its map; the map multiplies what each level passes on, and what is added at the end."""

    def __init__(self, width: int = _WIDTH) -> None:
        """Take the channels of the first level; each level below has twice those of the one above."""
        super().__init__()
        widths = [width << level for level in range(_DEPTH + 1)]
        self.encoders = nn.ModuleList(_block(a, c) for a, c in zip((4, *widths[:-2]), widths[:-1], strict=True))
        self.deep1, self.deep2 = _block(widths[-2], widths[-1])
        ups = widths[-2::-1]
        self.ups = nn.ModuleList(nn.Conv2d(2 * c, c, 3, padding=1) for c in ups)
        self.decoders = nn.ModuleList(_block(2 * c, c, last=c == ups[-1]) for c in ups)
        self.last = nn.Conv2d(widths[0], 3, 1)
        self.down = nn.MaxPool2d(2)

    def forward(self, image: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Return the enhanced images `(N, 3, H, W)` from images and maps `(N, 1, H, W)`, sides multiples of 16."""
        maps = [attention]
        for _ in self.encoders:
            maps.append(F.avg_pool2d(maps[-1], 2))
        features = torch.cat([image, attention], 1)
        skips: list[torch.Tensor] = []
        for encode in self.encoders:
            skips.append(encode(features))
            features = self.down(skips[-1])
        features = self.deep2(self.deep1(features) * maps[-1])
        for level, (up, decode) in enumerate(zip(self.ups, self.decoders, strict=True)):
            larger = up(F.interpolate(features, scale_factor=2, mode="bilinear"))
            features = decode(torch.cat([larger, skips.pop() * maps[-2 - level]], 1))
        enhanced: torch.Tensor = self.last(features) * attention + image
        return enhanced


class LowLight(nn.Module):
    """Takes `(N, 3, H, W)` in [-1, 1], sides multiples of 16, and gives the same."""

    def __init__(self, width: int = _WIDTH, *, stretched: bool = False, pretrained: bool = True) -> None:
        """See `Generator` and `Attention`."""
        super().__init__()
        self.attention = Attention(stretched=stretched, pretrained=pretrained)
        self.generator = Generator(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the enhanced images `(N, 3, H, W)`."""
        enhanced: torch.Tensor = self.generator(image, self.attention(image))
        return enhanced


def build() -> nn.Module:
    """Return the untrained network: 8,636,675 parameters of the generator and 9,995,072 frozen ones of VGG-16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return LowLight()


def build_small() -> nn.Module:
    """Return an untrained network of a quarter of the channels, whose map needs no VGG-16: 541,763 parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return LowLight(_WIDTH // 4, pretrained=False)


def build_generator() -> nn.Module:
    """Return the untrained generator alone, which takes an image and its map: 8,636,675 parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return Generator()
