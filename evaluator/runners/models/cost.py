"""List the operators of a submitted model for an image of one size, whatever kind of model it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluator.efficiency.ops import Graph
from evaluator.findings import Finding
from evaluator.images import Pixels
from evaluator.ingest.manifest import Artefact, Format, Manifest, Model
from evaluator.runners.models.contract import AXES, CHANNELS, Passes, Tensor, fixed_size, plan_passes
from evaluator.runners.models.graphs import open_graph
from evaluator.runners.models.load import checked, chosen_artefact
from evaluator.runners.models.names import pick_inputs
from evaluator.runners.models.problem import ModelProblem
from evaluator.runners.models.python import PythonRestorer

_NHWC: tuple[Format, ...] = ("tflite", "keras", "savedmodel", "frozen")
_COLOURS = 3


@dataclass(frozen=True)
class Listed:
    """A model's operators for an image of one size."""

    graph: Graph
    """Of one pass."""
    passes: Passes
    findings: tuple[Finding, ...] = ()


def list_operators(
    folder: Path, manifest: Manifest, role: Literal["quality", "latency"], height: int, width: int
) -> Listed:
    """Return the operators that run for an image of a size.

    A model that is fixed to another size, and may not be cut into tiles, is listed for the size that it has, with a
    finding.

    Args:
        folder: a private copy of the submission.
        manifest: its manifest.
        role: which artefact.
        height: of the image.
        width: of the image.

    Raises:
        ModelProblem: the model cannot be read, or not at this size.
    """
    if manifest.python is not None:
        return _of_python(PythonRestorer(folder, manifest.python.entry), len(manifest.python.inputs), height, width)
    assert manifest.model is not None  # noqa: S101 - the other kinds have the table
    if manifest.network is not None:
        from evaluator.runners.models.network import open_network

        reader = open_network(folder, manifest.network, manifest.model)
        names = [i.name for i in reader.inputs]
    else:
        artefact = chosen_artefact(manifest, role)
        reader = open_graph(checked(folder, artefact), artefact)
        names = pick_inputs(artefact, manifest.model.inputs, [i.name for i in reader.inputs])
    by_name = {i.name: i.tensor for i in reader.inputs}
    tensors = [by_name[name] for name in names]
    findings: tuple[Finding, ...] = ()
    try:
        passes = plan_passes(manifest.model, tensors, height, width)
    except ModelProblem as problem:
        rows, columns = fixed_size(manifest.model, tensors)
        passes = Passes((rows or height, columns or width), 1)
        findings = (Finding.error(problem.code, "", problem.expected, problem.got, problem.fix),)
    shapes = {name: _shape(manifest.model, tensor, *passes.size) for name, tensor in zip(names, tensors, strict=True)}
    graph = reader.read([shapes[i.name] for i in reader.inputs])
    return Listed(graph, passes, (*findings, *graph.findings))


def describe(path: Path, format_: Format | None, entry: str = "") -> dict[str, Any]:
    """Return what a lone model says of its contract: the table [model] as far as the file tells it.

    The range of values is not in a file: 0 to 1 stands for it, which no count depends on.

    Args:
        path: the model file; for a network in code the folder of its module.
        format_: the file's format; None for a network in code.
        entry: `module:function` of a network in code.

    Raises:
        ModelProblem: the file cannot be read.
    """
    if format_ is None:
        from evaluator.runners.models.network import describe_network

        layout, names = describe_network(path, entry)
        several = {"inputs": _roles(names)} if len(names) > 1 else {}
        return {"layout": layout, "range": [0.0, 1.0], **several}
    reader = open_graph(path, Artefact(file=path.name, format=format_))
    if not reader.inputs:
        raise ModelProblem(
            "model-shape", expected="a model that takes an image", got="one without inputs", fix="Export it again."
        )
    first = reader.inputs[0].tensor
    table: dict[str, Any] = {"layout": _layout(first, format_), "range": [0.0, 1.0]}
    if first.dtype in ("float16", "uint8"):
        table |= {"dtype": first.dtype, "range": [0.0, 255.0] if first.dtype == "uint8" else [0.0, 1.0]}
    if len(reader.inputs) > 1:
        table["inputs"] = _roles([i.name for i in reader.inputs])
    return table


def _roles(names: Sequence[str]) -> list[str]:
    """Return names that a manifest may use for a file's inputs."""
    plain = [re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:40] for name in names]
    sound = len(set(plain)) == len(plain) and all(re.fullmatch(r"[a-z][a-z0-9_]{0,39}", n) for n in plain)
    return plain if sound else [f"input_{i + 1}" for i in range(len(names))]


def _layout(tensor: Tensor, format_: Format) -> str:
    """Return the layout that a file's input has: where its channels are, else as its framework has them."""
    usual = "NHWC" if format_ in _NHWC else "NCHW"
    if tensor.shape is None:
        return usual
    if len(tensor.shape) == 2:
        return "flat"
    if len(tensor.shape) != 4:
        shown = " × ".join("?" if d is None else str(d) for d in tensor.shape)
        raise ModelProblem(
            "model-shape",
            expected="an input of 4 axes: one image, its height, width and channels",
            got=f"{shown} in the file",
            fix="Export the network for images.",
        )
    fitting = [layout for layout, axes in AXES.items() if tensor.shape[axes[2]] in CHANNELS]
    return fitting[0] if len(fitting) == 1 else usual


def _shape(model: Model, tensor: Tensor, height: int, width: int) -> tuple[int, ...]:
    """Return the shape of an input for one image; three channels where the file leaves them open."""
    if model.layout == "flat":
        return (1, height * width * _COLOURS)
    channels = (tensor.shape[AXES[model.layout][2]] if tensor.shape is not None else None) or _COLOURS
    return (1, height, width, channels) if model.layout == "NHWC" else (1, channels, height, width)


def _of_python(restorer: PythonRestorer, inputs: int, height: int, width: int) -> Listed:
    """Return the operators of torch that run in a submission's own function, on gray noise."""
    if "torch" not in sys.modules:
        finding = Finding.warning(
            "cost-unseen",
            "",
            "code that runs a network by torch",
            "code that does not use torch",
            'Hand in a model file, or kind = "network", to have its operators counted.',
        )
        return Listed(Graph(parameters=None, ops=()), Passes((height, width), 1), (finding,))
    from evaluator.runners.models.graphs.torch import function_graph

    random = np.random.default_rng(0)
    images = [Pixels(random.integers(0, 256, (height, width, 3), np.uint8), 255.0) for _ in range(inputs)]
    graph = function_graph(lambda: restorer.restore(images))
    return Listed(graph, Passes((height, width), 1), graph.findings)
