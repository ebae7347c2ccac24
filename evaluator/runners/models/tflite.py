"""TFLite files, run by LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_tflite import check_tflite
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.names import pick_inputs, pick_output
from evaluator.runners.models.problem import Foreign, loading, runtime


class _TFLite:
    def __init__(self, interpreter: Foreign, inputs: list[Foreign], output: Foreign) -> None:
        self._interpreter = interpreter
        self._inputs = inputs
        self._output = output
        self._shapes: list[tuple[int, ...]] = []
        self.inputs = tuple(_described(detail) for detail in inputs)

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`; of quantised files it takes and gives real values."""
        shapes = [tensor.shape for tensor in tensors]
        if shapes != self._shapes:
            for detail, shape in zip(self._inputs, shapes, strict=True):
                self._interpreter.resize_tensor_input(detail["index"], shape, strict=True)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for detail, tensor in zip(self._inputs, tensors, strict=True):
            self._interpreter.set_tensor(detail["index"], _quantised(tensor, detail))
        self._interpreter.invoke()
        return _real(self._interpreter.get_tensor(self._output["index"]), self._output)


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load a TFLite file; see `load_model`."""
    module = runtime("ai_edge_litert.interpreter", "tflite")
    data = path.read_bytes()
    check_tflite(data)
    with loading("a TFLite file that the interpreter loads"):
        interpreter = module.Interpreter(model_content=data, num_threads=threads)
        inputs = {detail["name"]: detail for detail in interpreter.get_input_details()}
        outputs = {detail["name"]: detail for detail in interpreter.get_output_details()}
    chosen = [inputs[name] for name in pick_inputs(artefact, names, list(inputs))]
    return _TFLite(interpreter, chosen, outputs[pick_output(artefact, list(outputs))])


def _scale(detail: Foreign) -> tuple[float, int] | None:
    parameters = detail["quantization_parameters"]
    if len(parameters["scales"]) != 1:
        return None
    return float(parameters["scales"][0]), int(parameters["zero_points"][0])


def _described(detail: Foreign) -> Tensor:
    shape = tuple(int(d) if d > 0 else None for d in detail["shape_signature"])
    return Tensor(shape, None if _scale(detail) else np.dtype(detail["dtype"]).name)


def _quantised(tensor: NDArray[Any], detail: Foreign) -> NDArray[Any]:
    scale = _scale(detail)
    if scale is None:
        return tensor
    limits = np.iinfo(detail["dtype"])
    whole = np.rint(tensor.astype(np.float64) / scale[0]) + scale[1]
    return np.asarray(np.clip(whole, limits.min, limits.max), detail["dtype"])


def _real(tensor: NDArray[Any], detail: Foreign) -> NDArray[Any]:
    scale = _scale(detail)
    if scale is None:
        return tensor
    return ((tensor.astype(np.float64) - scale[1]) * scale[0]).astype(np.float32)
