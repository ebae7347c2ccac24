"""DPED's four losses and its discriminator, with which fast-DPED is trained, in Keras 3.

Source: Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional Networks", ICCV 2017, and its
public code, which the sums and means below follow. Images are `(N, H, W, 3)` in about [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf, sqrt

import keras
import numpy as np
from keras import layers, ops
from scipy.linalg import toeplitz

Tensor = keras.KerasTensor
Features = Callable[[Tensor], Tensor]

_INITIAL = 0.01
_LEAST = 1e-10
"""What probabilities are cut off at, before their logarithm."""
_KERNEL = 21
_LUMINANCE = (0.2989, 0.587, 0.114)
"""TensorFlow's weights of red, green and blue."""


def terms(
    network: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    target: Tensor,
    *,
    features: Features,
    discriminator: Callable[..., Tensor],
) -> dict[str, Tensor]:
    """Return the losses of the network by name, not weighted yet.

    Args:
        network: the enhancing network.
        inputs: the phone's images, one tensor.
        target: the camera's.
        features: see `content`.
        discriminator: see `discriminator`; 100×100 px.
    """
    output = network(*inputs, training=True)
    return {
        "content": content(output, target, features),
        "texture": texture(discriminator(gray(output), training=True)),
        "colour": colour(output, target),
        "variation": variation(output),
    }


def plain_terms(network: Callable[..., Tensor], inputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
    """Return losses that need no other network: errors of pixels for VGG's features, of edges for the adversary.

    Args:
        network: the enhancing network.
        inputs: the phone's images, one tensor.
        target: the camera's.
    """
    output = network(*inputs, training=True)
    return {
        "absolute": absolute(output, target),
        "gradient": gradient(output, target),
        "colour": colour(output, target),
        "variation": variation(output),
    }


def absolute(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error, a scalar."""
    return ops.mean(ops.abs(output - target))


def gradient(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of the differences of neighbours, down plus across: a scalar."""
    down, across = _steps(output - target)
    return ops.mean(ops.abs(down)) + ops.mean(ops.abs(across))


def content(output: Tensor, target: Tensor, features: Features) -> Tensor:
    """Return the mean squared distance of features, a scalar.

    Args:
        output: the enhanced images.
        target: of the same shape.
        features: gives features of any shape. DPED's are VGG-19's relu5_4 of 255 · image less ImageNet's mean RGB
            (123.68, 116.779, 103.939).
    """
    return ops.mean(ops.square(features(output) - features(target)))


def texture(fake: Tensor) -> Tensor:
    """Return what the network minimises against the discriminator: Σ log P(fake), the saturating form, a scalar.

    Args:
        fake: the discriminator's probabilities `(N, 2)` for enhanced images.
    """
    return ops.sum(ops.log(ops.clip(fake[:, 1], _LEAST, 1.0)))


def discrimination(judged: Tensor, real: Tensor) -> Tensor:
    """Return what the discriminator minimises, its cross-entropy, summed over images: a scalar.

    Args:
        judged: its probabilities `(N, 2)` of real and fake.
        real: `(N, 1)`: 1 for a camera's image, 0 for an enhanced one. DPED draws them at random.
    """
    wanted = ops.concatenate([real, 1 - real], axis=1)
    return -ops.sum(wanted * ops.log(ops.clip(judged, _LEAST, 1.0)))


def colour(output: Tensor, target: Tensor, std: float | None = None) -> Tensor:
    """Return half the squared distance of blurred images, summed over an image, mean over images: a scalar.

    Args:
        output: the enhanced images; zero outside.
        target: of the same shape.
        std: see `blur_kernel`.
    """
    line = np.sqrt(np.diagonal(blur_kernel(std)))  # the kernel is a product of two of these
    down, across = (_blurring(line, size) for size in output.shape[1:3])
    error = ops.einsum("ij,njwc->niwc", down, output - target)
    error = ops.einsum("ij,nhjc->nhic", across, error)
    return ops.mean(ops.sum(ops.square(error), axis=(1, 2, 3))) / 2


def _blurring(line: np.ndarray, size: int) -> Tensor:
    """Return what blurs a row of pixels, `(size, size)`: a product is quick where such a convolution is not."""
    half = np.zeros(size)
    half[: _KERNEL // 2 + 1] = line[_KERNEL // 2 :][:size]
    return ops.convert_to_tensor(toeplitz(half).astype("float32"))


def blur_kernel(std: float | None = None) -> np.ndarray:
    """Return the kernel of the colour loss, `(21, 21)`, sum 1.

    Args:
        std: of a sampled Gaussian, px: √3 is Eq. 2 of the paper, whose factor 0.053 says that 3 is the variance. If it
            is None, the kernel is that of DPED's code: the root of a Gaussian's share of each of 21 steps across
            19/3 standard deviations.
    """
    if std is None:
        ends = np.linspace(-3 - 1 / 6, 3 + 1 / 6, _KERNEL + 1)
        line = np.sqrt(np.diff([erf(end / sqrt(2)) for end in ends]))
    else:
        line = np.exp(-(((np.arange(_KERNEL) - _KERNEL // 2) / std) ** 2) / 2)
    kernel = np.outer(line, line)
    return kernel / kernel.sum()


def variation(output: Tensor) -> Tensor:
    """Return the mean squared difference of neighbours, down plus across: a scalar."""
    down, across = _steps(output)
    return ops.mean(ops.square(down)) + ops.mean(ops.square(across))


def _steps(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences of neighbours, down and across."""
    return image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]


def gray(image: Tensor) -> Tensor:
    """Return the luminance `(N, H, W, 1)`, which is all that the discriminator sees."""
    weights = ops.convert_to_tensor(np.array(_LUMINANCE, "float32"))
    return ops.sum(image * weights, axis=-1, keepdims=True)


def discriminator(size: int = 100) -> keras.Model:
    """Return DPED's discriminator with fresh weights: 7,361,122 parameters at 100×100 px.

    It takes `gray` images `(N, size, size, 1)` and gives the probabilities `(N, 2)` that they are real and fake.
    """
    image = keras.Input((size, size, 1), name="image")
    x = layers.LeakyReLU(0.2)(layers.Conv2D(48, 11, 4, **_usual())(image))
    for channels, kernel, strides in ((128, 5, 2), (192, 3, 1), (192, 3, 1), (128, 3, 2)):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(channels, kernel, strides, **_usual())(x))
        x = layers.GroupNormalization(groups=-1, epsilon=1e-3)(x)  # one group a channel is instance norm
    start = keras.initializers.TruncatedNormal(stddev=_INITIAL)
    bias = keras.initializers.Constant(_INITIAL)
    x = layers.Dense(1024, kernel_initializer=start, bias_initializer=bias)(layers.Flatten()(x))
    x = layers.Dense(2, kernel_initializer=start, bias_initializer=bias)(layers.LeakyReLU(0.2)(x))
    return keras.Model(image, layers.Softmax(name="real_fake")(x), name="discriminator")


def _usual() -> dict[str, object]:
    return {
        "padding": "same",
        "kernel_initializer": keras.initializers.TruncatedNormal(stddev=_INITIAL),
        "bias_initializer": keras.initializers.Constant(_INITIAL),
    }
