"""Arrays of checkpoints, by name, read without running any code that they may hold."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime
from evaluator.runners.models.tensorflow import framework

Arrays = dict[str, NDArray[np.float32]]
_PTH = (".pth", ".pt", ".ckpt")
_WRAPPERS = ("state_dict", "params", "model")
"""Keys under which training scripts put the weights, beside the state of their own."""
_SLOT = re.compile(
    r"(?:^|/)(?:Adam(?:_\d+)?|Momentum|RMSProp(?:_\d+)?|Adagrad|beta[12]_power(?:_\d+)?|global_step"
    r"|save_counter|_CHECKPOINTABLE_OBJECT_GRAPH)(?:/|$)"
)
"""What optimisers and TensorFlow itself store beside the variables of a network."""


def read_checkpoint(path: Path) -> Arrays:
    """Return the arrays of a checkpoint: `.npz`, `.pth`, or TensorFlow's, of which the `.index` file is named.

    A prefix that all names share for a technical reason (`generator/`, `module.`) is left out.

    Raises:
        ModelProblem: it is of another format or damaged, holds something other than arrays of numbers, or the framework
            that reads it is not installed.
    """
    if not path.is_file():
        raise ModelProblem("model-missing", expected="a checkpoint", got="no such file", fix="Correct the path.")
    reader = _reader(path)
    with loading(f"a checkpoint with the suffix {path.suffix}"):
        found = reader(path)
    arrays = {}
    for name, value in found.items():
        if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            got = f"{name}, which holds " + ("NaN or infinity" if value.dtype.kind == "f" else value.dtype.name)
            raise ModelProblem("checkpoint-arrays", expected="finite numbers", got=got, fix="Take another checkpoint.")
        arrays[name] = np.asarray(value, np.float32)
    return arrays


def _reader(path: Path) -> Callable[[Path], dict[str, NDArray[Any]]]:
    if path.suffix == ".npz":
        return _npz
    if path.suffix in _PTH:
        return _pth
    if path.suffix == ".index":
        return _tensorflow
    raise ModelProblem(
        "checkpoint-format",
        expected="a .npz or .pth file, or the .index file of a TensorFlow checkpoint",
        got=f"a file with the suffix {path.suffix!r}",
        fix="Name the file as its authors publish it, or save its arrays with numpy.savez.",
    )


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise ValueError("no zip archive, as .npz files are")
    with np.load(path, allow_pickle=False) as archive:
        return _plain({name.replace("|", "/"): archive[name] for name in archive.files})


def _pth(path: Path) -> dict[str, NDArray[Any]]:
    torch = runtime("torch", "torch")
    # Pickles may run code; with weights_only torch reads tensors and containers, and refuses all else.
    found: Foreign = torch.load(path, map_location="cpu", weights_only=True)
    for key in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError("no dictionary of tensors")
    arrays = {str(name): value.detach().numpy() for name, value in found.items()}
    return {_without(name, "module."): value for name, value in arrays.items()}


def _tensorflow(path: Path) -> dict[str, NDArray[Any]]:
    tensorflow = framework(1)
    reader = tensorflow.train.load_checkpoint(str(path.with_suffix("")))
    names = [name for name in reader.get_variable_to_shape_map() if not _SLOT.search(name)]
    return _plain({name: np.asarray(reader.get_tensor(name)) for name in names})


def _plain(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Leave out what belongs to the optimiser, and the scope of the network."""
    return {_without(name, "generator/"): value for name, value in arrays.items() if not _SLOT.search(name)}


def _without(name: str, prefix: str) -> str:
    while name.startswith(prefix):
        name = name.removeprefix(prefix)
    return name
