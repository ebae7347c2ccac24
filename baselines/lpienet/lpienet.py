"""LPIENet, the lightweight network for enhancement of images from under-display cameras, in Keras 3.

Source: Conde et al., "Perceptual Image Enhancement for Smartphone Real-Time Applications", WACV 2023; its parameters
and operations are those of leaderboards/published/counts.toml. Only layers and operations that all backends have.
"""

from __future__ import annotations

import keras
from keras import layers, ops


def build(widths: tuple[int, int, int, int, int] = (16, 32, 64, 32, 16)) -> keras.Model:
    """Return the network with fresh weights: RGB in [0, 1], `(N, H, W, 3)`, H and W multiples of 4, to the same.

    Args:
        widths: channels of the three stages of the encoder and the two of the decoder.
    """
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, _restored(image, widths), name="lpienet")


def build_toned(offset: float = 0.25) -> keras.Model:
    """Return the network with fresh weights for linear light of any brightness, `(N, H, W, 3)` in [0, ∞), to the same.

    It works on x / (x + offset), the tone map that images from under a display are scored after (Feng et al. 2021).
    """
    image = keras.Input((None, None, 3), name="image")
    toned = _restored(image / (image + offset), (16, 32, 64, 32, 16))
    # LPIENet's authors cut off here, before they go back.
    toned = ops.clip(toned, 0, 1 - 1e-5)
    return keras.Model(image, offset * toned / (1 - toned), name="lpienet_toned")


def build_large() -> keras.Model:
    """Return the paper's large variant with fresh weights."""
    return build((32, 64, 128, 64, 32))


def _restored(image: keras.KerasTensor, widths: tuple[int, int, int, int, int]) -> keras.KerasTensor:
    whole = _stage(image, widths[0], "encoder1")
    half = _stage(layers.MaxPooling2D(name="down1")(whole), widths[1], "encoder2")
    x = _stage(layers.MaxPooling2D(name="down2")(half), widths[2], "encoder3")
    x = _stage(x, widths[3], "decoder1")
    x = _joined(x, half, 1)
    x = _stage(x, widths[4], "decoder2")
    x = _joined(x, whole, 2)
    return layers.Add(name="output")([_tail(x), image])


def _conv(x: keras.KerasTensor, channels: int, kernel: int, name: str, activation: str | None = None) -> object:
    return layers.Conv2D(channels, kernel, padding="same", activation=activation, name=name)(x)


def _depthwise(x: keras.KerasTensor, name: str) -> object:
    return layers.DepthwiseConv2D(3, padding="same", activation="elu", name=name)(x)


def _joined(x: keras.KerasTensor, skipped: keras.KerasTensor, number: int) -> keras.KerasTensor:
    """Enlarge to twice the size, and put the encoder's features of that size beside it."""
    # Bilinear with half-pixel centres in every backend.
    larger = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{number}")(x)
    return layers.Concatenate(name=f"skip{number}")([larger, skipped])


def _stage(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    x = _conv(x, channels, 3, f"{name}_head", "relu")
    for number in (1, 2):
        x = _base_block(x, channels, f"{name}_block{number}")
    return _attention_block(x, channels, f"{name}_attention")


def _base_block(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Two residual branches: an inverted one with a depthwise convolution, and a pointwise one."""
    inner = _depthwise(_conv(x, channels, 1, f"{name}_in"), f"{name}_depthwise")
    x = layers.Add(name=f"{name}_sum")([_conv(inner, channels, 1, f"{name}_out"), x])
    inner = _conv(x, channels, 1, f"{name}_point_in", "elu")
    return layers.Add(name=f"{name}_point_sum")([x, _conv(inner, channels, 1, f"{name}_point_out")])


def _attention_block(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """A spatial and a channel gate, both from statistics over the channels at each pixel."""
    mean = ops.mean(x, axis=-1, keepdims=True)
    largest = ops.max(x, axis=-1, keepdims=True)
    both = layers.Concatenate(name=f"{name}_statistics")([mean, largest])
    spatial = layers.Multiply(name=f"{name}_spatial")([_conv(both, channels, 3, f"{name}_spatial_gate", "sigmoid"), x])
    gate = _conv(mean, channels, 1, f"{name}_channel_in", "relu")
    gate = _conv(gate, channels, 1, f"{name}_channel_gate", "sigmoid")
    channel = layers.Multiply(name=f"{name}_channel")([gate, x])
    joined = layers.Concatenate(name=f"{name}_gated")([spatial, channel])
    return layers.Add(name=f"{name}_sum")([_conv(joined, channels, 1, f"{name}_out"), x])


def _tail(x: keras.KerasTensor) -> keras.KerasTensor:
    """Bring the features to three channels by two paths, and gate their sum."""
    deep = _conv(_depthwise(_conv(x, 3, 1, "tail_in"), "tail_depthwise"), 3, 1, "tail_out")
    t = layers.Add(name="tail_sum")([deep, _conv(x, 3, 1, "tail_short", "relu")])
    gate = _conv(_conv(t, 3, 7, "gate7", "relu"), 3, 5, "gate5", "relu")
    return layers.Multiply(name="gated")([t, _conv(gate, 3, 3, "gate3", "sigmoid")])
