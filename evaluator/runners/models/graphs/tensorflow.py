"""The operators of Keras files, SavedModels and frozen graphs: of one TensorFlow graph with fixed input shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.efficiency.ops import Graph
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_tensorflow import safe_graph
from evaluator.runners.models.graphs.base import GraphReader, Input
from evaluator.runners.models.graphs.shared import check_fit, shown
from evaluator.runners.models.graphs.tensorflow_graph import Walk, elements, inlined, was_variable
from evaluator.runners.models.graphs.tensorflow_ops import Listing
from evaluator.runners.models.keras import open_keras
from evaluator.runners.models.names import pick_output
from evaluator.runners.models.problem import Foreign, loading
from evaluator.runners.models.tensorflow import described, framework, frozen_function, open_signature, tensor_name

Shapes = Sequence[tuple[int, ...]]


def open_graph(path: Path, artefact: Artefact) -> GraphReader:
    """Open a Keras file, a SavedModel or a frozen graph; see `base.open_graph`."""
    tensorflow = framework(1)
    if artefact.format == "keras":
        _, model = open_keras(path)
        return _KerasGraph(tensorflow, path.name, model, artefact)
    if artefact.format == "savedmodel":
        return _SignatureGraph(tensorflow, path.name, open_signature(tensorflow, path), artefact)
    return _FrozenGraph(tensorflow, path, artefact)


def model_reader(model: Foreign) -> GraphReader:
    """Return the reader of a Keras model that was built in this process, on TensorFlow.

    Raises:
        ModelProblem: its inputs have no names.
    """
    return _KerasGraph(framework(1), "the network", model, Artefact(file="network", format="keras"))


@dataclass(frozen=True)
class _Fixed:
    """A graph definition without variables or calls."""

    definition: Foreign
    inputs: list[str]
    """Names of its placeholders, as tensors."""
    output: str
    variables: dict[str, Foreign]
    """Constant → the variable that it was, where that is known."""


class _KerasGraph:
    """See `GraphReader`."""

    def __init__(self, tensorflow: Foreign, file: str, model: Foreign, artefact: Artefact) -> None:
        self._tensorflow = tensorflow
        self._file = file
        self._artefact = artefact
        with loading("a Keras model with named inputs"):
            # Thus what may be trained is all but statistics and the state of random generators.
            model.trainable = True
            self._model = model
            self.inputs = tuple(Input(tensor.name, described(tensor)) for tensor in model.inputs)

    def read(self, shapes: Shapes) -> Graph:
        """See `GraphReader.read`."""

        def network(*images: Foreign) -> Any:  # noqa: ANN401 - a tensor
            output = self._model(list(images) if len(images) > 1 else images[0], training=False)
            if isinstance(output, dict):
                return output[pick_output(self._artefact, list(output))]
            if isinstance(output, list | tuple):
                return output[int(pick_output(self._artefact, [str(i) for i in range(len(output))]))]
            return output

        fixed = _traced(self._tensorflow, network, self.inputs, shapes)
        weights = self._model.trainable_variables
        own = {id(weight.value.handle): weight for weight in weights}
        mapped = {name: own[key] for name, key in fixed.variables.items() if key in own}
        listing = _listed(self._tensorflow, self._file, fixed, shapes)
        ops = listing.ops(lambda constant: constant.name in mapped, lambda constant: id(mapped[constant.name]))
        parameters = sum(int(weight.value.shape.num_elements()) for weight in weights)
        return Graph(parameters=parameters, ops=tuple(ops), findings=tuple(listing.findings))


class _SignatureGraph:
    """See `GraphReader`."""

    def __init__(self, tensorflow: Foreign, file: str, function: Foreign, artefact: Artefact) -> None:
        self._tensorflow = tensorflow
        self._file = file
        self._function = function
        self._output = pick_output(artefact, list(function.structured_outputs))
        specs = function.structured_input_signature[1]
        self.inputs = tuple(Input(name, described(spec)) for name, spec in specs.items())

    def read(self, shapes: Shapes) -> Graph:
        """See `GraphReader.read`."""

        def network(*images: Foreign) -> Any:  # noqa: ANN401 - a tensor
            named = {given.name: image for given, image in zip(self.inputs, images, strict=True)}
            return self._function(**named)[self._output]

        fixed = _traced(self._tensorflow, network, self.inputs, shapes)
        trainable = {id(v.handle): bool(v.trainable) for v in self._function.graph.variables}
        listing = _listed(self._tensorflow, self._file, fixed, shapes)
        statistics = listing.walk.statistics()
        weights = listing.weights()

        def counts(constant: Foreign) -> bool:
            key = fixed.variables.get(constant.name)
            if key not in trainable or constant.name in statistics:
                return False
            return trainable[key] or constant.name in weights

        ops = listing.ops(counts, lambda constant: fixed.variables[constant.name])
        return _summed(ops, listing)


class _FrozenGraph:
    """See `GraphReader`."""

    def __init__(self, tensorflow: Foreign, path: Path, artefact: Artefact) -> None:
        self._tensorflow = tensorflow
        self._file = path.name
        self._output = tensor_name(artefact.output or "output")
        named = list(artefact.input or ())
        self._definition = safe_graph(path, [tensor_name(name) for name in named], self._output)
        names = named or [node.name for node in self._definition.node if node.op == "Placeholder"]
        self._names = [tensor_name(name) for name in names]
        with loading("a frozen graph that TensorFlow loads"):
            graph = tensorflow.Graph()
            with graph.as_default():
                tensorflow.import_graph_def(self._definition, name="")
            self.inputs = tuple(Input(name, described(graph.get_tensor_by_name(tensor_name(name)))) for name in names)

    def read(self, shapes: Shapes) -> Graph:
        """See `GraphReader.read`."""
        check_fit(self.inputs, shapes)
        with loading("a frozen graph whose functions TensorFlow finds"):
            definition = inlined(self._tensorflow, self._definition, self._names, self._output)
        fixed = _Fixed(definition, self._names, self._output, {})
        listing = _listed(self._tensorflow, self._file, fixed, shapes)
        statistics = listing.walk.statistics()

        def counts(constant: Foreign) -> bool:
            own = elements(constant) > 1 or was_variable(constant) or constant.name in listing.biases()
            return own and constant.name not in statistics

        return _summed(listing.ops(counts, lambda constant: constant.name), listing)


def _summed(ops: list[Any], listing: Listing) -> Graph:
    return Graph(parameters=sum(op.parameters for op in ops), ops=tuple(ops), findings=tuple(listing.findings))


def _traced(tensorflow: Foreign, network: Callable[..., Any], inputs: Sequence[Input], shapes: Shapes) -> _Fixed:
    """Trace a function of images with fixed shapes; nothing is computed."""
    check_fit(inputs, shapes)
    specs = [
        tensorflow.TensorSpec(shape, given.tensor.dtype or "float32", name=f"image{number}")
        for number, (given, shape) in enumerate(zip(inputs, shapes, strict=True))
    ]
    with _fitting(shapes):
        function = tensorflow.function(network, autograph=False).get_concrete_function(*specs)
        variables = {inner.op.name: id(outer) for outer, inner in function.graph.captures}
        names = [tensor.name for tensor in function.inputs[: len(specs)]]
        frozen = frozen_function(function)
        output = frozen.outputs[0].name
        definition = inlined(tensorflow, frozen.graph.as_graph_def(), names, output)
        return _Fixed(definition, names, output, variables)


def _listed(tensorflow: Foreign, file: str, fixed: _Fixed, shapes: Shapes) -> Listing:
    """Import a graph anew with inputs of fixed shapes, so that all shapes are inferred for them."""
    graph = tensorflow.Graph()
    types = {node.name: node.attr["dtype"].type for node in fixed.definition.node if node.op == "Placeholder"}
    with _fitting(shapes), graph.as_default():
        images = [
            tensorflow.compat.v1.placeholder(
                types.get(name.partition(":")[0], tensorflow.float32.as_datatype_enum), shape
            )
            for name, shape in zip(fixed.inputs, shapes, strict=True)
        ]
        (output,) = tensorflow.import_graph_def(
            fixed.definition,
            input_map=dict(zip(fixed.inputs, images, strict=True)),
            return_elements=[fixed.output],
            name="",
        )
        return Listing(file, Walk(graph, output, images))


def _fitting(shapes: Shapes) -> AbstractContextManager[None]:
    """Turn what TensorFlow says of shapes that do not fit into a problem."""
    fix = "Ask for a size that the network takes: a multiple of what it halves the size by."
    return loading(f"a model that takes {'; '.join(map(shown, shapes))}", code="model-shape", fix=fix)
