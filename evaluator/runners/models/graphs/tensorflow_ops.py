"""From TensorFlow's operators to the neutral ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import prod
from typing import Any

from evaluator.efficiency.ops import Op, Shape
from evaluator.findings import Finding
from evaluator.runners.models.graphs.shared import channels_first, loop_finding, swapped
from evaluator.runners.models.graphs.tensorflow_graph import Walk, elements
from evaluator.runners.models.graphs.tensorflow_kinds import KINDS, LEFT_OUT, LOOPS
from evaluator.runners.models.problem import Foreign

_WEIGHTED = ("conv", "conv_transpose", "dense", "matmul")
# Attention and its softmax have four axes too, but no channels.
_PLAIN_AXES = ("matmul", "dense", "softmax", "move", "unknown")
_ADDITIONS = ("Add", "AddV2", "BiasAdd", "BiasAddV1")
_BETWEEN = ("Reshape", "Identity", "BatchToSpaceND", "Squeeze")
"""What may stand between a convolution and the addition of its bias."""


class _NoShape(Exception):
    """An operator whose shapes are known only when it runs."""


class Listing:
    """The operators of a graph; findings are filled in as they are listed."""

    def __init__(self, file: str, walk: Walk) -> None:
        self._file = file
        self.walk = walk
        self.findings: list[Finding] = []
        formats = {op.get_attr("data_format") for op in walk.operators if op.type in ("Conv2D", "Conv3D")}
        self._channels_last = not formats & {b"NCHW", b"NCDHW"}

    def weights(self) -> set[str]:
        """Return the names of constants that are kernels, matrices, or the biases added to what these give."""
        weighted = [op for op in self.walk.operators if KINDS.get(op.type) in _WEIGHTED]
        return {c.name for op in weighted for t in op.inputs for c in self.walk.constants(t)} | self.biases()

    def biases(self) -> set[str]:
        """Return the names of constants that are added to what a convolution or a matrix product gives."""
        found: set[str] = set()
        for op in self.walk.operators:
            if op.type in _ADDITIONS and op in self.walk.data:
                for one, other in (tuple(op.inputs), tuple(op.inputs)[::-1]):
                    if self._is_product(one.op) or op.type.startswith("BiasAdd"):
                        found |= {c.name for c in self.walk.constants(other)}
        return found

    def _is_product(self, op: Foreign) -> bool:
        while op.type in _BETWEEN:
            op = op.inputs[0].op
        return KINDS.get(op.type) in _WEIGHTED and op in self.walk.data

    def ops(self, counts: Callable[[Any], bool], key: Callable[[Any], Hashable]) -> list[Op]:
        """List the operators.

        Args:
            counts: whether a constant is a parameter.
            key: what is the same for constants that are one parameter.
        """
        ops: list[Op] = []
        counted: set[Hashable] = set()
        blind: list[str] = []
        looping = False
        for op in self.walk.operators:
            looping = looping or op.type in LOOPS
            if op.type in LEFT_OUT or not self._runs(op):
                continue
            parameters = 0
            for tensor in op.inputs:
                for constant in self.walk.constants(tensor):
                    if counts(constant) and key(constant) not in counted:
                        counted.add(key(constant))
                        parameters += elements(constant)
            try:
                ops += self._op(op, parameters)
            except _NoShape:
                blind.append(op.type)
                ops.append(Op(kind="unknown", operator=op.type, name=op.name[:200], parameters=parameters))
        if looping:
            self.findings.append(loop_finding(self._file))
        if blind:
            self.findings.append(
                Finding.warning(
                    "cost-shape",
                    self._file,
                    expected="operators whose shapes follow from the input's size",
                    got=f"{len(blind)} whose shapes are known only when they run, first {blind[0]}",
                    fix="They are not in the count: export the network for one size.",
                )
            )
        return ops

    def _runs(self, op: Foreign) -> bool:
        """Tell whether an operator computes on the image, or on weights; not on shapes or single numbers alone."""
        if op in self.walk.data:
            return True
        of_weights = any(elements(c) > 1 for tensor in op.outputs[:1] for c in self.walk.constants(tensor))
        return of_weights and KINDS.get(op.type) != "move"

    def _op(self, op: Foreign, parameters: int) -> list[Op]:
        kind = KINDS.get(op.type, "unknown")
        common: dict[str, Any] = {"operator": op.type, "name": op.name[:200], "parameters": parameters}
        if kind in _WEIGHTED:
            return [Op(**common, **_product(op, op.inputs[1].op not in self.walk.data))]
        output = _known(op.outputs[0], kind in ("move", "unknown")) if op.outputs else ()
        inputs = [_known(t, kind in ("move", "unknown")) for t in op.inputs if _takes(kind, op, t)][:64]
        if kind not in _PLAIN_AXES and self._channels_last:
            output, inputs = channels_first(output), [channels_first(shape) for shape in inputs]
        window = None
        if kind in ("max_pool", "avg_pool"):
            sizes = tuple(op.get_attr("ksize"))
            window = sizes[2:] if op.get_attr("data_format") == b"NCHW" else sizes[1:-1]
        return [Op(kind=kind, inputs=tuple(inputs), output=output, window=window, **common)]


def _takes(kind: str, op: Foreign, tensor: Foreign) -> bool:
    """Tell whether an input is data, not an axis, a size or the like."""
    if kind in ("mean", "sum", "max", "argmax", "reduce", "resize", "norm", "max_pool", "avg_pool", "softmax"):
        return tensor is op.inputs[0]
    return kind != "move" or tensor.dtype.is_floating


def _known(tensor: Foreign, optional: bool = False) -> Shape:
    if not tensor.shape.is_fully_defined():
        if optional:
            return ()
        raise _NoShape
    return tuple(tensor.shape.as_list())


def _product(op: Foreign, second_fixed: bool) -> dict[str, Any]:
    """Return what an operator is counted by whose first inputs are multiplied and summed."""
    output = _known(op.outputs[0])
    if op.type == "Einsum":
        return _einsum(op, output)
    if op.type in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        left, right = _known(op.inputs[0]), _known(op.inputs[1])
        swaps = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
        left = swapped(left, op.get_attr(swaps[0]))
        right = swapped(right, op.get_attr(swaps[1]))
        if op.type == "MatMul" and second_fixed:
            return {"kind": "dense", "inputs": (left,), "output": output, "weight": right[::-1]}
        return {"kind": "matmul", "inputs": (left, right), "output": output}
    data_at = 2 if KINDS[op.type] == "conv_transpose" else 0
    data, kernel = _known(op.inputs[data_at]), _known(op.inputs[1])
    if op.get_attr("data_format") not in (b"NCHW", b"NCDHW"):
        data, output = channels_first(data), channels_first(output)
    groups = 1
    if op.type.startswith("DepthwiseConv2dNative"):  # (height, width, channels, multiplier)
        weight, groups = (kernel[2] * kernel[3], 1, *kernel[:2]), kernel[2]
    elif KINDS[op.type] == "conv_transpose":  # (…, out, in)
        weight = (kernel[-1], kernel[-2], *kernel[:-2])
    else:  # (…, in / groups, out)
        weight, groups = (kernel[-1], kernel[-2], *kernel[:-2]), data[1] // kernel[-2]
    return {"kind": KINDS[op.type], "inputs": (data,), "output": output, "weight": weight, "groups": groups}


def _einsum(op: Foreign, output: Shape) -> dict[str, Any]:
    """Return an Einsum of two operands as the matrix product that it is."""
    shapes = [_known(tensor) for tensor in op.inputs]
    terms, _, result = op.get_attr("equation").decode().replace(" ", "").partition("->")
    labels = [_spelt(term, len(shape)) for term, shape in zip(terms.split(","), shapes, strict=True)]
    wanted = _spelt(result, len(output))
    unknown = {"kind": "unknown", "inputs": tuple(shapes), "output": output}
    if len(shapes) != 2 or any(len(set(term)) < len(term) for term in labels):
        return unknown
    sizes = {k: n for term, shape in zip(labels, shapes, strict=True) for k, n in zip(term, shape, strict=True)}
    left, right = labels
    if any((k in left) + (k in right) + (k in wanted) < 2 for k in sizes):
        return unknown  # an axis of one operand that is summed alone: no matrix product
    shared = [k for k in left if k in right and k in wanted]
    rows = prod(sizes[k] for k in left if k not in right)
    columns = prod(sizes[k] for k in right if k not in left)
    inner = prod(sizes[k] for k in left if k in right and k not in wanted)
    batch = tuple(sizes[k] for k in shared)
    return {"kind": "matmul", "inputs": ((*batch, rows, inner), (*batch, inner, columns)), "output": output}


def _spelt(term: str, rank: int) -> str:
    """Return a term with its ellipsis as letters of its own."""
    more = rank - len(term.replace("...", ""))
    return term.replace("...", "".join(chr(0x3B1 + k) for k in range(more))[::-1])
