"""Operators of ONNX files, read with the onnx package; nothing is run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator.efficiency.ops import Graph, Op, Shape
from evaluator.findings import Finding, some
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_onnx import check_onnx
from evaluator.runners.models.contract import Tensor
from evaluator.runners.models.graphs.base import GraphReader, Input
from evaluator.runners.models.graphs.onnx_ops import (
    MICROSOFT,
    SETTINGS,
    TRANSPARENT,
    WEIGHTS,
    described,
    kind_of,
    named_by_hand,
)
from evaluator.runners.models.graphs.onnx_shapes import infer, is_real, lighten, set_inputs, standardise
from evaluator.runners.models.problem import Foreign, loading, runtime


def open_graph(path: Path, artefact: Artefact) -> GraphReader:
    """Open an ONNX file; see `base.open_graph`."""
    return _Onnx(path)


class _Onnx:
    """An ONNX file. See `GraphReader`."""

    def __init__(self, path: Path) -> None:
        onnx = runtime("onnx", "onnx")
        model = check_onnx(path, foreign=True)
        with loading("an ONNX file whose functions can be put in place"):
            lighten(model, path.parent)
            self._model = runtime("onnx.inliner", "onnx").inline_local_functions(model)
            self._were = standardise(self._model.graph)
            self.inputs = tuple(
                Input(
                    value.name,
                    Tensor(
                        tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)
                        if value.type.tensor_type.HasField("shape")
                        else None,
                        _type(onnx, value.type.tensor_type.elem_type),
                    ),
                )
                for value in _inputs(self._model.graph)
            )
        self._file = path.name

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """See `GraphReader`."""
        model = type(self._model)()
        model.CopyFrom(self._model)
        set_inputs(model, _inputs(model.graph), shapes, self._file)
        with loading("an ONNX file whose shapes can be inferred"):
            shapes_of, computed = infer(model)
            return _Reading(model, shapes_of, computed, self._were, self._file).graph()


def _inputs(graph: Foreign) -> list[Foreign]:
    held = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in held]


def _type(onnx: Foreign, elem_type: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type).name)


class _Reading:
    """One pass over a graph whose shapes are known."""

    def __init__(
        self,
        model: Foreign,
        shapes: dict[str, Shape | None],
        computed: set[str],
        were: dict[str, Foreign],
        file: str,
    ) -> None:
        self._onnx = runtime("onnx", "onnx")
        self._nodes = model.graph.node
        self._shapes = shapes
        self._were = were
        self._file = file
        self._weights = _Weights(self._onnx, model.graph, computed)
        self._open: list[str] = []
        self._branches: list[str] = []
        self._loops: list[str] = []

    def graph(self) -> Graph:
        """Return the operators."""
        ops = [op for node in self._nodes if node.op_type != "Constant" for op in self._ops(node)]
        return Graph(parameters=self._weights.total, ops=tuple(ops), findings=tuple(self._findings()))

    def _ops(self, node: Foreign) -> Iterator[Op]:
        was: Foreign = self._were.get(node.output[0], node)
        # What stands in their place has the shape alone in common with these.
        read = was if was.op_type in ("FusedMatMul", "Attention", "MultiHeadAttention") else node
        attributes = {a.name: self._onnx.helper.get_attribute_value(a) for a in read.attribute}
        domain = "" if was.domain == "ai.onnx" else was.domain
        named = {"operator": f"{domain}.{was.op_type}".lstrip(".")[:200], "name": node.name[-200:]}
        if node.op_type == "If":
            self._branches.append(was.op_type)
        elif node.op_type in ("Loop", "Scan"):
            self._loops.append(was.op_type)
        output = self._shapes.get(node.output[0])
        shapes = [self._shapes.get(name) if name else None for name in read.input]
        dense = len(read.input) > 1 and self._weights.holds(read.input[1])
        held = self._weights.used(was)
        kind = kind_of(was.domain, was.op_type)
        if output is None:
            self._open.append(named["operator"])
            yield Op(kind="unknown", parameters=held, **named)
            return
        plain: dict[str, Any] = {**named, "output": output, "parameters": held}
        if domain == "com.microsoft" and was.op_type == "Attention":
            yield from self._projected_attention(shapes, attributes, plain)
            return
        word = (
            MICROSOFT[was.op_type].shaped_as
            if was.domain == "com.microsoft" and was.op_type in MICROSOFT
            else was.op_type
        )
        try:
            fields = described(kind or "unknown", word, shapes, attributes, dense=dense)
            yield Op.model_validate({**plain, **fields})
        except (ValueError, ValidationError):
            self._open.append(named["operator"])
            yield Op.model_validate({**plain, "kind": "unknown"})

    def _projected_attention(
        self, shapes: list[Shape | None], attributes: dict[str, Any], plain: dict[str, Any]
    ) -> Iterator[Op]:
        """ONNX Runtime's Attention computes query, key and value itself, with one weight."""
        given, weight = shapes[:2]
        if given is None or weight is None:
            self._open.append(plain["operator"])
            yield Op.model_validate({**plain, "kind": "unknown"})
            return
        batch, length, _ = given
        sizes = attributes.get("qkv_hidden_sizes") or [weight[1] // 3] * 3
        heads = attributes["num_heads"]
        yield Op.model_validate(
            {
                **plain,
                "kind": "dense",
                "inputs": (given,),
                "weight": weight[::-1],
                "output": (batch, length, weight[1]),
                "bias": True,
            }
        )
        yield Op.model_validate(
            {
                **plain,
                "kind": "attention",
                "inputs": tuple((batch, heads, length, size // heads) for size in sizes),
                "parameters": 0,
            }
        )

    def _findings(self) -> Iterator[Finding]:
        if self._branches:
            yield Finding.warning(
                "cost-branch",
                self._file,
                "a network that takes the same way for every input",
                f"{len(self._branches)} branches (If); none is counted",
                "Export the branch that images take.",
            )
        if self._loops:
            yield Finding.warning(
                "cost-loop",
                self._file,
                "a network without loops",
                f"{len(self._loops)} loops ({some(sorted(set(self._loops)))}); none is counted",
                "Export with the loop unrolled.",
            )
        if self._open:
            yield Finding.warning(
                "cost-shape",
                self._file,
                "shapes that follow from the input's",
                f"none for {some(sorted(set(self._open)))}; they are not counted",
                "Export with fixed sizes, and without operators of your own.",
            )


class _Weights:
    """The parameters among a graph's constants, each once."""

    def __init__(self, onnx: Foreign, graph: Foreign, computed: Collection[str] = ()) -> None:
        self._onnx = onnx
        self.total = 0
        self._initialisers = {
            t.name: (prod(t.dims), is_real(t.data_type)) for t in graph.initializer if t.name not in computed
        }
        self._constants: dict[str, int] = {}
        self._roots = {name: name for name in self._initialisers}
        self._dequantised: set[str] = set()
        self._counted: set[str] = set()
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = prod(node.attribute[0].t.dims)
                self._roots[node.output[0]] = node.output[0]
            elif node.op_type in TRANSPARENT and node.input[0] in self._roots:
                self._roots[node.output[0]] = self._roots[node.input[0]]
                if node.op_type == "DequantizeLinear" or node.input[0] in self._dequantised:
                    self._dequantised.add(node.output[0])

    def holds(self, name: str) -> bool:
        """Tell whether a value is a constant."""
        return name in self._roots

    def used(self, node: Foreign) -> int:
        """Count the parameters that a node uses, its subgraphs included, and that none used before."""
        held = 0
        for position, name in enumerate(node.input):
            root = self._roots.get(name)
            if root is None or root in self._counted or not self._is_parameter(node, position, name, root):
                continue
            self._counted.add(root)
            held += self._initialisers[root][0] if root in self._initialisers else self._constants[root]
        for attribute in node.attribute:
            for graph in (
                *((attribute.g,) if attribute.type == self._onnx.AttributeProto.GRAPH else ()),
                *attribute.graphs,
            ):
                inner = _Weights(self._onnx, graph)
                inner._initialisers |= self._initialisers
                inner._constants |= self._constants
                inner._roots = {**self._roots, **inner._roots}
                inner._dequantised |= self._dequantised
                inner._counted = self._counted
                held += sum(inner.used(below) for below in graph.node)
        self.total += held
        return held

    def _is_parameter(self, node: Foreign, position: int, name: str, root: str) -> bool:
        word = node.op_type
        attention = word == "Attention" and node.domain != "com.microsoft"
        if position in WEIGHTS.get(word, ()) and not attention:
            return True
        transparent = word in TRANSPARENT and position == 0
        if root not in self._initialisers or transparent or position in SETTINGS.get(word, ()):
            return False
        size, real = self._initialisers[root]
        return (real or name in self._dequantised) and (
            size > 1 or (named_by_hand(root) and not word.startswith("QLinear"))  # which have scales as inputs
        )
