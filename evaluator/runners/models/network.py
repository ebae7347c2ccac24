"""Networks in code: torch modules and Keras models that a function returns, and weights beside them."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evaluator.efficiency.ops import Graph
from evaluator.ingest.manifest import Artefact, Model, Network
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.files import checked_file
from evaluator.runners.models.graphs import GraphReader, Input
from evaluator.runners.models.problem import Foreign, ModelProblem, keras_on, loading, one_line, runtime
from evaluator.runners.models.python import import_entry


def load_network(folder: Path, network: Network, model: Model, threads: int) -> Loaded:
    """Build a network to run it; see `load_model`.

    Raises:
        ModelProblem: it cannot be built, is neither a torch module nor a Keras model, or its weights do not fit.
    """
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)  # read when TensorFlow starts
    built = build_network(folder, network)
    if _is_torch(built):
        import torch

        from evaluator.runners.models.torchscript import TorchModule

        torch.set_num_threads(threads)
        order = range(len(model.inputs))
        return TorchModule(torch, built.eval(), _ARTEFACT, inputs=[Tensor(None, None)] * len(order), order=order)
    from evaluator.runners.models.keras import KerasModel

    return KerasModel(built, [tensor.name for tensor in built.inputs], _ARTEFACT)


def open_network(folder: Path, network: Network, model: Model) -> GraphReader:
    """Build a network to list its operators.

    Raises:
        ModelProblem: as for `load_network`.
    """
    built = build_network(folder, network)
    if _is_torch(built):
        return _Module(built, model)
    from evaluator.runners.models.graphs.tensorflow import model_reader

    return model_reader(built)


class _Module:
    """A torch module. See `GraphReader`."""

    def __init__(self, module: Foreign, model: Model) -> None:
        self._module = module
        self.inputs = tuple(Input(name, Tensor(None, None)) for name in model.inputs)

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """See `GraphReader`."""
        from evaluator.runners.models.graphs.torch import module_graph

        return module_graph(self._module, shapes)


def describe_network(folder: Path, entry: str) -> tuple[str, list[str]]:
    """Return the layout that a network's framework has (NHWC of Keras, NCHW of torch), and its inputs' names.

    There are none where the network does not say what it takes.

    Raises:
        ModelProblem: as for `load_network`.
    """
    network = build_network(folder, Network(entry=entry))
    if is_keras(network):
        return "NHWC", [str(tensor.name) for tensor in network.inputs]
    try:
        taken = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):  # a module that is not made by Python code
        return "NCHW", []
    return "NCHW", [p.name for p in taken if p.kind in _BY_POSITION and p.default is p.empty]


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ARTEFACT = Artefact(file="network", format="savedmodel")
"""Stands for the file that a network in code does not have; it names no tensors."""


def build_network(folder: Path, described: Network) -> Foreign:
    """Build a network from code in a folder, and put its weights in where it has any.

    Raises:
        ModelProblem: as for `load_network`.
    """
    only_torch = importlib.util.find_spec("tensorflow") is None and importlib.util.find_spec("torch") is not None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with keras_on("torch") if only_torch else nullcontext():
        function = import_entry(folder, described.entry, "[network]")
        try:
            network = function()
        except (Exception, SystemExit) as error:  # the function may fail in any way
            raise ModelProblem(
                "model-load", expected="a network", got=one_line(error), fix="Call the function yourself."
            ) from error
    if not is_keras(network) and not _is_torch(network):
        raise ModelProblem(
            "model-load",
            expected="a torch module or a Keras model",
            got=f"an object of type {type(network).__name__}"[:80],
            fix="Have entry in [network] name a function that returns the network.",
        )
    if described.weights is not None:
        _fill(network, _arrays(folder, described.weights))
    return network


def _arrays(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    reader = runtime("safetensors.numpy", "torch")
    path = checked_file(folder, name)
    with loading(f"weights in {name}, a safetensors file"):
        found: dict[str, NDArray[Any]] = reader.load_file(path)
        return found


def _fill(network: Foreign, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put arrays into a network by the names of torch's state or the paths of Keras's weights: all, and no more."""
    if is_keras(network):
        shapes = {weight.path: tuple(weight.shape) for weight in network.weights}
    else:
        shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wrong = [n for n in shapes.keys() & arrays.keys() if shapes[n] != arrays[n].shape]
    for names, expected, got in (
        (sorted(shapes.keys() - arrays.keys()), "an array for every weight", "none for {}"),
        (sorted(arrays.keys() - shapes.keys()), "arrays for weights of the network", "others: {}"),
        (sorted(wrong), "arrays of the weights' shapes", "another shape for {}"),
    ):
        if names:
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            fix = "Save the weights of this very network."
            raise ModelProblem("model-load", expected=expected, got=got.format(listed), fix=fix)
    if is_keras(network):
        for weight in network.weights:
            weight.assign(arrays[weight.path])
        return
    import torch

    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays.items()})


def is_keras(network: Foreign) -> bool:
    """Tell whether a network is a Keras model."""
    return _is(network, "keras", "Model")


def _is_torch(network: Foreign) -> bool:
    """Tell whether torch runs it: its own modules, and Keras models on its backend."""
    return _is(network, "torch", "nn.Module")


def _is(network: Foreign, module: str, name: str) -> bool:
    """Tell whether a network is of a framework's class, without loading the framework for it."""
    found: Foreign = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return isinstance(found, type) and isinstance(network, found)
