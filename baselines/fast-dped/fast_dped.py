"""fast-DPED, the network of team EdS in the PIRM 2018 challenge on enhancement, in Keras 3.

Source: de Stoutz et al., "Fast Perceptual Image Enhancement", ECCV Workshops 2018; the structure is that of the
variables of the authors' checkpoint. Only layers that all backends have.
"""

from __future__ import annotations

import keras
from keras import layers

_INITIAL = 0.01
"""Standard deviation of the initial weights, and the initial biases, as DPED has them."""


def build(
    widths: tuple[int, int, int] = (16, 32, 64), kernels: tuple[int, int] = (3, 4), *, prelu: bool = False
) -> keras.Model:
    """Return the network with fresh weights: RGB in [0, 1], `(N, H, W, 3)`, H and W multiples of 4, to about the same.

    Args:
        widths: channels at full, half and quarter resolution; `(32, 64, 128)` is the paper's wide variant.
        kernels: size of the convolutions that keep the resolution, and of those that change it; `(3, 4)` is the paper's
            "3-4", `(3, 3)` and `(4, 4)` are its "3" and "4".
        prelu: have a slope for each channel in place of ReLU.
    """
    parts = _Parts(prelu)
    keep, change = kernels
    full, half, quarter = widths
    image = keras.Input((None, None, 3), name="image")
    start = parts.active(parts.conv(image, full, 9))
    x = parts.active(parts.normed(parts.conv(start, half, change, strides=2)))
    x = parts.active(parts.normed(parts.conv(x, quarter, change, strides=2)))
    for number in (1, 2):
        inner = x
        for _ in range(2):
            inner = parts.active(parts.normed(parts.conv(inner, quarter, keep)))
        x = layers.Add(name=f"block{number}")([x, inner])
    x = parts.active(parts.normed(parts.up(x, half, change)))
    x = parts.active(parts.normed(parts.up(x, full, change)))
    x = layers.Add(name="skip")([x, start])
    for _ in range(2):
        x = parts.active(parts.conv(x, full, keep))
    x = layers.Activation("tanh", name="tanh")(parts.conv(x, 3, 9))
    return keras.Model(image, layers.Rescaling(0.58, 0.5, name="output")(x), name="fast_dped")


class _Parts:
    """Makes layers, each kind numbered in the order of the network: importing finds weights by these names."""

    def __init__(self, prelu: bool) -> None:
        self._prelu = prelu
        self._made = {"conv": 0, "norm": 0, "active": 0}

    def conv(self, x: keras.KerasTensor, channels: int, kernel: int, strides: int = 1) -> keras.KerasTensor:
        return layers.Conv2D(channels, kernel, strides, name=self._name("conv"), **self._usual())(x)

    def up(self, x: keras.KerasTensor, channels: int, kernel: int) -> keras.KerasTensor:
        return layers.Conv2DTranspose(channels, kernel, 2, name=self._name("conv"), **self._usual())(x)

    def normed(self, x: keras.KerasTensor) -> keras.KerasTensor:
        # One group a channel is instance norm.
        return layers.GroupNormalization(groups=-1, epsilon=1e-3, name=self._name("norm"))(x)

    def active(self, x: keras.KerasTensor) -> keras.KerasTensor:
        name = self._name("active")
        return layers.PReLU(shared_axes=[1, 2], name=name)(x) if self._prelu else layers.ReLU(name=name)(x)

    def _name(self, kind: str) -> str:
        self._made[kind] += 1
        return f"{kind}{self._made[kind]}"

    @staticmethod
    def _usual() -> dict[str, object]:
        return {
            "padding": "same",
            "kernel_initializer": keras.initializers.TruncatedNormal(stddev=_INITIAL),
            "bias_initializer": keras.initializers.Constant(_INITIAL),
        }
