"""Networks in code, without weights: torch modules and Keras models that a function returns."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluator.efficiency.ops import Graph
from evaluator.ingest.manifest import Artefact, Model
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.graphs import GraphReader, Input
from evaluator.runners.models.problem import Foreign, ModelProblem, one_line
from evaluator.runners.models.python import import_entry


def load_network(folder: Path, entry: str, model: Model, threads: int) -> Loaded:
    """Build a network to run it; see `load_model`.

    Raises:
        ModelProblem: it cannot be built, or is neither a torch module nor a Keras model.
    """
    network = _build(folder, entry)
    if _is(network, "keras", "Model"):
        from evaluator.runners.models.keras import KerasModel

        return KerasModel(network, [tensor.name for tensor in network.inputs], _ARTEFACT)
    import torch

    from evaluator.runners.models.torchscript import TorchModule

    torch.set_num_threads(threads)
    order = range(len(model.inputs))
    return TorchModule(torch, network.eval(), _ARTEFACT, inputs=[Tensor(None, None)] * len(order), order=order)


def open_network(folder: Path, entry: str, model: Model) -> GraphReader:
    """Build a network to list its operators.

    Raises:
        ModelProblem: as for `load_network`.
    """
    network = _build(folder, entry)
    if _is(network, "keras", "Model") and not _is(network, "torch", "nn.Module"):
        from evaluator.runners.models.graphs.tensorflow import model_reader

        return model_reader(network)
    return _Module(network, model)


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
    network = _build(folder, entry)
    if _is(network, "keras", "Model"):
        return "NHWC", [str(tensor.name) for tensor in network.inputs]
    try:
        taken = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):  # a module that is not made by Python code
        return "NCHW", []
    return "NCHW", [p.name for p in taken if p.kind in _BY_POSITION and p.default is p.empty]


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ARTEFACT = Artefact(file="network", format="savedmodel")
"""Stands for the file that a network in code does not have; it names no tensors."""


def _build(folder: Path, entry: str) -> Foreign:
    if importlib.util.find_spec("tensorflow") is None and importlib.util.find_spec("torch") is not None:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    function = import_entry(folder, entry, "[network]")
    try:
        network = function()
    except (Exception, SystemExit) as error:  # the function may fail in any way
        raise ModelProblem(
            "model-load", expected="a network", got=one_line(error), fix="Call the function yourself."
        ) from error
    if not _is(network, "keras", "Model") and not _is(network, "torch", "nn.Module"):
        raise ModelProblem(
            "model-load",
            expected="a torch module or a Keras model",
            got=f"an object of type {type(network).__name__}"[:80],
            fix="Have entry in [network] name a function that returns the network.",
        )
    return network


def _is(network: Foreign, module: str, name: str) -> bool:
    """Tell whether a network is of a framework's class, without loading the framework for it."""
    found: Foreign = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return isinstance(found, type) and isinstance(network, found)
