"""What a training step sees: crops of photographs, degraded as a task's mini split is, afresh at each step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding, some
from evaluator.images import SUFFIXES, ImageProblem, peak_of, pixels_digest, read_image
from evaluator.training.degradations import Degradation, Image

HELD_OUT = 10
"""Every tenth photograph is held out."""


class Photographs:
    """The photographs of a folder, 8-bit RGB, every tenth held out; batches are a function of seed and step alone."""

    def __init__(self, folder: Path, side: int) -> None:
        """Read all images of a folder, in the order of their names.

        Args:
            folder: holds PNG, JPEG or other images; other files are passed over.
            side: the least height and width, px.

        Raises:
            EvaluatorError: there is no such folder, or it holds fewer than ten images, or one that cannot be used.
        """
        if not folder.is_dir():
            raise EvaluatorError(f"{folder} is no folder. Name a folder of photographs with --photographs.")
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
        if len(files) < HELD_OUT:
            raise EvaluatorError(
                f"{folder} holds {len(files)} images; at least {HELD_OUT} are needed, one is held out."
            )
        self.names = [file.name for file in files]
        self._images = [_photograph(file) for file in files]
        digests = "".join(pixels_digest(image) for image in self._images)
        self.sha256 = hashlib.sha256(digests.encode()).hexdigest()
        small = [n for n, i in zip(self.names, self._images, strict=True) if min(i.shape[:2]) < side]
        if small:
            size = f"photographs of at least {side}×{side} px"
            finding = Finding.error("photograph", str(folder), size, some(small), "Give a smaller --crop, or others.")
            raise EvaluatorError("Photographs are smaller than a crop with its margin.", [finding])

    @property
    def training(self) -> list[NDArray[np.uint8]]:
        """Those that are trained on."""
        return [image for number, image in enumerate(self._images) if number % HELD_OUT]

    @property
    def held_out(self) -> list[NDArray[np.uint8]]:
        """Those that are not."""
        return self._images[::HELD_OUT]


def _photograph(file: Path) -> NDArray[np.uint8]:
    try:
        array: NDArray[Any] = read_image(file).array
    except ImageProblem as problem:
        finding = Finding.error(problem.code, file.name, problem.expected, problem.got, problem.fix)
        raise EvaluatorError(f"{file} is no photograph to train on.", [finding]) from None
    if array.dtype != np.uint8 or array.shape[2] != 3:
        got = f"{array.dtype.name}, {array.shape[2]} channels"
        finding = Finding.error("photograph", file.name, "8-bit RGB", got, "Convert it, or leave it out.")
        raise EvaluatorError(f"{file} is no photograph to train on.", [finding])
    return np.asarray(array, np.uint8)


@dataclass(frozen=True)
class Batch:
    """Inputs and targets, or other scenes; `(N, H, W, 3)` float32: in [0, 1], or linear light where white is 1."""

    inputs: tuple[NDArray[np.float32], ...]
    """One array for each of `Degradation.inputs`, in their order."""
    targets: NDArray[np.float32]


@dataclass(frozen=True)
class Sampler:
    """Draws batches."""

    degradation: Degradation
    batch: int
    crop: int
    augmentations: tuple[str, ...]
    seed: int
    unpaired: bool = False
    """Whether targets that are drawn show other photographs than the inputs."""

    def draw(self, images: Sequence[NDArray[np.uint8]], step: int) -> Batch:
        """Return the batch of a step: the same for the same seed, step and images.

        Unpaired, the photographs are parted by chance at each step: one half gives the inputs, the other the targets.
        """
        random = np.random.RandomState([self.seed, 0, step])
        if not self.unpaired:
            return self._drawn(images, random)
        order, half = random.permutation(len(images)), len(images) // 2
        parts = [[images[number] for number in part] for part in (order[:half], order[half:])]
        pairs, others = (self._drawn(part, random) for part in parts)
        return Batch(pairs.inputs, others.targets)

    def fixed(self, images: Sequence[NDArray[np.uint8]]) -> list[Batch]:
        """Return pairs of one crop from the middle of each image, degraded the same way at every call."""
        side, found = self.crop + 2 * self.degradation.margin, []
        for number, image in enumerate(images):
            top, left = ((length - side) // 2 for length in image.shape[:2])
            random = np.random.RandomState([self.seed, 1, number])
            found.append(self._made([image[top : top + side, left : left + side]], random))
        return found

    def _drawn(self, images: Sequence[NDArray[np.uint8]], random: np.random.RandomState) -> Batch:
        return self._made([self._cut(images[random.randint(len(images))], random) for _ in range(self.batch)], random)

    def _cut(self, image: NDArray[np.uint8], random: np.random.RandomState) -> NDArray[np.uint8]:
        side = self.crop + 2 * self.degradation.margin
        top, left = (random.randint(length - side + 1) for length in image.shape[:2])
        cut = image[top : top + side, left : left + side]
        for name in self.augmentations:
            if name == "rotate_90":
                cut = np.rot90(cut, random.randint(4))
            elif random.randint(2):
                cut = cut[:, ::-1] if name == "flip_horizontal" else cut[::-1]
        return np.ascontiguousarray(cut)

    def _made(self, cuts: list[NDArray[np.uint8]], random: np.random.RandomState) -> Batch:
        pairs = [self.degradation.degrade(cut, random) for cut in cuts]
        inputs = zip(*(taken for taken, _ in pairs), strict=True)
        return Batch(tuple(_unit(views) for views in inputs), _unit([clean for _, clean in pairs]))


def _unit(images: Sequence[Image]) -> NDArray[np.float32]:
    stack: NDArray[Any] = np.stack(images)
    return np.asarray(stack, np.float32) / np.float32(peak_of(stack.dtype))
