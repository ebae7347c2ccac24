"""What readers of several formats need: shapes as operators are counted by, and what is said of a file."""

from __future__ import annotations

from collections.abc import Sequence

from evaluator.efficiency.ops import Shape
from evaluator.findings import Finding
from evaluator.runners.models.graphs.base import Input
from evaluator.runners.models.problem import ModelProblem

IMAGE_RANKS = (4, 5)


def channels_first(shape: Shape) -> Shape:
    """Return `(N, C, spatial…)` of an image tensor `(N, spatial…, C)`; other tensors as they are."""
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) in IMAGE_RANKS else shape


def shown(shape: Sequence[int | None]) -> str:
    """Return a shape for people; `?` where it is open."""
    return " × ".join("?" if n is None else str(n) for n in shape) or "one value"


def check_fit(inputs: Sequence[Input], shapes: Sequence[Sequence[int]]) -> None:
    """Check that a model's inputs, as its file describes them, can have these shapes.

    Raises:
        ModelProblem: they cannot.
    """
    told = [given.tensor.shape for given in inputs]
    fits = len(told) == len(shapes) and all(
        own is None or (len(own) == len(asked) and all(a in (None, b) for a, b in zip(own, asked, strict=True)))
        for own, asked in zip(told, shapes, strict=False)
    )
    if not fits:
        raise ModelProblem(
            "model-shape",
            expected=f"a model that takes {'; '.join(map(shown, shapes))}",
            got="; ".join("any shape" if own is None else shown(own) for own in told) + " in the file",
            fix="Ask for the size that the file is fixed to, or export with open sizes.",
        )


def swapped(shape: Shape, swap: bool) -> Shape:
    """Return the shape of a matrix that is transposed before it is multiplied, if `swap`."""
    return (*shape[:-2], shape[-1], shape[-2]) if swap else shape


def loop_finding(file: str) -> Finding:
    """Return what is said of a network with a loop."""
    return Finding.warning(
        "cost-loop",
        file,
        expected="operators that run once",
        got="a loop, whose turns the file does not tell",
        fix="What is inside the loop is not in the count: unroll it before the export.",
    )
