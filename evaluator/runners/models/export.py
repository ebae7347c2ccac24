"""Export networks: Keras models to TensorFlow Lite, as phones run it, and torch modules and Keras models to ONNX."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.findings import EvaluatorError
from evaluator.runners.models.export_source import Source, open_source
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime
from evaluator.runners.models.tensorflow import described, framework, frozen_function

Sides = tuple[int, int]
_TRIED = (1, 64, 96, 128)
"""Sides of the image that a network is traced with, by axis; multiples of 32."""


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
        source: see `open_source`.
        out: where to write; beside the source, with the suffix `.tflite`, if None.
        size: height and width to fix the inputs to. Open ones stay open if None.
        half: store the weights as float16; they are computed with as the device likes.

    Raises:
        ModelProblem: the source cannot be loaded or converted, or TensorFlow is not installed.
        EvaluatorError: there is no folder for the file.
        OSError: the file cannot be written.
    """
    _see_folder(out)
    tensorflow = framework(os.cpu_count() or 1)
    opened = open_source(source, "tensorflow")
    if not opened.is_keras:
        raise ModelProblem(
            "model-load",
            expected="a keras.Model",
            got=type(opened.network).__name__,
            fix="Return the model itself, built; a torch module goes to ONNX: --to onnx.",
        )
    keras = runtime("keras", "tensorflow")
    with loading("a model that TensorFlow Lite can express"):
        data = _converted(tensorflow, _traceable(tensorflow, keras, opened.network), size, half)
    target = out or opened.stem.with_suffix(".tflite")
    target.write_bytes(data)
    inputs, outputs = _ends(data)
    return Exported(target, len(data), hashlib.sha256(data).hexdigest(), inputs, outputs)


def export_onnx(source: str, out: Path | None, *, size: Sides | None = None) -> Exported:
    """Write a torch module or a Keras model as an ONNX file, for one image at a time; it is traced by torch.

    Args:
        source: see `open_source`.
        out: where to write; beside the source, with the suffix `.onnx`, if None.
        size: height and width to fix the inputs to. Open ones stay open if None.

    Raises:
        ModelProblem: the source cannot be loaded or converted, or torch or onnxscript is not installed.
        EvaluatorError: there is no folder for the file.
        OSError: the file cannot be written.
    """
    _see_folder(out)
    torch = runtime("torch", "torch")
    runtime("onnxscript", "onnx")
    opened = open_source(source, "torch")
    if opened.is_keras and runtime("keras", "torch").backend.backend() != "torch":
        fix = "Leave KERAS_BACKEND out of the environment."
        raise ModelProblem("model-load", expected="Keras on torch", got="another backend", fix=fix)
    target = out or opened.stem.with_suffix(".onnx")
    with loading("a network that ONNX can express"):
        data = _traced(torch, opened, size)
    target.write_bytes(data)
    inputs, outputs = _onnx_ends(data)
    return Exported(target, len(data), hashlib.sha256(data).hexdigest(), inputs, outputs)


def _see_folder(out: Path | None) -> None:
    """See that there is a folder before the work is done.

    Raises:
        EvaluatorError: there is none.
    """
    if out is not None and not out.parent.is_dir():
        raise EvaluatorError(f"{out} cannot be written: {out.parent} is no folder. Make it, or name another FILE.")


def _traced(torch: Foreign, opened: Source, size: Sides | None) -> bytes:
    network = opened.network.eval()
    if opened.is_keras:
        names = [tensor.name for tensor in network.inputs]
        shapes = [_fixed(tuple(tensor.shape), size) or () for tensor in network.inputs]
    else:
        names = list(opened.inputs)
        shapes = [(1, 3, *(size or (None, None)))] * len(names)
    # Sides that differ, so that none is taken for the other or for a constant.
    tried = [tuple(_TRIED[axis] if side is None else side for axis, side in enumerate(shape)) for shape in shapes]
    left = tuple(_left_open(torch, shape, opened.multiple) for shape in shapes)

    class Whole(torch.nn.Module):  # type: ignore[misc]  # torch's own types are not followed
        """What Keras's own call takes besides images hides the images' names and shapes."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *images: Foreign) -> Foreign:
            return self.network(list(images) if opened.is_keras and len(images) > 1 else images[0])

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Whole().eval(),
            tuple(torch.rand(shape) for shape in tried),
            dynamo=True,
            dynamic_shapes=(left,),
            input_names=names,
            output_names=["restored"],
            verbose=False,
        )
    written = io.BytesIO()
    program.save(written)
    return _plain(written.getvalue())


def _plain(data: bytes) -> bytes:
    """Return an ONNX model without what torch notes beside it: stack traces, with the paths of this machine."""
    model = runtime("onnx", "onnx").load_from_string(data)
    _strip(model)
    plain: bytes = model.SerializeToString(deterministic=True)
    return plain


def _strip(message: Foreign) -> None:
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


def _left_open(torch: Foreign, shape: Sequence[int | None], multiple: int) -> dict[int, Foreign]:
    """Return what torch.export has to know of the sides that stay open, by axis.

    With the multiples, padding that a network works out from the size is known to be constant.
    """
    dim = torch.export.Dim
    left = {axis: dim.DYNAMIC for axis, side in enumerate(shape) if side is None}
    if multiple > 1:
        sides = [axis for axis in left if axis]
        left |= {axis: multiple * dim(name, min=2) for axis, name in zip(sides, ("height", "width"), strict=False)}
    return left


def _onnx_ends(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    onnx = runtime("onnx", "onnx")

    graph = onnx.load_from_string(data).graph

    def shown(value: Foreign) -> str:
        tensor = value.type.tensor_type
        axes = " × ".join(str(d.dim_value) if d.HasField("dim_value") else "?" for d in tensor.shape.dim)
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        return f"{value.name} {kind} {axes}"

    return tuple(map(shown, graph.input)), tuple(map(shown, graph.output))


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
