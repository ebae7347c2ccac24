"""Export hostile models: `python make_models.py FRAMEWORK REFERENCE.png RAW.bin WATCHED FOLDER`, in its own process."""

from __future__ import annotations

import io
import os
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

framework, reference, raw, watched = sys.argv[1:5]
folder = Path(sys.argv[5])
HEIGHT, WIDTH = 20, 24


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (f"{watched}/unpickled",)


def with_torch() -> None:
    """TorchScript and exported programs."""
    import torch

    class Reading(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values = torch.from_file("REFERENCE", size=20 * 24 * 3, dtype=torch.uint8)
            return values.reshape(1, 3, 24, 20).transpose(2, 3).float() / 255 + x * 0

    class Endless(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while bool(x.sum() < 1e9):
                x = x * 0.5
            return x

    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.ones([1 << 36]).sum()

    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 1

    for name, module in (("endless", Endless()), ("greedy", Greedy())):
        torch.jit.script(module).save(str(folder / f"{name}.pt"))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Reading()), buffer)
    rewrite(buffer, folder / "reading.pt", lambda _, data: data.replace(b"REFERENCE", raw.encode()))
    torch.save({"weights": Evil()}, folder / "pickled.pt")
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Same(), (torch.rand(1, 3, HEIGHT, WIDTH),)), buffer)
    pickled = io.BytesIO()
    torch.save(Evil(), pickled)
    rewrite(
        buffer,
        folder / "pickled.pt2",
        lambda name, data: pickled.getvalue() if "sample_inputs" in name else data,
    )


def rewrite(source: io.BytesIO, target: Path, change: Any) -> None:
    """Rewrite a zip archive member by member."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def with_tensorflow() -> None:
    """SavedModels, frozen graphs, Keras files and TFLite files."""
    import keras
    import tensorflow as tf

    image = tf.TensorSpec((1, HEIGHT, WIDTH, 3), tf.float32, name="image")

    def read(x: tf.Tensor) -> tf.Tensor:
        found = tf.io.decode_png(tf.io.read_file(reference), channels=3)
        return tf.cast(found, tf.float32)[None] / 255 + x * 0

    def write(x: tf.Tensor) -> tf.Tensor:
        tf.io.write_file(f"{watched}/written", "owned")
        return tf.identity(x)

    for name, function in (("reading", read), ("writing", write)):
        signature = tf.function(function).get_concrete_function(image)
        tf.saved_model.save(tf.Module(), str(folder / name), signatures={"serving_default": signature})

    graph = tf.Graph()
    with graph.as_default():
        given = tf.compat.v1.placeholder(tf.float32, (1, HEIGHT, WIDTH, 3), name="input")
        tf.identity(read(given), name="output")
    (folder / "reading.pb").write_bytes(graph.as_graph_def().SerializeToString())

    given = keras.Input((HEIGHT, WIDTH, 3))
    layer = keras.layers.Lambda(lambda x: x * (__import__("os").getpid() > 0), output_shape=(HEIGHT, WIDTH, 3))
    keras.Model(given, layer(given)).save(folder / "lambda.keras")

    def endless(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 1e9, lambda y: (y * 0.5,), (x,))[0]

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(endless).get_concrete_function(image)], tf.Module()
    )
    (folder / "endless.tflite").write_bytes(converter.convert())


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with_torch() if framework == "torch" else with_tensorflow()
