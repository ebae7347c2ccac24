"""What operators of ONNX and of ONNX Runtime are called in `efficiency.ops`, and which of their inputs are weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from evaluator.efficiency.ops import Kind, Shape

_WORDS: dict[Kind, str] = {
    "conv": "Conv ConvInteger QLinearConv",
    "conv_transpose": "ConvTranspose",
    "dense": "Gemm",
    "matmul": "MatMul MatMulInteger QLinearMatMul Einsum",
    "attention": "Attention MultiHeadAttention",
    "add": "Add Sum",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "pow": "Pow",
    "neg": "Neg",
    "reciprocal": "Reciprocal",
    "log": "Log",
    "compare": "Equal Less LessOrEqual Greater GreaterOrEqual IsNaN IsInf",
    "softmax": "Softmax LogSoftmax Hardmax",
    "activation": "Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid Tanh HardSigmoid HardSwish Softplus Softsign Mish "
    "ThresholdedRelu Shrink Swish SwiGLU",
    "elementwise": "Abs Sign Sqrt Exp Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Ceil Floor Round Mod "
    "Clip Where And Or Not Xor BitShift BitwiseAnd BitwiseOr BitwiseNot BitwiseXor QuantizeLinear DequantizeLinear "
    "DynamicQuantizeLinear RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Dropout Mean",
    "norm": "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization "
    "SimplifiedLayerNormalization MeanVarianceNormalization LpNormalization LRN",
    "mean": "ReduceMean GlobalAveragePool",
    "sum": "ReduceSum",
    "max": "ReduceMax GlobalMaxPool",
    "argmax": "ArgMax ArgMin",
    "reduce": "ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare CumSum CumProd "
    "LpPool GlobalLpPool",
    "max_pool": "MaxPool",
    "avg_pool": "AveragePool",
    "resize": "Resize Upsample",
    "move": "Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Concat Split Slice Gather GatherElements GatherND "
    "Scatter ScatterElements ScatterND Pad DepthToSpace SpaceToDepth Cast CastLike BitCast Identity Shape Size "
    "Constant ConstantOfShape Range EyeLike Trilu OneHot ReverseSequence CenterCropPad Compress NonZero",
}
_KINDS: dict[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words.split()}

WEIGHTS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "ConvInteger": (1,),
    "QLinearConv": (3, 8),
    "DeformConv": (1, 3),
    "FusedConv": (1, 2),
    "Gemm": (0, 1, 2),
    "FusedGemm": (0, 1, 2),
    "QGemm": (0, 3, 6),
    "MatMul": (0, 1),
    "FusedMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "QLinearMatMul": (0, 3),
    "DynamicQuantizeMatMul": (1,),
    "Attention": (1, 2),
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "RMSNormalization": (1,),
    "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2, 3, 4),
    "PRelu": (1,),
    "LSTM": (1, 2, 3),
    "GRU": (1, 2, 3),
    "RNN": (1, 2, 3),
}
"""Operator → the inputs that are its weights, whatever their type and size."""
SETTINGS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (3, 4),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Pad": (1, 2, 3),
    "Clip": (1, 2),
    "Dropout": (1, 2),
    "OneHot": (1, 2),
    "Range": (0, 1, 2),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3),
}
"""Operator → the inputs that are statistics, bounds and scales: no parameters."""
TRANSPARENT = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "DequantizeLinear")
"""Operators whose output is still the weight that they are given."""
_GENERATED = re.compile(
    r"_*(val|tensor|lifted_tensor|c_lifted_tensor|const|scalar_tensor\w*)?_?\d*|onnx::.*|.*[Cc]onstant.*"
)
_OPERANDS = {"QLinearConv": (0, 3, 8), "QLinearMatMul": (0, 3)}


def named_by_hand(name: str) -> bool:
    """Tell whether an initialiser has a parameter's own name, not one that an exporter made up."""
    return _GENERATED.fullmatch(name) is None


@dataclass(frozen=True)
class Substitute:
    """An operator of ONNX Runtime, and the one of ONNX that has the same shapes."""

    shaped_as: str
    inputs: tuple[int, ...] = (0,)
    dropped: tuple[str, ...] = ()
    """Attributes that the other has not."""
    kind: Kind | None = None
    """None: as that of `shaped_as`."""


_ACTIVATION = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")
_UNARY: dict[Kind, str] = {
    "activation": "Gelu QuickGelu FastGelu BiasGelu QLinearSigmoid QLinearLeakyRelu",
    "softmax": "QLinearSoftmax",
    "norm": "SkipLayerNormalization SkipSimplifiedLayerNormalization GroupNorm SkipGroupNorm",
    "add": "BiasAdd",
    "attention": "MultiHeadAttention Attention",
}
MICROSOFT: dict[str, Substitute] = {
    "FusedConv": Substitute("Conv", (0, 1, 2), _ACTIVATION),
    "FusedGemm": Substitute("Gemm", (0, 1, 2), _ACTIVATION),
    "QGemm": Substitute("Gemm", (0, 3, 6)),
    "MatMulIntegerToFloat": Substitute("MatMul", (0, 1)),
    "DynamicQuantizeMatMul": Substitute("MatMul", (0, 1)),
    "QLinearAdd": Substitute("Add", (0, 3)),
    "QLinearMul": Substitute("Mul", (0, 3)),
    "QLinearAveragePool": Substitute("AveragePool", (0,), ("channels_last",)),
    "QLinearGlobalAveragePool": Substitute("GlobalAveragePool", (0,), ("channels_last",)),
    **{word: Substitute("Identity", kind=kind) for kind, words in _UNARY.items() for word in words.split()},
}


def kind_of(domain: str, word: str) -> Kind | None:
    """Return the kind of an operator, or None if there is no rule for it."""
    if domain in ("", "ai.onnx"):
        return _KINDS.get(word)
    if domain == "com.microsoft" and word in ("FusedMatMul", "QLinearConcat"):
        return "matmul" if word == "FusedMatMul" else "move"
    found = MICROSOFT.get(word) if domain == "com.microsoft" else None
    return None if found is None else found.kind or _KINDS[found.shaped_as]


def described(
    kind: Kind,
    word: str,
    shapes: Sequence[Shape | None],
    attributes: dict[str, Any],
    *,
    dense: bool = False,
) -> dict[str, Any]:
    """Return the fields of an `Op` that its rule needs.

    Args:
        kind: what `kind_of` gives.
        word: the operator, or what it is `shaped_as`.
        shapes: of its inputs; None where one is left out.
        attributes: by their names.
        dense: whether the second operand of a matrix product is a weight.

    Raises:
        ValueError: a shape is missing.
    """
    if word == "Einsum":
        return _einsum(attributes["equation"].decode(), [_known(s) for s in shapes])
    if kind in ("conv", "conv_transpose", "dense", "matmul"):
        return _product(kind, [shapes[p] for p in _OPERANDS.get(word, (0, 1, 2)) if p < len(shapes)], attributes, dense)
    if kind == "attention":
        heads = attributes.get("q_num_heads", attributes.get("num_heads", 1))
        kept = attributes.get("kv_num_heads", heads)
        wanted = zip(shapes[:3], (heads, kept, kept), strict=True)
        return {"kind": kind, "inputs": tuple(_heads(_known(shape), number) for shape, number in wanted)}
    inputs = tuple(s for s in shapes if s is not None)
    if kind in ("max_pool", "avg_pool"):
        return {"kind": kind, "inputs": inputs[:1], "window": tuple(attributes["kernel_shape"])}
    return {"kind": kind, "inputs": inputs[:64]}


def _product(kind: Kind, operands: list[Shape | None], attributes: dict[str, Any], dense: bool) -> dict[str, Any]:
    first, second = _known(operands[0]), _known(operands[1])
    bias = len(operands) > 2 and operands[2] is not None
    if kind in ("conv", "conv_transpose"):
        return {"kind": kind, "inputs": (first,), "weight": second, "groups": attributes.get("group", 1), "bias": bias}
    if attributes.get("transA"):
        first = (*first[:-2], first[-1], first[-2])
    if attributes.get("transB"):
        second = (*second[:-2], second[-1], second[-2])
    if kind == "dense" or (dense and len(second) == 2):
        return {"kind": "dense", "inputs": (first,), "weight": second[::-1], "bias": bias}
    return {"kind": kind, "inputs": (first, second)}


def _known(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError("a shape that its rule needs is not known")
    return shape


def _heads(shape: Shape, heads: int) -> Shape:
    """Return `(N, heads, length, channels)` of `(N, length, heads x channels)`."""
    return shape if len(shape) == 4 else (shape[0], heads, shape[1], shape[2] // heads)


def _einsum(equation: str, shapes: list[Shape]) -> dict[str, Any]:
    """Return an Einstein sum of two operands as a matrix product; axes of one operand alone are summed beforehand."""
    if len(shapes) != 2:
        return {"kind": "reduce" if len(shapes) == 1 else "unknown", "inputs": tuple(shapes)}
    terms, _, result = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    labels = []
    for term, shape in zip(terms.split(","), shapes, strict=True):
        before, dots, after = term.partition("...")
        more = len(shape) - len(before) - len(after)
        # Axes of an ellipsis are matched from the last one.
        axes = [*before, *(f".{n}" for n in range(more, 0, -1) if dots), *after]
        labels.append(set(axes))
        for axis, size in zip(axes, shape, strict=True):
            sizes[axis] = max(size, sizes.get(axis, 1))
    if "->" in equation:
        wanted = {*result.replace("...", ""), *(axis for axis in sizes if axis[0] == "." and "..." in result)}
    else:
        wanted = {axis for axis in sizes if axis[0] == "." or terms.count(axis) == 1}
    shared, contracted = labels[0] & labels[1] & wanted, (labels[0] & labels[1]) - wanted
    if not contracted:
        return {"kind": "mul", "inputs": tuple(shapes)}
    batch, length, rows, columns = (
        prod(sizes[axis] for axis in axes)
        for axes in (shared, contracted, labels[0] & wanted - shared, labels[1] & wanted - shared)
    )
    return {"kind": "matmul", "inputs": ((batch, rows, length), (batch, length, columns))}
