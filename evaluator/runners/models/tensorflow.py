"""SavedModel folders and frozen graphs, run by TensorFlow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_tensorflow import check_saved_model, safe_graph
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.names import pick_inputs, pick_output
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime

_SIGNATURE = "serving_default"


def framework(threads: int) -> Foreign:
    """Import TensorFlow for the processor alone, with a number of threads for an operation.

    Raises:
        ModelProblem: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tensorflow = runtime("tensorflow", "tensorflow")
    with contextlib.suppress(RuntimeError):  # set once for a process
        tensorflow.config.set_visible_devices([], "GPU")
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return tensorflow


def described(spec: Foreign) -> Tensor:
    """Return the shape and type of a TensorFlow object that has them."""
    shape = None if spec.shape is None or getattr(spec.shape, "rank", 0) is None else tuple(spec.shape)
    return Tensor(shape, spec.dtype if isinstance(spec.dtype, str) else spec.dtype.name)


def frozen_function(function: Foreign) -> Foreign:
    """Return a concrete function with its variables as constants and the functions that it calls put in their place.

    Loops and branches stay single operations.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function, lower_control_flow=False)


class _Signature:
    def __init__(self, tensorflow: Foreign, function: Foreign, names: list[str], artefact: Artefact) -> None:
        specs = function.structured_input_signature[1]
        self.inputs = tuple(described(specs[name]) for name in names)
        self._tensorflow = tensorflow
        self._function = function
        self._names = names
        self._output = pick_output(artefact, list(function.structured_outputs))

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`."""
        given = {n: self._tensorflow.constant(t) for n, t in zip(self._names, tensors, strict=True)}
        return np.asarray(self._function(**given)[self._output].numpy())


class _Graph:
    def __init__(self, session: Foreign, inputs: list[Foreign], output: Foreign) -> None:
        self.inputs = tuple(described(tensor) for tensor in inputs)
        self._session = session
        self._inputs = inputs
        self._output = output

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`."""
        return np.asarray(self._session.run(self._output, dict(zip(self._inputs, tensors, strict=True))))


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load a SavedModel or a frozen graph; see `load_model`."""
    tensorflow = framework(threads)
    if artefact.format == "savedmodel":
        return _load_saved_model(tensorflow, path, artefact, names)
    return _load_frozen(tensorflow, path, artefact, names, threads)


def open_signature(tensorflow: Foreign, path: Path) -> Foreign:
    """Return the function `serving_default` of a SavedModel that was looked at before it was loaded.

    Raises:
        ModelProblem: the folder is unsafe, cannot be loaded, or has no such signature.
    """
    check_saved_model(path)
    with loading("a SavedModel that TensorFlow loads"):
        model = tensorflow.saved_model.load(str(path))
        signatures = dict(model.signatures)
    if _SIGNATURE not in signatures:
        raise ModelProblem(
            "model-shape",
            expected=f"the signature {_SIGNATURE}",
            got=f"{', '.join(signatures) or 'none'} in the file",
            fix="Export with Keras's model.export, or tf.saved_model.save with signatures.",
        )
    function = signatures[_SIGNATURE]
    function.keep_alive = model  # its variables live as long as the model does
    return function


def _load_saved_model(tensorflow: Foreign, path: Path, artefact: Artefact, names: Sequence[str]) -> Loaded:
    function = open_signature(tensorflow, path)
    chosen = pick_inputs(artefact, names, list(function.structured_input_signature[1]))
    return _Signature(tensorflow, function, chosen, artefact)


def _load_frozen(
    tensorflow: Foreign,
    path: Path,
    artefact: Artefact,
    names: Sequence[str],
    threads: int,
) -> Loaded:
    v1 = tensorflow.compat.v1
    inputs = [tensor_name(name) for name in artefact.input or names]
    output = tensor_name(artefact.output or "output")
    definition = safe_graph(path, inputs, output)
    with loading("a frozen graph that TensorFlow loads"):
        graph = tensorflow.Graph()
        with graph.as_default():
            tensorflow.import_graph_def(definition, name="")
        config = v1.ConfigProto(
            device_count={"GPU": 0}, intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1
        )
        session = v1.Session(graph=graph, config=config)
        tensors = [graph.get_tensor_by_name(name) for name in inputs]
        return _Graph(session, tensors, graph.get_tensor_by_name(output))


def tensor_name(name: str) -> str:
    """Return a tensor's full name: the first output of a node that is named alone."""
    return name if ":" in name else f"{name}:0"
