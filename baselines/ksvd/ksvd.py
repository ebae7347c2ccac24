"""K-SVD denoising (Elad, Aharon, TIP 2006): a dictionary learnt on the noisy image itself; from the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evaluator.images import from_unit, noise_level, to_unit

# The paper's: sides of a patch, atoms, rounds of training, gain C of the error bound, λ = 30/σ in units of 255.
SIDE, ATOMS, ROUNDS, GAIN, PULL = 8, 256, 10, 1.15, 30 / 255
# Patches that the dictionary is learnt on: all of a gray image of 256×256, as in the paper; as many of a larger one.
_TRAINED_ON = (256 - SIDE + 1) ** 2
_MOST = SIDE * SIDE // 2
"""Most atoms for one patch: half of its values."""
_CHUNK = 1 << 16
_SEED = 20061201

Matrix = NDArray[np.float64]


def restore(image: NDArray[Any]) -> NDArray[np.float32]:
    """Denoise an `(H, W, C)` image; returns float32 in [0, 1], or up to the input's maximum for linear light."""
    pixels, white = to_unit(image)
    return from_unit(denoised(pixels, noise_level(pixels)), white)


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
        clean = approximated(cut[c] - means, dictionary, bound) + means
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


def approximated(rows: Matrix, dictionary: Matrix, bound: float) -> Matrix:
    """Return each row as made of the atoms that code it; in chunks, for codes take four times the room of rows."""
    chunks = (rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK))
    return np.concatenate([coded(chunk, dictionary, bound) @ dictionary for chunk in chunks])


def coded(rows: Matrix, dictionary: Matrix, bound: float) -> Matrix:
    """Return the coefficients of each row by orthogonal matching pursuit, with as few atoms as meet the bound."""
    return _pursuit(rows @ dictionary.T, (rows**2).sum(axis=1), dictionary @ dictionary.T, bound, _MOST)


@njit(nogil=True)
def _pursuit(products: Matrix, energies: NDArray[np.float64], gram: Matrix, bound: float, most: int) -> Matrix:
    """Do each row's pursuit by the products of atoms alone (Batch-OMP: Rubinstein, Zibulevsky, Elad 2008).

    Args:
        products: `(N, atoms)`, of rows and atoms.
        energies: `(N,)`, the rows' sums of squares.
        gram: `(atoms, atoms)`.
        bound: the sum of squares that may be left.
        most: atoms for a row.
    """
    codes = np.zeros_like(products)
    factor = np.zeros((most, most))  # Cholesky's, of the chosen atoms' part of `gram`
    halfway, weights = np.zeros(most), np.zeros(most)
    chosen = np.zeros(most, np.int64)
    for row in range(len(products)):
        left, residue, size = energies[row], products[row].copy(), 0
        while left > bound and size < most:
            best = np.argmax(np.abs(residue))
            rest = gram[best, best]
            for i in range(size):
                value = gram[best, chosen[i]]
                for j in range(i):
                    value -= factor[i, j] * factor[size, j]
                factor[size, i] = value / factor[i, i]
                rest -= factor[size, i] ** 2
            if rest < 1e-10:
                break  # the atom adds nothing to those chosen
            factor[size, size] = np.sqrt(rest)
            value = products[row, best]
            for j in range(size):
                value -= factor[size, j] * halfway[j]
            halfway[size] = value / factor[size, size]
            chosen[size] = best
            left -= halfway[size] ** 2
            size += 1
            for i in range(size - 1, -1, -1):
                value = halfway[i]
                for j in range(i + 1, size):
                    value -= factor[j, i] * weights[j]
                weights[i] = value / factor[i, i]
            residue[:] = products[row]
            for i in range(size):
                for atom in range(len(gram)):
                    residue[atom] -= weights[i] * gram[chosen[i], atom]
        for i in range(size):
            codes[row, chosen[i]] = weights[i]
    return codes


def learnt(rows: Matrix, bound: float) -> Matrix:
    """Return the dictionary after training: code all rows, then renew each atom with the rows that use it."""
    dictionary = cosines()
    for _ in range(ROUNDS):
        codes = np.ascontiguousarray(coded(rows, dictionary, bound).T)
        missing = rows - codes.T @ dictionary
        for atom in range(ATOMS):
            users = np.flatnonzero(codes[atom])
            if not len(users):
                continue
            without = missing[users] + np.outer(codes[atom, users], dictionary[atom])
            # The first pair of singular vectors by one step of the power method, as in K-SVD's fast edition.
            turned = codes[atom, users] @ without
            norm = np.linalg.norm(turned)
            if norm == 0:
                continue
            dictionary[atom] = turned / norm
            codes[atom, users] = without @ dictionary[atom]
            missing[users] = without - np.outer(codes[atom, users], dictionary[atom])
    return dictionary
