"""Export a Keras model of the user's own to TensorFlow Lite, as phones run it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.runners.models.keras import open_keras
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime
from evaluator.runners.models.tensorflow import described, framework, frozen_function

Sides = tuple[int, int]


@dataclass(frozen=True)
class Exported:
    """A file that was written; `?` in a shape is a size that is left open."""

    file: Path
    bytes: int
    sha256: str
    inputs: tuple[str, ...]
    """Name, type and shape of each, as in `image float32 1 × ? × ? × 3`."""
    outputs: tuple[str, ...]


def export_tflite(source: str, out: Path | None, *, size: Sides | None = None, half: bool = False) -> Exported:
    """Write a Keras model as a TFLite file with TensorFlow Lite's own operators only, for one image at a time.

    Args:
        source: a .keras file, or `FILE.py:function`, where the function takes nothing and returns a `keras.Model`. The
            code is run as it is: it is the user's own.
        out: where to write; beside the source, with the suffix `.tflite`, if None.
        size: height and width to fix the inputs to. Open ones stay open if None.
        half: store the weights as float16; they are computed with as the device likes.

    Raises:
        ModelProblem: the source cannot be loaded or converted, or TensorFlow is not installed.
        OSError: the file cannot be written.
    """
    tensorflow = framework(os.cpu_count() or 1)
    keras, model, stem = _model(source)
    with loading("a model that TensorFlow Lite can express"):
        data = _converted(tensorflow, _traceable(tensorflow, keras, model), size, half)
    target = out or stem.with_suffix(".tflite")
    target.write_bytes(data)
    inputs, outputs = _ends(data)
    return Exported(target, len(data), hashlib.sha256(data).hexdigest(), inputs, outputs)


def _model(source: str) -> tuple[Foreign, Foreign, Path]:
    """Return Keras, the model, and the file that it comes from."""
    file, colon, function = source.rpartition(":")
    if colon and file.endswith(".py"):
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        keras = runtime("keras", "tensorflow")
        model = _built(Path(file), function)
        if not isinstance(model, keras.Model):
            raise ModelProblem(
                "model-load",
                expected=f"a keras.Model from {function}()",
                got=type(model).__name__,
                fix="Return the model itself, built.",
            )
        return keras, model, Path(file)
    if source.endswith(".keras") and Path(source).is_file():
        keras, model = open_keras(Path(source))
        return keras, model, Path(source)
    raise ModelProblem(
        "model-format",
        expected="a .keras file, or FILE.py:function for code that builds the model",
        got=source if Path(source).exists() else f"{source}, which is not there",
        fix="Save the model with model.save('name.keras').",
    )


def _built(file: Path, function: str) -> object:
    with loading(f"a Python file with a function {function} that takes nothing"):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise FileNotFoundError(f"{file} is not there")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        build: Callable[[], object] = getattr(module, function)
        return build()


def _traceable(tensorflow: Foreign, keras: Foreign, model: Foreign) -> Foreign:
    """Return the model with layers that can be traced at open sizes.

    Keras 3.15 compares the size that a smooth UpSampling2D aims at with 0, which a size known only at run time refuses.
    """

    def smooth(layer: Foreign) -> bool:
        return isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation != "nearest"

    if not any(smooth(layer) for layer in model._flatten_layers()):
        return model

    class Upsampling(keras.layers.UpSampling2D):  # type: ignore[misc]  # Keras brings no types
        def call(self, inputs: Foreign) -> Foreign:
            size = tensorflow.shape(inputs)[1:3] * tensorflow.constant(self.size)
            return tensorflow.image.resize(inputs, size, method=self.interpolation)

    def replaced(layer: Foreign) -> Foreign:
        cls = Upsampling if smooth(layer) and layer.data_format == "channels_last" else type(layer)
        return cls.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=replaced, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _converted(tensorflow: Foreign, model: Foreign, size: Sides | None, half: bool) -> bytes:
    specs = [
        tensorflow.TensorSpec(_fixed(described(tensor).shape, size), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]

    def network(*images: Foreign) -> Any:  # noqa: ANN401 - one tensor or several
        return model(list(images) if len(images) > 1 else images[0], training=False)

    function = tensorflow.function(network, input_signature=specs, autograph=False)
    # Frozen beforehand: else the weights become variables of the file, which nothing sets.
    frozen = frozen_function(function.get_concrete_function())
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([frozen], tensorflow.Module())
    if half:
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tensorflow.float16]
    data: bytes = converter.convert()
    return data


def _fixed(shape: tuple[int | None, ...] | None, size: Sides | None) -> tuple[int | None, ...] | None:
    if shape is None or len(shape) != 4:
        return shape
    height, width = size or (shape[1], shape[2])
    if any(own not in (None, asked) for own, asked in zip(shape[1:3], (height, width), strict=True)):
        raise ModelProblem(
            "model-shape",
            expected=f"a model that takes {width}×{height} pixels",
            got=f"one that is fixed to {shape[2]}×{shape[1]}",
            fix="Leave --input out, or build the model with open sizes.",
        )
    return (1, height, width, shape[3])


def _ends(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from tensorflow.lite.python import schema_py_generated as schema

    graph = schema.Model.GetRootAsModel(data, 0).Subgraphs(0)
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}

    def shown(index: int) -> str:
        tensor = graph.Tensors(index)
        sizes = [int(tensor.Shape(i)) for i in range(tensor.ShapeLength())]
        if tensor.ShapeSignatureLength():
            sizes = [int(tensor.ShapeSignature(i)) for i in range(tensor.ShapeSignatureLength())]
        axes = " × ".join("?" if n < 0 else str(n) for n in sizes)
        return f"{tensor.Name().decode('utf-8', 'replace')} {types.get(tensor.Type(), '?')} {axes}"

    return (
        tuple(shown(graph.Inputs(i)) for i in range(graph.InputsLength())),
        tuple(shown(graph.Outputs(i)) for i in range(graph.OutputsLength())),
    )
