"""The low-light GAN's losses and discriminators (Guo et al. 2021, Eq. 1 to 5). Images are `(N, 3, H, W)` in [-1, 1].

Eq. 2 prints E[1 − D(y)²], which has no lower bound: it is read as E[(1 − D(y))²], least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

_SLOPE = 0.2
_SPREAD = 0.02
_LEVELS = 3
"""Convolutions with stride 2."""
_SCALES = (2, 4, 8)
_NEAR = 7
"""Side of the surroundings."""
_FLAT = 0.01
"""Deviation below which an area is flat, of 1."""


def terms(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    target: torch.Tensor | None = None,
    *,
    features: Callable[[torch.Tensor], torch.Tensor],
    discriminator: nn.Module,
) -> dict[str, torch.Tensor]:
    """Return the generator's losses by name, not weighted yet.

    Args:
        network: the enhancing network.
        inputs: dark images, one tensor.
        target: nothing is compared with it; the discriminators see well lit images of other scenes.
        features: see `perceptual`.
        discriminator: see `discriminator`.
    """
    output = network(*inputs)
    return {
        "adversarial": adversarial(discriminator(output)),
        "perceptual": perceptual(output, inputs[0], features),
    }


def terms_with_colour(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    target: torch.Tensor | None = None,
    *,
    features: Callable[[torch.Tensor], torch.Tensor],
    discriminator: nn.Module,
) -> dict[str, torch.Tensor]:
    """Return the losses of `terms` and one that is not the paper's: `colour`."""
    output = network(*inputs)
    return {
        "adversarial": adversarial(discriminator(output)),
        "perceptual": perceptual(output, inputs[0], features),
        "colour": colour(output, inputs[0]),
    }


def adversarial(fake: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what the generator minimises, E[(1 − D(G(x)))²] summed over the discriminators: a scalar.

    Args:
        fake: what each discriminator says to enhanced images, of any shape.
    """
    return torch.stack([(1 - said).square().mean() for said in fake]).sum()


def discrimination(fake: Sequence[torch.Tensor], real: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return what the discriminators minimise, E[D(G(x))²] + E[(1 − D(y))²] summed over them: a scalar.

    Args:
        fake: what each says to enhanced images, of any shape.
        real: what each says to well lit ones.
    """
    return torch.stack([said.square().mean() for said in fake]).sum() + adversarial(real)


def perceptual(
    output: torch.Tensor, image: torch.Tensor, features: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return the mean squared distance of features, a scalar.

    Args:
        output: enhanced images.
        image: what they were made of.
        features: takes images in [-1, 1]. The paper's are VGG-16's conv5_1, with ImageNet's weights.
    """
    return (features(output) - features(image)).square().mean()


def colour(output: torch.Tensor, image: torch.Tensor, region: int = 16) -> torch.Tensor:
    """Return how far the directions of regions' colours are from the dark image's, 1 less the angle's cosine: a scalar.

    As the loss of Wang et al. 2019 (underexposed photo enhancement), which takes a reference in the image's place.

    Args:
        output: enhanced images.
        image: what they were made of.
        region: side of a region, px.
    """
    one, other = (F.avg_pool2d((found + 1) / 2, region) for found in (output, image))
    return (1 - F.cosine_similarity(one, other, eps=1e-3)).mean()


def structure(image: torch.Tensor) -> torch.Tensor:
    """Return features that stand in for VGG-16's where its weights are not at hand; nothing in them is learnt.

    Contrast to the surroundings, x less its local mean over its local deviation, in means of 2×2, 4×4 and 8×8 pixels:
    light and contrast may change, what is lighter than what may not. Finer structure, where noise is, is not looked at.

    Args:
        image: `(N, 3, H, W)` in [-1, 1], sides multiples of 8.

    Returns:
        `(N, 9, H / 2, W / 2)`.
    """
    found = []
    for scale in _SCALES:
        small = F.avg_pool2d((image + 1) / 2, scale)
        wide = F.pad(small, (_NEAR // 2,) * 4, mode="replicate")
        mean = F.avg_pool2d(wide, _NEAR, 1)
        spread = (F.avg_pool2d(wide.square(), _NEAR, 1) - mean.square()).clamp_min(0)
        found.append((small - mean) / (spread + _FLAT**2).sqrt())
    return torch.cat([F.interpolate(f, scale_factor=s / _SCALES[0]) for f, s in zip(found, _SCALES, strict=True)], 1)


class Patches(nn.Sequential):
    """PatchGAN (Isola et al. 2017): a number for each patch of 70×70 px; 2,764,737 parameters at width 64."""

    def __init__(self, width: int = 64, levels: int = _LEVELS) -> None:
        """Take the channels after the first convolution, and how many convolutions halve the size."""
        widths = [3, *(width << level for level in range(levels + 1)), 1]
        built: list[nn.Module] = []
        for number, (taken, given) in enumerate(pairwise(widths)):
            built.append(nn.Conv2d(taken, given, 4, 2 if number < levels else 1, 1))
            if 0 < number < levels + 1:
                built.append(nn.InstanceNorm2d(given))
            if number <= levels:
                built.append(nn.LeakyReLU(_SLOPE))
        super().__init__(*built)
        for layer in built:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=_SPREAD)
                nn.init.zeros_(layer.bias)


class Discriminators(nn.Module):
    """One for images as they are, and one for images of half the size (Wang et al. 2018, pix2pixHD)."""

    def __init__(self, width: int = 64, levels: int = _LEVELS) -> None:
        """See `Patches`."""
        super().__init__()
        self.scales = nn.ModuleList([Patches(width, levels), Patches(width, levels)])

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return what each says to images `(N, 3, H, W)`, H and W at least 64: 1 real, 0 fake, for each patch."""
        whole, half = self.scales
        return [whole(image), half(F.avg_pool2d(image, 3, 2, 1, count_include_pad=False))]


def discriminator(width: int = 64) -> nn.Module:
    """Return both untrained discriminators."""
    return Discriminators(width)


def small_discriminator(width: int = 32) -> nn.Module:
    """Return both at half the width, for crops of 64 px: patches of 34×34 px, 167,649 parameters each; untrained."""
    return Discriminators(width, _LEVELS - 1)
