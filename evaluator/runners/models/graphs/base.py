"""What the readers of all formats have in common."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evaluator.efficiency.ops import Graph
from evaluator.ingest.manifest import Artefact, Format
from evaluator.runners.models.contract import Tensor

_MODULES: dict[Format, str] = {
    "tflite": "tflite",
    "onnx": "onnx",
    "torchscript": "torch",
    "pt2": "torch",
    "keras": "tensorflow",
    "savedmodel": "tensorflow",
    "frozen": "tensorflow",
}


@dataclass(frozen=True)
class Input:
    """An input as the file names and describes it."""

    name: str
    tensor: Tensor


class GraphReader(Protocol):
    """A model file whose operators can be listed."""

    inputs: tuple[Input, ...]
    """In the file's own order."""

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """Return the operators that run on inputs of these shapes, each with its own shapes.

        Nothing is computed where shapes alone tell. An operator that has no rule is listed as `unknown`; one whose
        shapes cannot be known is listed as far as they are, with a finding `cost-shape`.

        Args:
            shapes: of the inputs, as the file lays them out, in the order of `inputs`.

        Raises:
            ModelProblem: the model does not take inputs of these shapes, or cannot be read at all.
        """
        ...


class _Adapter(Protocol):
    def open_graph(self, path: Path, artefact: Artefact) -> GraphReader: ...


def open_graph(path: Path, artefact: Artefact) -> GraphReader:
    """Open a model file to list its operators.

    Custom operators, which keep a model from being run here, do not keep it from being listed.

    Args:
        path: the file, or the folder of a SavedModel; checked to be plain.
        artefact: the file's entry in the manifest; its format, its input and output tensors.

    Raises:
        ModelProblem: the file is unreadable, unsafe to read, or what reads it is not installed.
    """
    adapter: _Adapter = importlib.import_module(f"evaluator.runners.models.graphs.{_MODULES[artefact.format]}")
    return adapter.open_graph(path, artefact)
