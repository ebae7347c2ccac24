"""Mini splits: cases made on the spot, deterministically, so that every task runs on a fresh machine."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.mini import noise
from evaluator.tasks.spec import GENERATOR_NAMES

Generator = Callable[[], Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]]

GENERATORS: dict[str, Generator] = {"sidd_noise": noise.generate}
"""Generators by the name that a task file uses; each yields (case id, input, reference)."""
assert tuple(GENERATORS) == GENERATOR_NAMES  # noqa: S101
