"""A look at a .keras file before Keras loads it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from evaluator.runners.models.files import ModelArchive, unsafe
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime

_WEIGHTS = "model.weights.h5"
_MEMBERS = {"metadata.json", "config.json", _WEIGHTS}
# Layers that run code or another program's model, and whatever is no computation on tensors.
_NO_LAYERS = {"Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "StringLookup", "IntegerLookup"}
_NO_LAYERS |= {"TextVectorization", "HashedCrossing", "Hashing", "FeatureSpace", "Pipeline", "STFTSpectrogram"}
_MODULES = {
    "keras",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.models",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.models.sequential",
    "keras.src.ops.image",
    "keras.src.ops.math",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
}
# What a graph of layers holds in its configuration without a module of its own.
_PLAIN = {"__keras_tensor__", "__tensor__", "__numpy__", "__ellipsis__", "__slice__"}
# What Keras builds only when it compiles a model, which is not done here.
_TRAINING = {"compile_config", "build_config"}


def check_keras(path: Path) -> None:
    """Refuse archives with more in them than layers of Keras and their weights.

    Raises:
        ModelProblem: it is unsafe, or no .keras file.
    """
    archive = ModelArchive(path, "a .keras file")
    if _MEMBERS - set(archive.names):
        raise ModelProblem(
            "model-format",
            expected="a .keras file",
            got=f"an archive without {', '.join(sorted(_MEMBERS - set(archive.names)))}",
            fix="Save it with Keras 3: model.save('name.keras').",
        )
    more = [name for name in archive.names if name not in _MEMBERS and not name.endswith("/")]
    if more:
        raise unsafe("configuration and weights only", f"{more[0]!r} in the archive")
    with loading("JSON in the archive"):
        config = json.loads(archive.read("config.json"))
    _check_config(config)
    _check_weights(archive.read(_WEIGHTS, limit=2**32))


def _check_config(config: Foreign) -> None:
    waiting: list[Any] = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            is_object = "class_name" in item
            if is_object:
                _check_class(item)
            waiting.extend(value for key, value in item.items() if not (is_object and key in _TRAINING))


def _check_class(item: dict[str, Any]) -> None:
    import keras

    name, module, registered = item["class_name"], item.get("module"), item.get("registered_name")
    if module is None and name in _PLAIN:
        return
    shown = repr(f"{module}.{name}"[:100])
    if not isinstance(name, str) or registered not in (None, name):
        raise unsafe("classes of Keras", f"{shown}, registered as {str(registered)[:60]!r}")
    if module == "keras.layers":
        if name in _NO_LAYERS or not _is_layer(getattr(keras.layers, name, None)):
            raise unsafe("layers of Keras that only compute", shown)
    elif module not in _MODULES or name == "function":
        raise unsafe("classes of Keras", shown)


def _is_layer(found: object) -> bool:
    import keras

    return isinstance(found, type) and issubclass(found, keras.layers.Layer)


def _check_weights(data: bytes) -> None:
    h5py = runtime("h5py", "tensorflow")
    with loading("weights in HDF5"), h5py.File(io.BytesIO(data), "r") as file:
        waiting = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise unsafe("weights inside the file", f"a link named {name!r}")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                elif item.external or item.is_virtual or item.dtype.kind not in "fiub":
                    raise unsafe("weights as numbers inside the file", f"{name!r}, which is none")
