"""Made: one case of a mini split, before it is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.images import pixels_digest
from evaluator.metrics.detection import Box

Image = NDArray[np.generic]


@dataclass(frozen=True)
class Made:
    """What a generator yields: one case."""

    case: str
    """Its id."""
    inputs: dict[str, Image]
    """What a method is given, `(H, W, C)` by role: `input`, or `left` and `right`, or `input` and `psf`."""
    reference: Image | None
    """The truth, `(H, W, C)`; None where the task has none."""
    mask: NDArray[np.bool_] | None = None
    """`(H, W)`, true where the case is truly in focus."""
    group: str = ""
    """The subset that the case is also averaged in, where the task has subsets."""
    boxes: tuple[Box, ...] = ()
    """Objects to detect."""

    def arrays(self) -> dict[str, Image]:
        """Return every array by `role/case`, as a manifest names it; the mask as 0 and 255, `(H, W, 1)` uint8."""
        found = {f"{role}/{self.case}": array for role, array in self.inputs.items()}
        if self.reference is not None:
            found[f"reference/{self.case}"] = self.reference
        if self.mask is not None:
            found[f"mask/{self.case}"] = self.mask[:, :, None].astype(np.uint8) * np.uint8(255)
        return found

    def digests(self) -> dict[str, str]:
        """Return the sha256 of every array's pixels by `role/case`: this case's lines of the manifest."""
        return {name: pixels_digest(array) for name, array in self.arrays().items()}
