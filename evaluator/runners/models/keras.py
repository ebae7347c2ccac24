"""Keras files (.keras), run by Keras on TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_keras import check_keras
from evaluator.runners.models.contract import Loaded
from evaluator.runners.models.names import pick_inputs, pick_output
from evaluator.runners.models.problem import Foreign, keras_on, loading, runtime
from evaluator.runners.models.tensorflow import described, framework


class KerasModel:
    """A Keras model that takes tensors by name. See `Loaded`."""

    def __init__(self, model: Foreign, names: list[str], artefact: Artefact) -> None:
        """Take a model, and the names of its inputs in the order of the manifest."""
        described_by_name = {tensor.name: described(tensor) for tensor in model.inputs}
        self.inputs = tuple(described_by_name[name] for name in names)
        self._model = model
        self._order = [names.index(tensor.name) for tensor in model.inputs]
        self._artefact = artefact

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`."""
        given = [tensors[position] for position in self._order]
        output = self._model(given if len(given) > 1 else given[0], training=False)
        if isinstance(output, dict):
            output = output[pick_output(self._artefact, list(output))]
        elif isinstance(output, list | tuple):
            output = output[int(pick_output(self._artefact, [str(i) for i in range(len(output))]))]
        return np.asarray(output)


def open_keras(path: Path) -> tuple[Foreign, Foreign]:
    """Return Keras, and the model of a .keras file that was looked at before it was loaded.

    Raises:
        ModelProblem: the file is unsafe or cannot be loaded, or Keras is not installed.
    """
    with keras_on("tensorflow"):
        keras = runtime("keras", "tensorflow")
    check_keras(path)
    with loading("a Keras file that Keras loads in its safe mode"):
        return keras, keras.saving.load_model(str(path), compile=False, safe_mode=True)


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load a .keras file; see `load_model`. Its inputs are named by their input layers."""
    framework(threads)
    _, model = open_keras(path)
    with loading("a Keras model with named inputs"):
        offered = [tensor.name for tensor in model.inputs]
    return KerasModel(model, pick_inputs(artefact, names, offered), artefact)
