"""K-SVD denoising (Elad, Aharon, TIP 2006): a dictionary learnt on the noisy image itself; from the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import estimate_sigma

from evaluator.images import from_unit, to_unit

# The paper's: sides of a patch, atoms, rounds of training, gain C of the error bound, λ = 30/σ in units of 255.
SIDE, ATOMS, ROUNDS, GAIN, PULL = 8, 256, 10, 1.15, 30 / 255
# For time: patches that the dictionary is learnt on, and most atoms for one patch (half of its values).
_TRAINED_ON, _MOST = 8000, SIDE * SIDE // 2
_CHUNK = 4096
_SEED = 20061201

Matrix = NDArray[np.float64]


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    return from_unit(denoised(pixels, float(np.mean(estimate_sigma(pixels, channel_axis=-1)))), white)


def denoised(pixels: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Return an image, denoised channel by channel with one dictionary for all.

    Args:
        pixels: `(H, W, C)`, white is 1.
        sigma: standard deviation of the noise.
    """
    height, width, channels = pixels.shape
    if min(height, width) < SIDE:
        raise ValueError(f"expected an image of at least {SIDE}×{SIDE} pixels; got {width}×{height}")
    if sigma == 0:
        return pixels
    bound = SIDE * SIDE * (GAIN * sigma) ** 2
    cut = [patches(pixels[:, :, c].astype(np.float64)) for c in range(channels)]
    every = np.concatenate(cut)
    random = np.random.RandomState(_SEED)
    some = every[random.permutation(len(every))[:_TRAINED_ON]]
    dictionary = learnt(some - some.mean(axis=1, keepdims=True), bound)
    restored = np.empty_like(pixels)
    for c in range(channels):
        means = cut[c].mean(axis=1, keepdims=True)
        clean = coded(cut[c] - means, dictionary, bound) @ dictionary + means
        total, count = pasted(clean, height, width)
        weight = PULL / sigma
        restored[:, :, c] = (weight * pixels[:, :, c] + total) / (weight + count)
    return restored


def patches(channel: Matrix) -> Matrix:
    """Return all patches of `(H, W)`, one a row."""
    windows = np.lib.stride_tricks.sliding_window_view(channel, (SIDE, SIDE))
    return windows.reshape(-1, SIDE * SIDE)


def pasted(rows: Matrix, height: int, width: int) -> tuple[Matrix, Matrix]:
    """Return the sum of all patches at their places, and how many there are at each pixel."""
    total, count = np.zeros((height, width)), np.zeros((height, width))
    tall, wide = height - SIDE + 1, width - SIDE + 1
    blocks = rows.reshape(tall, wide, SIDE, SIDE)
    for row in range(SIDE):
        for column in range(SIDE):
            total[row : row + tall, column : column + wide] += blocks[:, :, row, column]
            count[row : row + tall, column : column + wide] += 1
    return total, count


def cosines() -> Matrix:
    """Return the overcomplete DCT that training starts from, one atom of norm 1 a row."""
    side = round(ATOMS**0.5)
    waves = np.cos(np.outer(np.arange(side), np.arange(SIDE)) * np.pi / side)
    waves[1:] -= waves[1:].mean(axis=1, keepdims=True)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.kron(waves, waves)


def coded(rows: Matrix, dictionary: Matrix, bound: float) -> Matrix:
    """Return the coefficients of each row by orthogonal matching pursuit, with as few atoms as meet the bound."""
    return np.concatenate([_pursuit(rows[i : i + _CHUNK], dictionary, bound) for i in range(0, len(rows), _CHUNK)])


def _pursuit(rows: Matrix, dictionary: Matrix, bound: float) -> Matrix:
    """Do all rows' pursuits together: one more atom for each row that still misses the bound."""
    gram, products = dictionary @ dictionary.T, rows @ dictionary.T
    codes = np.zeros_like(products)
    chosen = np.zeros((len(rows), 0), np.intp)
    left = np.flatnonzero((rows**2).sum(axis=1) > bound)
    residue = products[left].copy()
    for _ in range(_MOST):
        if not len(left):
            break
        chosen = np.concatenate([chosen[: len(left)], np.abs(residue).argmax(axis=1)[:, None]], axis=1)
        inner = gram[chosen[:, :, None], chosen[:, None, :]] + 1e-10 * np.eye(chosen.shape[1])
        wanted = np.take_along_axis(products[left], chosen, axis=1)
        weights = np.linalg.solve(inner, wanted[:, :, None])[:, :, 0]
        codes[left] = 0
        codes[left[:, None], chosen] = weights
        error = (rows[left] ** 2).sum(axis=1) - (weights * wanted).sum(axis=1)
        open_ = error > bound
        left, chosen = left[open_], chosen[open_]
        residue = products[left] - codes[left] @ gram
    return codes


def learnt(rows: Matrix, bound: float) -> Matrix:
    """Return the dictionary after training: code all rows, then renew each atom with the rows that use it."""
    dictionary = cosines()
    for _ in range(ROUNDS):
        codes = coded(rows, dictionary, bound)
        missing = rows - codes @ dictionary
        for atom in range(ATOMS):
            users = np.flatnonzero(codes[:, atom])
            if not len(users):
                continue
            without = missing[users] + np.outer(codes[users, atom], dictionary[atom])
            # The first pair of singular vectors by one step of the power method, as in K-SVD's fast edition.
            turned = codes[users, atom] @ without
            norm = np.linalg.norm(turned)
            if norm == 0:
                continue
            dictionary[atom] = turned / norm
            codes[users, atom] = without @ dictionary[atom]
            missing[users] = without - np.outer(codes[users, atom], dictionary[atom])
    return dictionary
