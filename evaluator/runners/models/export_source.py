"""What can be exported: a .keras file, a function that builds a network, or a submission's network with its weights."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluator.findings import did_you_mean
from evaluator.ingest import FILE_NAME, Manifest, baseline_files, baseline_names, baselines_folder
from evaluator.runners.models.keras import open_keras
from evaluator.runners.models.network import build_network, is_keras
from evaluator.runners.models.problem import Foreign, ModelProblem, keras_on, loading
from evaluator.typed_toml import parse_toml

INPUTS = ("image",)


@dataclass(frozen=True)
class Source:
    """A network that was built from what was named."""

    network: Foreign
    """A Keras model on the backend that was asked for, or a torch module."""
    is_keras: bool
    inputs: tuple[str, ...]
    """Names of a torch module's inputs, as its manifest has them; a Keras model names its own."""
    stem: Path
    """Where an export goes, but for its suffix."""
    multiple: int = 1
    """Of which height and width are multiples, as its manifest has it."""


def open_source(source: str, backend: str) -> Source:
    """Build a network; the code is run as it is: it is the user's own.

    Args:
        source: a .keras file; `FILE.py:function`, where the function takes nothing and returns the network; the folder
            of a submission with kind = "network"; or a baseline's name.
        backend: Keras's, `tensorflow` or `torch`, unless it is loaded already.

    Raises:
        ModelProblem: there is no such thing, it cannot be loaded, or its framework is not installed.
    """
    with keras_on(backend):
        return _opened(source)


def _opened(source: str) -> Source:
    folder = baselines_folder() / source if source in baseline_names() and not Path(source).exists() else Path(source)
    file, colon, function = source.rpartition(":")
    if colon and file.endswith(".py"):
        network = _called(Path(file), function)
        return Source(network, is_keras(network), INPUTS, Path(file))
    if source.endswith(".keras") and Path(source).is_file():
        return Source(open_keras(Path(source))[1], True, (), Path(source))
    if (folder / FILE_NAME).is_file():
        return _submitted(folder)
    raise ModelProblem(
        "model-format",
        expected="a .keras file, FILE.py:function for code that builds the model, a folder of a network with its "
        "submission.toml, or a baseline's name",
        got=source if Path(source).exists() else f"{source}, which is not there",
        fix=f"Save the model with model.save('name.keras').{did_you_mean(source, baseline_names())}",
    )


def _submitted(folder: Path) -> Source:
    manifest, findings = parse_toml(Manifest, (folder / FILE_NAME).read_bytes(), FILE_NAME, "manifest")
    if manifest is None or manifest.network is None or manifest.model is None:
        got = findings[0].got if findings else f'kind = "{manifest.kind}"' if manifest else "a damaged one"
        fix = "Name the file of the model itself." if not findings else "See `evaluate check`."
        raise ModelProblem("model-format", expected=f'{FILE_NAME} of kind = "network"', got=got, fix=fix)
    with tempfile.TemporaryDirectory() as private:
        if folder.resolve().parent == baselines_folder().resolve():
            for name, path in baseline_files(folder.resolve().name).items():
                shutil.copyfile(path, Path(private) / name)
            built = build_network(Path(private), manifest.network)
        else:
            built = build_network(folder, manifest.network)
    model = manifest.model
    return Source(built, is_keras(built), model.inputs, Path(folder.resolve().name), model.size_multiple)


def _called(file: Path, function: str) -> object:
    with loading(f"a Python file with a function {function} that takes nothing"):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise FileNotFoundError(f"{file} is not there")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        build: Callable[[], object] = getattr(module, function)
        return build()
