"""From a submission's folder and manifest to something that restores images."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from evaluator.ingest.manifest import Artefact, Format, Manifest
from evaluator.runners.models.contract import Loaded, ModelRestorer, Restorer
from evaluator.runners.models.files import check_plain, checked_file
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
    folder: Path,
    manifest: Manifest,
    role: Literal["quality", "latency"] = "quality",
    threads: int = 1,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Restorer:
    """Load what a submission of kind `model` or `python` brings.

    Args:
        folder: a private copy of the submission.
        manifest: its manifest.
        role: which artefact; where there is no `latency` artefact, `quality` is both. Python code has no roles.
        threads: how many threads the framework may use for one operation.
        device: where a model of torch runs; Python code decides for itself.

    Raises:
        ModelProblem: the file is missing, unsafe, of another format, or cannot be loaded.
        ValueError: the submission brings outputs, not a model.
    """
    if manifest.python is not None:
        return PythonRestorer(folder, manifest.python.entry)
    if manifest.network is not None and manifest.model is not None:
        from evaluator.runners.models.network import load_network

        network = load_network(folder, manifest.network, manifest.model, threads)
        return ModelRestorer(manifest.model, placed(network, device))
    if manifest.model is None or manifest.artefacts is None:
        raise ValueError("there is no model in a submission of outputs")
    artefact = chosen_artefact(manifest, role)
    path = checked(folder, artefact)
    adapter: _Adapter = importlib.import_module(f"evaluator.runners.models.{_MODULES[artefact.format]}")
    loaded = adapter.load(path, artefact, manifest.model.inputs, threads)
    return ModelRestorer(manifest.model, placed(loaded, device))


def placed(loaded: Loaded, device: Literal["cpu", "cuda"]) -> Loaded:
    """Return a loaded model where it is to run.

    Raises:
        ModelProblem: its framework is only run on the processor here, or there is no such device.
    """
    if device == "cpu":
        return loaded
    from evaluator.runners.models.torchscript import TorchModule

    if not isinstance(loaded, TorchModule):
        raise ModelProblem(
            "device",
            expected="a model of torch (TorchScript, torch.export, or a network in code) to run on CUDA",
            got="a model of another framework",
            fix="Leave out --device, or hand it in for torch.",
        )
    loaded.to_cuda()
    return loaded


def chosen_artefact(manifest: Manifest, role: Literal["quality", "latency"]) -> Artefact:
    """Return the artefact for a role; where there is none for latency, quality is both."""
    assert manifest.artefacts is not None  # noqa: S101 - asked of models only
    return (manifest.artefacts.latency if role == "latency" else None) or manifest.artefacts.quality


def checked(folder: Path, artefact: Artefact) -> Path:
    """Return the artefact's path; it and, of a folder, all in it must be plain files with one name each.

    Raises:
        ModelProblem: it is missing, a link, or of another kind.
    """
    path = checked_file(folder, artefact.file, "[artefacts]")
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
