"""What the authors' own checkpoints of the baselines hold, and which weight of the baseline each array is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from evaluator.runners.models.checkpoint import Arrays

_BATCH_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Official:
    """The checkpoints of one baseline."""

    entry: str
    """The function that builds their network."""
    shapes: Mapping[str, tuple[int, ...]]
    """All that such a checkpoint holds."""
    convert: Callable[[Arrays], Arrays]
    """From the checkpoint's arrays to the weights of the baseline, by their names."""
    ignored: str = ""
    """The end of names that say nothing of the network."""
    method: str = ""
    """What it is called, where it is another network than the baseline's first."""


def _dped(
    entry: str, kernels: Sequence[tuple[int, int, int, int]], transposed: tuple[int, ...], keras: bool
) -> Official:
    """Return what DPED's code saves: convolutions W1, b1, …; of each instance norm two variables, shift and scale.

    Args:
        entry: see `Official`.
        kernels: height, width, input and output channels of all convolutions, in order.
        transposed: numbers of those that enlarge, which are stored with output channels before input channels.
        keras: the baseline is a Keras model, whose kernels lie as in the checkpoint; else it is one of torch.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    norms: list[int] = []
    last = len(kernels)
    for number, (height, width, taken, given) in enumerate(kernels, 1):
        kernel = (given, taken) if number in transposed else (taken, given)
        shapes |= {f"W{number}": (height, width, *kernel), f"b{number}": (given,)}
        if 1 < number < last - 2:
            norms.append(given)
    variables = ["Variable", *(f"Variable_{n}" for n in range(1, 2 * len(norms)))]
    shapes |= {name: (norms[place // 2],) for place, name in enumerate(variables)}

    def convert(arrays: Arrays) -> Arrays:
        weights: Arrays = {}
        for number in range(1, last + 1):
            kernel, bias = arrays[f"W{number}"], arrays[f"b{number}"]
            if keras:
                weights |= {f"conv{number}/kernel": kernel, f"conv{number}/bias": bias}
            else:
                weights |= {f"convs.{number - 1}.weight": kernel.transpose(3, 2, 0, 1)}
                weights |= {f"convs.{number - 1}.bias": bias}
        for place, name in enumerate(variables):
            word = (("beta", "gamma") if keras else ("bias", "weight"))[place % 2]
            norm = f"norm{place // 2 + 1}/" if keras else f"norms.{place // 2}."
            weights[norm + word] = arrays[name]
        return weights

    return Official(entry, shapes, convert)


def _resnet(entry: str, width: int, blocks: int) -> Official:
    inner = [(3, 3, width, width)] * (2 * blocks + 2)
    return _dped(entry, [(9, 9, 3, width), *inner, (9, 9, width, 3)], (), keras=False)


def _fast_dped() -> Official:
    down = [(9, 9, 3, 16), (4, 4, 16, 32), (4, 4, 32, 64)]
    up = [(4, 4, 64, 32), (4, 4, 32, 16)]
    kernels = [*down, *[(3, 3, 64, 64)] * 4, *up, *[(3, 3, 16, 16)] * 2, (9, 9, 16, 3)]
    return _dped("fast_dped:build", kernels, (8, 9), keras=True)


def _srcnn() -> Official:
    layers = {"1": "first", "2": "second", "3": "third"}
    shapes: dict[str, tuple[int, ...]] = {"w1": (9, 9, 3, 64), "w2": (5, 5, 64, 32), "w3": (5, 5, 32, 3)}
    shapes |= {"b1": (64,), "b2": (32,), "b3": (1,)}

    def convert(arrays: Arrays) -> Arrays:
        weights = {f"{name}.weight": arrays[f"w{n}"].transpose(3, 2, 0, 1) for n, name in layers.items()}
        return {**weights, "first.bias": arrays["b1"], "second.bias": arrays["b2"], "bias": arrays["b3"]}

    return Official("srcnn:build", shapes, convert)


def _zero_dce() -> Official:
    channels = [(3, 32), *[(32, 32)] * 3, *[(64, 32)] * 2, (64, 24)]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (taken, given) in enumerate(channels, 1):
        shapes |= {f"e_conv{number}.weight": (given, taken, 3, 3), f"e_conv{number}.bias": (given,)}

    def convert(arrays: Arrays) -> Arrays:
        return {
            f"convs.{number}.{word}": arrays[f"e_conv{number + 1}.{word}"]
            for number in range(len(channels))
            for word in ("weight", "bias")
        }

    return Official("zero_dce:build", shapes, convert)


def _dncnn() -> Official:
    """Return DnCNN-S for gray images: a sequence in which ReLUs, and batch norms in the middle, have numbers, too."""
    layers, width = 17, 64
    places = [0, *range(2, 3 * layers - 3, 3)]  # of the convolutions
    channels = [1, *[width] * (layers - 1), 1]
    shapes: dict[str, tuple[int, ...]] = {}
    for number, place in enumerate(places):
        shapes[f"dncnn.{place}.weight"] = (channels[number + 1], channels[number], 3, 3)
        if 0 < number < layers - 1:
            for word in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"dncnn.{place + 1}.{word}"] = (width,)

    def convert(arrays: Arrays) -> Arrays:
        weights = {}
        for number, place in enumerate(places):
            kernel = arrays[f"dncnn.{place}.weight"].astype(np.float64)
            shift = np.zeros(len(kernel))
            if 0 < number < layers - 1:
                gain, shift, mean, variance = (
                    arrays[f"dncnn.{place + 1}.{word}"].astype(np.float64)
                    for word in ("weight", "bias", "running_mean", "running_var")
                )
                gain = gain / np.sqrt(variance + _BATCH_NORM_EPSILON)
                kernel, shift = kernel * gain[:, None, None, None], shift - mean * gain
            weights[f"convs.{number}.weight"] = kernel.astype(np.float32)
            weights[f"convs.{number}.bias"] = shift.astype(np.float32)
        return weights

    return Official("dncnn:build_gray", shapes, convert, ".num_batches_tracked", "DnCNN-S (gray, 17 layers)")


OFFICIAL: Mapping[str, Official] = MappingProxyType(
    {
        "dncnn": _dncnn(),
        "dped-resnet": _resnet("dped_resnet:build", 64, 4),
        "dped-resnet-8-32": _resnet("dped_resnet:build_8_32", 32, 2),
        "fast-dped": _fast_dped(),
        "srcnn": _srcnn(),
        "zero-dce": _zero_dce(),
    }
)
"""By the baseline's name."""
