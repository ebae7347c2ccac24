"""Shapes of all tensors of a TFLite file on inputs of one size, without room for large images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product

from evaluator.efficiency.ops import Shape
from evaluator.runners.models.problem import ModelProblem, one_line, runtime

_SMALL = 256
_PERIOD = 64
Shapes = dict[int, Shape]
"""Number of a tensor → its shape."""


def shapes_at(data: bytes, asked: Sequence[Shape], open_axes: Sequence[Sequence[bool]], made: Sequence[int]) -> Shapes:
    """Return the shapes that LiteRT gives all tensors, as the file lays them out.

    Room for every tensor at the size of a photograph can be many gigabytes. So large sizes are led back to small ones
    (equal to them modulo 64, so that roundings fall alike): each dimension is taken as a polynomial in height and
    width, fitted to small sizes and compared with what a further one gives.

    Args:
        data: the file's bytes, checked.
        asked: shapes of the inputs, in the file's order.
        open_axes: which axes of each the file leaves open.
        made: numbers of the tensors that operators give.

    Raises:
        ModelProblem: LiteRT cannot give the file's tensors shapes at this size (code `cost-shape`).
    """
    probe = _Probe(data, made)
    sides = sorted(
        {n for shape, axes in zip(asked, open_axes, strict=True) for n, free in zip(shape, axes, strict=True) if free}
    )
    large = [side for side in sides if side > _SMALL]
    if 1 <= len(large) <= 2:
        found = _fitted(probe, asked, open_axes, large)
        if found is not None:
            return found
    return probe.shapes(asked)


class _Probe:
    """An interpreter that is asked for shapes at several sizes."""

    def __init__(self, data: bytes, made: Sequence[int]) -> None:
        module = runtime("ai_edge_litert.interpreter", "tflite")
        self._made = made
        self._runs = False
        try:
            # Without delegates, which would hide the operators that they take over.
            plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self._interpreter = module.Interpreter(model_content=data, experimental_op_resolver_type=plain)
        except Exception as error:
            raise _without_shapes(error) from error

    def shapes(self, asked: Sequence[Shape]) -> Shapes:
        """Return the shapes of all tensors; the network runs where only a run tells them."""
        interpreter = self._interpreter
        try:
            for detail, shape in zip(interpreter.get_input_details(), asked, strict=True):
                interpreter.resize_tensor_input(detail["index"], shape, strict=True)
            interpreter.allocate_tensors()
            # Once it has run, what has no room of its own keeps that of the last size.
            self._runs = self._runs or any(self._has_no_room(tensor) for tensor in self._made)
            if self._runs:
                interpreter.invoke()
            return {d["index"]: tuple(int(n) for n in d["shape"]) for d in interpreter.get_tensor_details()}
        except Exception as error:
            raise _without_shapes(error) from error

    def _has_no_room(self, tensor: int) -> bool:
        """Tell whether a tensor has got no memory yet, because its shape depends on values."""
        try:
            self._interpreter.tensor(tensor)()
        except ValueError:
            return True
        return False


def _without_shapes(error: Exception) -> ModelProblem:
    return ModelProblem(
        "cost-shape",
        expected="tensors whose shapes LiteRT can tell at this size",
        got=one_line(error),
        fix="Export the file fixed to this size: its shapes are then in the file.",
    )


def _fitted(
    probe: _Probe, asked: Sequence[Shape], open_axes: Sequence[Sequence[bool]], sides: list[int]
) -> Shapes | None:
    """Return the shapes by small sizes, or None if they do not follow a polynomial."""
    smaller = {side: [side % _PERIOD + k * _PERIOD for k in (1, 2, 3)] for side in sides}

    def at(chosen: Mapping[int, int]) -> Shapes:
        return probe.shapes(
            [
                tuple(chosen.get(n, n) if free else n for n, free in zip(shape, axes, strict=True))
                for shape, axes in zip(asked, open_axes, strict=True)
            ]
        )

    # The polynomial's nodes: three for one side (its square may occur), two by two for two sides.
    degree = 3 if len(sides) == 1 else 2
    nodes = list(product(*(smaller[side][:degree] for side in sides)))
    check = tuple(smaller[side][2] if len(sides) > 1 else smaller[side][2] + _PERIOD for side in sides)
    seen = {node: at(dict(zip(sides, node, strict=True))) for node in nodes}
    checked = at(dict(zip(sides, check, strict=True)))
    result: Shapes = {}
    for tensor, confirmed in checked.items():
        samples = {node: shapes[tensor] for node, shapes in seen.items()}
        if any(len(shape) != len(confirmed) for shape in samples.values()):
            return None
        dimensions = []
        for axis, truth in enumerate(confirmed):
            values = {node: shape[axis] for node, shape in samples.items()}
            there = _interpolated(values, tuple(sides))
            if _interpolated(values, check) != truth or there.denominator != 1 or there < 0:
                return None
            dimensions.append(int(there))
        result[tensor] = tuple(dimensions)
    return result


def _interpolated(values: Mapping[tuple[int, ...], int], point: tuple[int, ...]) -> Fraction:
    """Return Lagrange's interpolation of values on a grid of nodes."""
    axes = [sorted({node[axis] for node in values}) for axis in range(len(point))]
    total = Fraction(0)
    for node, value in values.items():
        total += value * _weight(node, point, axes)
    return total


def _weight(node: tuple[int, ...], point: tuple[int, ...], axes: Iterable[list[int]]) -> Fraction:
    weight = Fraction(1)
    for own, x, grid in zip(node, point, axes, strict=True):
        for other in grid:
            if other != own:
                weight *= Fraction(x - other, own - other)
    return weight
