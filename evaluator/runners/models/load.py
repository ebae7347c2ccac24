"""From a submission's folder and manifest to something that restores images."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from evaluator.ingest.manifest import Artefact, Format, Manifest
from evaluator.runners.models.contract import Loaded, ModelRestorer, Restorer
from evaluator.runners.models.files import check_plain
from evaluator.runners.models.problem import ModelProblem
from evaluator.runners.models.python import PythonRestorer

_MODULES: dict[Format, str] = {
    "tflite": "tflite",
    "onnx": "onnx",
    "torchscript": "torchscript",
    "pt2": "pt2",
    "keras": "keras",
    "savedmodel": "tensorflow",
    "frozen": "tensorflow",
}


class _Adapter(Protocol):
    def load(self, path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded: ...


def load_model(
    folder: Path, manifest: Manifest, role: Literal["quality", "latency"] = "quality", threads: int = 1
) -> Restorer:
    """Load what a submission of kind `model` or `python` brings.

    Args:
        folder: a private copy of the submission.
        manifest: its manifest.
        role: which artefact; where there is no `latency` artefact, `quality` is both. Python code has no roles.
        threads: how many threads the framework may use for one operation.

    Raises:
        ModelProblem: the file is missing, unsafe, of another format, or cannot be loaded.
        ValueError: the submission brings outputs, not a model.
    """
    if manifest.python is not None:
        return PythonRestorer(folder, manifest.python.entry)
    if manifest.model is None or manifest.artefacts is None:
        raise ValueError("there is no model in a submission of outputs")
    artefact = manifest.artefacts.quality
    if role == "latency" and manifest.artefacts.latency is not None:
        artefact = manifest.artefacts.latency
    path = _checked(folder, artefact)
    adapter: _Adapter = importlib.import_module(f"evaluator.runners.models.{_MODULES[artefact.format]}")
    return ModelRestorer(manifest.model, adapter.load(path, artefact, manifest.model.inputs, threads))


def _checked(folder: Path, artefact: Artefact) -> Path:
    """Return the artefact's path; it and, of a folder, all in it must be plain files with one name each."""
    path = folder
    for part in Path(artefact.file).parts:
        path = path / part
        if path.is_symlink():
            check_plain(path)
    if not path.exists():
        raise ModelProblem(
            "model-missing",
            expected=f"{artefact.file}, which the manifest names",
            got="no such file",
            fix="Add it, or correct file in [artefacts].",
        )
    if path.is_dir() != (artefact.format == "savedmodel"):
        raise ModelProblem(
            "model-format",
            expected="a folder" if artefact.format == "savedmodel" else f"a file of format {artefact.format}",
            got="a folder" if path.is_dir() else "a file",
            fix="Correct file or format in [artefacts].",
        )
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        check_plain(file)
    return path
