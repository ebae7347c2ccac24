"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_onnx import check_onnx
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.names import pick_inputs, pick_output
from evaluator.runners.models.problem import Foreign, loading, runtime

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


class _Onnx:
    def __init__(self, session: Foreign, names: list[str], output: str) -> None:
        self._session = session
        self._names = names
        self._output = output
        described = {i.name: i for i in session.get_inputs()}
        self.inputs = tuple(
            Tensor(
                tuple(d if isinstance(d, int) and d > 0 else None for d in described[name].shape),
                _TYPES.get(described[name].type, described[name].type),
            )
            for name in names
        )

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`."""
        (output,) = self._session.run([self._output], dict(zip(self._names, tensors, strict=True)))
        return np.asarray(output)


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load an ONNX file; see `load_model`."""
    runtime_module = runtime("onnxruntime", "onnx")
    check_onnx(path)
    options = runtime_module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with loading("an ONNX file that ONNX Runtime loads"):
        session = runtime_module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    chosen = pick_inputs(artefact, names, [i.name for i in session.get_inputs()])
    return _Onnx(session, chosen, pick_output(artefact, [o.name for o in session.get_outputs()]))
