"""The shapes of everything in an ONNX graph, once those of its inputs are set."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from evaluator.efficiency.ops import Shape
from evaluator.runners.models.graphs.onnx_ops import MICROSOFT, named_by_hand
from evaluator.runners.models.problem import Foreign, ModelProblem, runtime

SMALL = 1024
"""Elements of a tensor that may hold sizes."""
_PASSES = 200
_WORDS = (
    "Shape Size Gather GatherElements GatherND Slice Concat Split Squeeze Unsqueeze Reshape Flatten Transpose "
    "Identity Cast Add Sub Mul Div Mod Pow Neg Abs Sign Sqrt Floor Ceil Round Min Max Equal Less LessOrEqual "
    "Greater GreaterOrEqual And Or Not Where ConstantOfShape Range Expand Tile ScatterND ReduceProd ReduceSum "
    "ReduceMax ReduceMin NonZero"
)
_SIZES = frozenset(_WORDS.split())
"""Operators that compute with sizes."""


def lighten(model: Foreign, folder: Path) -> None:
    """Drop the values of all tensors but small ones; read those of small ones that lie in other files."""
    onnx = runtime("onnx", "onnx")
    for tensor in model.graph.initializer:
        if prod(tensor.dims) > SMALL:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)
        elif tensor.data_location == onnx.TensorProto.EXTERNAL:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = onnx.TensorProto.DEFAULT


def standardise(graph: Foreign) -> dict[str, Foreign]:
    """Put operators of ONNX in place of those of ONNX Runtime that have the same shapes.

    Returns:
        First output → the node that was there.
    """
    helper = runtime("onnx", "onnx").helper
    were: dict[str, Foreign] = {}
    for node in graph.node:
        if node.domain != "com.microsoft":
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "FusedMatMul":
            if attributes.get("transBatchA") or attributes.get("transBatchB"):
                continue
            one = "...km" if attributes.get("transA") else "...mk"
            other = "...nk" if attributes.get("transB") else "...kn"
            word, inputs, attributes = "Einsum", list(node.input[:2]), {"equation": f"{one},{other}->...mn"}
        elif node.op_type == "QLinearConcat":
            word, inputs = "Concat", list(node.input[2::3])
        elif (known := MICROSOFT.get(node.op_type)) and not attributes.get("channels_last"):
            word, inputs = known.shaped_as, [node.input[i] for i in known.inputs if i < len(node.input)]
            attributes = {} if word == "Identity" else {k: v for k, v in attributes.items() if k not in known.dropped}
        else:
            continue
        was = type(node)()
        was.CopyFrom(node)
        were[node.output[0]] = was
        node.CopyFrom(helper.make_node(word, inputs, [node.output[0]], was.name, **attributes))
    return were


def set_inputs(model: Foreign, inputs: Sequence[Foreign], shapes: Sequence[Shape], file: str) -> None:
    """Set the shapes of a graph's inputs, and forget what the file says of others.

    Raises:
        ModelProblem: the file is made for others.
    """
    sizes: dict[str, int] = {}
    for value, shape in zip(inputs, shapes, strict=True):
        tensor = value.type.tensor_type
        dims = list(tensor.shape.dim)
        if tensor.HasField("shape") and not (
            len(dims) == len(shape) and all(_fits(dim, size, sizes) for dim, size in zip(dims, shape, strict=True))
        ):
            shown = " × ".join(str(d.dim_value) if d.dim_value > 0 else d.dim_param or "?" for d in dims)
            raise ModelProblem(
                "model-shape",
                expected=f"an input of {shown}, which {file} is made for",
                got="×".join(map(str, shape)),
                fix="Export with open sizes, or set size_multiple and tile_overlap in [model].",
            )
        tensor.shape.ClearField("dim")
        for size in shape:
            tensor.shape.dim.add().dim_value = size
    graph = model.graph
    foreign = {o for node in graph.node if node.domain not in ("", "ai.onnx") for o in node.output}
    # Only of foreign operators nobody else knows a shape.
    kept = [v for v in graph.value_info if v.name in foreign]
    for value in kept:
        for d in value.type.tensor_type.shape.dim:
            if d.dim_param in sizes:
                d.dim_value = sizes[d.dim_param]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for value in graph.output:
        if value.name not in foreign:
            value.ClearField("type")


def _fits(dim: Foreign, size: int, sizes: dict[str, int]) -> bool:
    if dim.dim_value > 0:
        return bool(dim.dim_value == size)
    return not dim.dim_param or sizes.setdefault(dim.dim_param, size) == size


def infer(model: Foreign) -> tuple[dict[str, Shape | None], set[str]]:
    """Infer all shapes, and drop from the graph what computes with sizes alone.

    Returns:
        The shapes of all values by their names, and the names of constants that were computed.
    """
    onnx = runtime("onnx", "onnx")
    shapes: dict[str, Shape | None] = {}
    computed: set[str] = set()
    for _ in range(_PASSES):
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            shapes.setdefault(value.name, _shape(value))
        folded = _Sizes(onnx, model, shapes)
        progress = folded.fold()
        computed |= folded.computed
        if not progress or all(shapes.get(n.output[0]) is not None for n in model.graph.node):
            break
    return shapes, computed


def _shape(value: Foreign) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    return tuple(d.dim_value for d in tensor.shape.dim)


class _Sizes:
    """Computes what depends on sizes alone, so that shapes made of them are known."""

    def __init__(self, onnx: Foreign, model: Foreign, shapes: dict[str, Shape | None]) -> None:
        self._onnx = onnx
        self._model = model
        self._shapes = shapes
        self.computed: set[str] = set()
        self._values: dict[str, Any] = {
            t.name: onnx.numpy_helper.to_array(t)
            for t in model.graph.initializer
            # A weight must stay what it is, to be found where it is used.
            if prod(t.dims) <= SMALL and (not is_real(t.data_type) or not named_by_hand(t.name))
        }

    def fold(self) -> bool:
        """Put constants in place of what can be computed; return whether there was any."""
        graph = self._model.graph
        kept, found = [], False
        for node in graph.node:
            values = self._computed(node)
            if values is not None:
                for name, value in zip(node.output, values, strict=False):
                    self._values[name] = value
                    self.computed.add(name)
                    graph.initializer.append(self._onnx.numpy_helper.from_array(value, name))
                found = True
            elif node.op_type == "If" and node.input[0] in self._values and (taken := self._taken(node)) is not None:
                kept.extend(taken)
                found = True
            else:
                if node.op_type == "Constant" and (value := self._constant(node)) is not None:
                    self._values[node.output[0]] = value
                kept.append(node)
        copies = [self._copy(node) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)
        return found

    def _copy(self, node: Foreign) -> Foreign:
        copy = self._onnx.NodeProto()
        copy.CopyFrom(node)
        return copy

    def _constant(self, node: Foreign) -> Any:  # noqa: ANN401 - a numpy array or None
        attribute = node.attribute[0]
        if attribute.name == "value" and prod(attribute.t.dims) > SMALL:
            return None
        return self._run(node, {})[0] if attribute.name.startswith("value") else None

    def _computed(self, node: Foreign) -> list[Any] | None:
        import numpy as np

        if node.domain not in ("", "ai.onnx") or node.op_type not in _SIZES:
            return None
        if node.op_type in ("Shape", "Size"):
            shape = self._shapes.get(node.input[0])
            feeds = None if shape is None else {node.input[0]: np.broadcast_to(np.float32(0), shape)}
        else:
            feeds = {name: self._values[name] for name in node.input if name and name in self._values}
            if not feeds or len(feeds) < sum(map(bool, node.input)) or self._is_large(node):
                feeds = None
        return None if feeds is None else self._run(node, feeds)

    def _is_large(self, node: Foreign) -> bool:
        if node.op_type in ("ConstantOfShape", "Expand", "Tile"):
            return prod(map(int, self._values[node.input[-1]].flat)) > SMALL
        return any((shape := self._shapes.get(name)) is not None and prod(shape) > SMALL for name in node.output)

    def _run(self, node: Foreign, feeds: dict[str, Any]) -> list[Any]:
        helper, types = self._onnx.helper, self._onnx.TensorProto
        graph = helper.make_graph(
            [node],
            "sizes",
            [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                for n, v in feeds.items()
            ],
            [helper.make_tensor_value_info(name, types.UNDEFINED, None) for name in node.output],
        )
        model = helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)
        import numpy as np

        evaluator = runtime("onnx.reference", "onnx").ReferenceEvaluator(model)
        return [np.asarray(value) for value in evaluator.run(None, feeds)]

    def _taken(self, node: Foreign) -> list[Foreign] | None:
        """Return the nodes of a branch that is known to be taken, or None if its names would clash."""
        wanted = "then_branch" if bool(self._values[node.input[0]].flat[0]) else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == wanted)
        graph = self._model.graph
        taken = {name for other in graph.node for name in other.output} | {t.name for t in graph.initializer}
        made = {name for inner in branch.node for name in inner.output} | {t.name for t in branch.initializer}
        if made & taken:
            return None
        graph.initializer.extend(branch.initializer)
        ends = [
            self._onnx.helper.make_node("Identity", [inner.name], [outer])
            for inner, outer in zip(branch.output, node.output, strict=True)
        ]
        return [*branch.node, *ends]


def is_real(data_type: int) -> bool:
    """Tell whether a tensor's type, as ONNX numbers it, is one of floating point."""
    types = runtime("onnx", "onnx").TensorProto
    return data_type in (types.FLOAT, types.FLOAT16, types.DOUBLE, types.BFLOAT16)
