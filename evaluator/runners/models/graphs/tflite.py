"""The operators of TFLite files, as the converter wrote them: with activations and normalisation folded in.

What it has folded into a convolution (a normalisation's scale and shift) can no longer be told from its weights and
bias, so the parameters of such networks are those of the folded ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from evaluator.efficiency.ops import Graph, Kind, Op, Shape
from evaluator.findings import Finding
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_tflite import check_tflite
from evaluator.runners.models.contract import Tensor
from evaluator.runners.models.graphs.base import Input
from evaluator.runners.models.graphs.shared import channels_first, check_fit, loop_finding, shown, swapped
from evaluator.runners.models.graphs.tflite_shapes import Shapes, shapes_at
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime

_WEIGHTS: dict[str, tuple[int, int, int]] = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
    "CONV_3D": (0, 1, 2),
    "CONV_3D_TRANSPOSE": (2, 1, 3),
}
"""Operator → which of its inputs is the data, the weights, the bias."""


def _kinds(kind: Kind, operators: str) -> dict[str, Kind]:
    return dict.fromkeys(operators.split(), kind)


_KINDS: dict[str, Kind] = {
    **_kinds("conv", "CONV_2D DEPTHWISE_CONV_2D CONV_3D"),
    **_kinds("conv_transpose", "TRANSPOSE_CONV CONV_3D_TRANSPOSE"),
    **_kinds("dense", "FULLY_CONNECTED"),
    **_kinds("matmul", "BATCH_MATMUL"),
    **_kinds("add", "ADD ADD_N"),
    **_kinds("sub", "SUB"),
    **_kinds("mul", "MUL"),
    **_kinds("div", "DIV"),
    **_kinds("maximum", "MAXIMUM"),
    **_kinds("minimum", "MINIMUM"),
    **_kinds("pow", "POW"),
    **_kinds("square", "SQUARE"),
    **_kinds("squared_difference", "SQUARED_DIFFERENCE"),
    **_kinds("neg", "NEG"),
    **_kinds("rsqrt", "RSQRT"),
    **_kinds("log", "LOG"),
    **_kinds("compare", "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL"),
    **_kinds("softmax", "SOFTMAX"),
    **_kinds(
        "activation",
        "RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ELU GELU LEAKY_RELU PRELU LOGISTIC TANH HARD_SWISH LOG_SOFTMAX",
    ),
    **_kinds(
        "elementwise",
        "ABS ATAN2 CEIL COS EXP FAKE_QUANT FLOOR FLOOR_DIV FLOOR_MOD LOGICAL_AND LOGICAL_NOT LOGICAL_OR ROUND SIGN SIN "
        "SQRT SELECT SELECT_V2 BITWISE_XOR RIGHT_SHIFT",
    ),
    **_kinds("norm", "L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION"),
    **_kinds("mean", "MEAN"),
    **_kinds("sum", "SUM"),
    **_kinds("max", "REDUCE_MAX REDUCE_MIN"),
    **_kinds("argmax", "ARG_MAX ARG_MIN"),
    **_kinds("reduce", "REDUCE_ALL REDUCE_ANY REDUCE_PROD L2_POOL_2D CUMSUM"),
    **_kinds("max_pool", "MAX_POOL_2D"),
    **_kinds("avg_pool", "AVERAGE_POOL_2D"),
    **_kinds("resize", "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR"),
    **_kinds(
        "move",
        "BATCH_TO_SPACE_ND BITCAST BROADCAST_ARGS BROADCAST_TO CAST CONCATENATION DENSIFY DEPTH_TO_SPACE DEQUANTIZE "
        "DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS FILL GATHER GATHER_ND MIRROR_PAD ONE_HOT PACK PAD PADV2 "
        "QUANTIZE RANGE RANK RESHAPE REVERSE_SEQUENCE REVERSE_V2 SCATTER_ND SHAPE SLICE SPACE_TO_BATCH_ND "
        "SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK ZEROS_LIKE",
    ),
}
_OPERANDS: frozenset[Kind] = frozenset(
    ("add", "sub", "mul", "div", "maximum", "minimum", "pow", "squared_difference", "matmul", "elementwise")
)
"""Kinds whose constant operands are weights, if they have more than one element."""
# Attention and its softmax have four axes too, but no channels.
_PLAIN_AXES: frozenset[Kind] = frozenset(("matmul", "softmax", "dense", "move", "unknown"))


def open_graph(path: Path, artefact: Artefact) -> TFLiteGraph:
    """Open a TFLite file; see `base.open_graph`."""
    data = path.read_bytes()
    check_tflite(data, custom=True)
    schema = runtime("ai_edge_litert.schema_py_generated", "tflite")
    with loading("a TFLite file"):
        return TFLiteGraph(path.name, data, schema)


class TFLiteGraph:
    """See `GraphReader`; the main subgraph."""

    def __init__(self, file: str, data: bytes, schema: Foreign) -> None:
        self._file = file
        self._data = data
        self._model = schema.ModelT.InitFromPackedBuf(data, 0)
        self._graph = self._model.subgraphs[0]
        self._builtin = {n: word for word, n in vars(schema.BuiltinOperator).items() if isinstance(n, int)}
        self._types = {n: word.lower() for word, n in vars(schema.TensorType).items() if isinstance(n, int)}
        self._maker = {int(t): o for o in self._graph.operators for t in _numbers(o.outputs)}
        self.inputs = tuple(self._input(index) for index in _numbers(self._graph.inputs))

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """See `GraphReader.read`."""
        asked = [tuple(map(int, shape)) for shape in shapes]
        check_fit(self.inputs, asked)
        found = self._shapes(asked)
        reading = _Reading(found)
        with loading("a TFLite file whose operators have the inputs that they should"):
            ops = [self._op(operator, reading) for operator in self._graph.operators]
        return Graph(
            parameters=sum(op.parameters for op in ops), ops=tuple(ops), findings=tuple(self._findings(ops, reading))
        )

    def _shapes(self, asked: list[Shape]) -> Shapes:
        stored = {number: _stored(tensor) for number, tensor in enumerate(self._graph.tensors)}
        is_open = any(None in shape for shape in stored.values())
        custom = [name for name in map(self._name, self._graph.operators) if name not in self._builtin.values()]
        as_asked = [stored[index] for index in _numbers(self._graph.inputs)] == asked
        if as_asked and (custom or not is_open):
            return {number: tuple(n or 0 for n in shape) for number, shape in stored.items()}
        if custom:
            raise ModelProblem(
                "cost-shape",
                expected=f"a file fixed to {'; '.join(map(shown, asked))}, as it has the custom operator {custom[0]}",
                got="; ".join(shown(given.tensor.shape or ()) for given in self.inputs),
                fix="Export the file fixed to this size, or without custom operators.",
            )
        open_axes = [[n is None for n in given.tensor.shape or ()] for given in self.inputs]
        return shapes_at(self._data, asked, open_axes, list(self._maker))

    def _op(self, operator: Foreign, reading: _Reading) -> Op:
        word = self._name(operator)
        kind = self._kind(word, operator)
        given, made = _numbers(operator.inputs), _numbers(operator.outputs)
        output = reading.shapes[made[0]] if made else ()
        name = self._tensor_name(made[0])[:200] if made else ""
        if word in _WEIGHTS:
            return self._weighted(word, operator, reading, output, name)
        data = [reading.shapes[i] for i in given if i >= 0]
        parameters = 0
        if kind in _OPERANDS:
            parameters = sum(self._parameters(i, reading) for i in given if i >= 0 and prod(reading.shapes[i]) > 1)
        elif word == "PRELU":
            parameters = self._parameters(given[1], reading)
        elif kind not in ("unknown", "max_pool", "avg_pool"):
            data = data[:1]  # sizes, axes, paddings
        window = None
        if kind in ("max_pool", "avg_pool"):
            options = operator.builtinOptions
            window = (int(options.filterHeight), int(options.filterWidth))
        if kind == "matmul":
            options = operator.builtinOptions
            data = [swapped(data[0], options.adjX), swapped(data[1], options.adjY)]
        if kind not in _PLAIN_AXES:
            data, output = [channels_first(shape) for shape in data], channels_first(output)
        return Op(
            kind=kind,
            operator=word,
            name=name,
            inputs=tuple(data[:64]),
            output=output,
            window=window,
            parameters=parameters,
        )

    def _kind(self, word: str, operator: Foreign) -> Kind:
        kind = _KINDS.get(word, "unknown")
        if kind in _OPERANDS and kind != "matmul" and len(operator.outputs):
            stored = self._graph.tensors[int(operator.outputs[0])]
            if self._types.get(stored.type) in ("int32", "int64") and not _is_quantised(stored):
                return "move"  # arithmetic on shapes
        return kind

    def _weighted(self, word: str, operator: Foreign, reading: _Reading, output: Shape, name: str) -> Op:
        given = _numbers(operator.inputs)
        at, weights_at, bias_at = _WEIGHTS[word]
        data, kernel = reading.shapes[given[at]], reading.shapes[given[weights_at]]
        bias = given[bias_at] if len(given) > bias_at and given[bias_at] >= 0 else None
        groups = 1
        if word == "DEPTHWISE_CONV_2D":  # (1, height, width, inputs × multiplier)
            weight, groups = (kernel[3], 1, *kernel[1:3]), data[-1]
        elif word == "CONV_2D":  # (out, height, width, in / groups)
            weight, groups = (kernel[0], kernel[3], *kernel[1:3]), data[-1] // kernel[3]
        elif word == "TRANSPOSE_CONV":  # (out, height, width, in)
            weight = (kernel[3], kernel[0], *kernel[1:3])
        elif word == "CONV_3D":  # (depth, height, width, in / groups, out)
            weight, groups = (kernel[4], kernel[3], *kernel[:3]), data[-1] // kernel[3]
        elif word == "CONV_3D_TRANSPOSE":  # (depth, height, width, out, in)
            weight = (kernel[4], kernel[3], *kernel[:3])
        else:
            weight = kernel
            if data[-1] != kernel[1]:  # axes are joined until each row has as many values as a weight
                data = (prod(data) // kernel[1], kernel[1])
        parameters = self._parameters(given[weights_at], reading)
        if bias is not None:
            of_bias = self._parameters(bias, reading)
            constant = self._constant(bias)
            if constant is not None and not np.any(self._values(constant)):
                reading.zero_biases += 1
            parameters += of_bias
        kind = _KINDS[word]
        return Op(
            kind=kind,
            operator=word,
            name=name,
            inputs=(data if kind == "dense" else channels_first(data),),
            output=output if kind == "dense" else channels_first(output),
            weight=weight,
            groups=groups,
            bias=bias is not None,
            parameters=parameters,
        )

    def _parameters(self, tensor: int, reading: _Reading) -> int:
        """Return how many parameters a constant brings where it is used here.

        The converter keeps equal constants once. Those of one value throughout (fresh biases and scales) are taken to
        be equal by chance, and count wherever they are used; others are one layer's weights that is used again.
        """
        found = self._constant(tensor)
        if found is None:
            return 0
        stored = self._graph.tensors[found]
        if not (_is_quantised(stored) or "float" in self._types.get(stored.type, "")):
            return 0
        values = self._values(found)
        if stored.buffer in reading.counted and not (values.size and np.all(values == values.flat[0])):
            return 0
        reading.counted.add(stored.buffer)
        return prod(reading.shapes[found])

    def _constant(self, tensor: int) -> int | None:
        """Return the constant that a tensor is or is unpacked from: as weights stored in half precision are."""
        for _ in range(8):
            if self._values(tensor).size:
                return tensor
            maker = self._maker.get(tensor)
            if maker is None or self._name(maker) not in ("DEQUANTIZE", "DENSIFY", "RESHAPE", "TRANSPOSE", "CAST"):
                return None
            tensor = _numbers(maker.inputs)[0]
        return None

    def _values(self, tensor: int) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
        """Return the bytes of a constant, as items of its type's width; empty if the tensor is none."""
        stored = self._graph.tensors[tensor]
        buffer = self._model.buffers[stored.buffer]
        raw = buffer.data
        if raw is None and buffer.offset > 1:  # beyond the flatbuffer, in files of more than 2 GB
            raw = np.frombuffer(self._data, np.uint8, buffer.size, buffer.offset)
        if raw is None:
            return np.empty(0, np.uint8)
        width = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2, "int16": 2}.get(
            self._types.get(stored.type, ""), 1
        )
        array = np.asarray(raw, np.uint8)
        return array.view(f"u{width}") if array.size % width == 0 else array

    def _findings(self, ops: Sequence[Op], reading: _Reading) -> list[Finding]:
        findings = []
        if reading.zero_biases:
            findings.append(
                Finding.note(
                    "cost-zero-bias",
                    self._file,
                    expected="biases that training has moved from 0",
                    got=f"{reading.zero_biases} biases of zeros, which are counted",
                    fix="The converter writes them for layers without a bias, too: the file does not tell which.",
                )
            )
        if any(op.operator == "WHILE" for op in ops):
            findings.append(loop_finding(self._file))
        return findings

    def _input(self, index: int) -> Input:
        tensor = self._graph.tensors[index]
        kind = None if _is_quantised(tensor) else self._types.get(tensor.type)
        return Input(self._tensor_name(index), Tensor(_stored(tensor), kind))

    def _tensor_name(self, index: int) -> str:
        return str((self._graph.tensors[index].name or b"").decode("utf-8", "replace"))

    def _name(self, operator: Foreign) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        if code.customCode:
            return str(code.customCode.decode("ascii", "replace")[:200])
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        return str(self._builtin.get(number, f"BUILTIN_{number}"))


class _Reading:
    """What one reading has found so far."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.counted: set[int] = set()
        self.zero_biases = 0


def _numbers(array: Foreign) -> list[int]:
    return [] if array is None else [int(n) for n in array]


def _stored(tensor: Foreign) -> tuple[int | None, ...]:
    shape = _numbers(tensor.shape)
    signature = _numbers(tensor.shapeSignature) or shape
    return tuple(None if open_ < 0 else n for n, open_ in zip(shape, signature, strict=True))


def _is_quantised(tensor: Foreign) -> bool:
    return tensor.quantization is not None and tensor.quantization.scale is not None
