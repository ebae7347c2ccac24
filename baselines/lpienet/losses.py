"""LPIENet's loss, α (1 − SSIM) + L1 + β gradient, in Keras 3 (Conde et al. 2023, Eq. 2).

The paper leaves open α, β, SSIM's window and the form of the gradient loss; recipe.toml has what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

Tensor = keras.KerasTensor


def terms(network: Callable[..., Tensor], inputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
    """Return the losses by name, not weighted yet.

    Args:
        network: takes and gives images `(N, H, W, 3)` in [0, 1].
        inputs: the degraded images, one tensor.
        target: the clean ones.
    """
    output = network(*inputs, training=True)
    return {
        "structure": structure(output, target),
        "absolute": absolute(output, target),
        "gradient": gradient(output, target),
    }


def toned_terms(
    network: Callable[..., Tensor], inputs: Sequence[Tensor], target: Tensor, offset: float = 0.25
) -> dict[str, Tensor]:
    """Return the same losses of linear light after the tone map x / (x + offset), as it is scored.

    Args:
        network: takes and gives images `(N, H, W, 3)` in [0, ∞).
        inputs: the degraded images, one tensor.
        target: the clean ones.
        offset: of the tone map.
    """

    def toned(*images: Tensor, training: bool) -> Tensor:
        output = network(*images, training=training)
        return output / (output + offset)

    return terms(toned, inputs, target / (target + offset))


def structure(output: Tensor, target: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Return 1 − SSIM of images `(N, H, W, C)` in [0, 1], a scalar (Wang et al. 2004; K1 0.01, K2 0.03, range 1).

    Args:
        output: H and W are at least `window`.
        target: of the same shape.
        window: side of the Gaussian window, px. Only windows that lie inside of the image count.
        sigma: its standard deviation, px.
    """
    first, second = 0.01**2, 0.03**2
    mean_o, mean_t = _smoothed(output, window, sigma), _smoothed(target, window, sigma)
    var_o = _smoothed(output * output, window, sigma) - mean_o * mean_o
    var_t = _smoothed(target * target, window, sigma) - mean_t * mean_t
    both = _smoothed(output * target, window, sigma) - mean_o * mean_t
    similar = (2 * mean_o * mean_t + first) * (2 * both + second)
    return 1 - ops.mean(similar / ((mean_o**2 + mean_t**2 + first) * (var_o + var_t + second)))


def absolute(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of images `(N, H, W, C)`, a scalar."""
    return ops.mean(ops.abs(output - target))


def gradient(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of the differences of neighbours, down plus across, of images `(N, H, W, C)`."""
    error = output - target
    down, across = error[:, 1:] - error[:, :-1], error[:, :, 1:] - error[:, :, :-1]
    return ops.mean(ops.abs(down)) + ops.mean(ops.abs(across))


def _smoothed(image: Tensor, window: int, sigma: float) -> Tensor:
    places = np.arange(window) - (window - 1) / 2
    line = np.exp(-((places / sigma) ** 2) / 2)
    line = np.repeat((line / line.sum()).astype("float32")[:, None], image.shape[-1], axis=1)
    for shape in ((window, 1), (1, window)):
        kernel = ops.convert_to_tensor(line.reshape(*shape, -1, 1))
        image = ops.depthwise_conv(image, kernel, padding="valid", data_format="channels_last")
    return image
