"""Export one small network with TensorFlow: `python make_tensorflow.py WEIGHTS.npz FOLDER`. In a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.python.trackable import resource

archive = np.load(sys.argv[1])
weights = [archive[name] for name in ("w1", "b1", "w2", "b2")]
folder = Path(sys.argv[2])


def network(height: int | None = None, width: int | None = None, batch: int | None = None) -> keras.Model:
    given = keras.Input((height, width, 3), batch_size=batch, name="image")
    inner = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(given)
    model = keras.Model(given, given + keras.layers.Conv2D(3, 3, padding="same")(inner))
    model.set_weights(weights)
    return model


def saved(name: str, function, *specs: tf.TensorSpec, module: tf.Module | None = None) -> None:  # noqa: ANN001
    """Save a SavedModel with `function` as its signature."""
    module = module or tf.Module()
    signature = tf.function(function).get_concrete_function(*specs)
    tf.saved_model.save(module, str(folder / name), signatures={"serving_default": signature})


def frozen(name: str, build) -> None:  # noqa: ANN001
    """Write the graph that `build` makes."""
    graph = tf.Graph()
    with graph.as_default():
        build()
    (folder / name).write_bytes(graph.as_graph_def().SerializeToString())


def compute(x: tf.Tensor) -> tf.Tensor:
    inner = tf.nn.relu(tf.nn.conv2d(x, weights[0], 1, "SAME") + weights[1])
    return x + tf.nn.conv2d(inner, weights[2], 1, "SAME") + weights[3]


IMAGE = tf.TensorSpec((1, None, None, 3), tf.float32, name="image")
SECRET = str(folder / "secret.txt")
Path(SECRET).write_text("one line\n")

model = network()
model.save(folder / "net.keras")
model.export(folder / "exported", verbose=False)
tf.saved_model.save(model, str(folder / "saved"))


# --- frozen graphs -----------------------------------------------------------------------------------------------
def plain() -> None:
    given = tf.compat.v1.placeholder(tf.float32, (1, None, None, 3), name="input")
    tf.identity(compute(given), name="output")
    tf.io.read_file(SECRET, name="unused")  # no harm: the output does not need it, and it is left out


def flat() -> None:
    given = tf.compat.v1.placeholder(tf.float32, (None, 24 * 20 * 3), name="pixels")
    tf.reshape(compute(tf.reshape(given, (-1, 20, 24, 3))), (-1, 24 * 20 * 3), name="enhanced")


def reading() -> None:
    given = tf.compat.v1.placeholder(tf.float32, (1, None, None, 3), name="input")
    size = tf.cast(tf.strings.length(tf.io.read_file(SECRET)), tf.float32)
    tf.identity(given + size, name="output")


frozen("net.pb", plain)
frozen("flat.pb", flat)
frozen("reading.pb", reading)

# --- TensorFlow Lite ---------------------------------------------------------------------------------------------
(folder / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
small = tf.lite.TFLiteConverter.from_keras_model(network(16, 20, 1))
(folder / "fixed.tflite").write_bytes(small.convert())
random = np.random.default_rng(5)
whole = tf.lite.TFLiteConverter.from_keras_model(network(16, 20, 1))
whole.optimizations = [tf.lite.Optimize.DEFAULT]
whole.representative_dataset = lambda: ([random.random((1, 16, 20, 3)).astype(np.float32)] for _ in range(50))
whole.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
whole.inference_input_type = whole.inference_output_type = tf.uint8
(folder / "quantised.tflite").write_bytes(whole.convert())


def changed(name: str, operator: int, custom: bytes | None = None) -> None:
    """Write the network with another operator in place of its first one."""
    net = schema.ModelT.InitFromPackedBuf((folder / "net.tflite").read_bytes(), 0)
    net.operatorCodes[0].builtinCode = operator
    net.operatorCodes[0].deprecatedBuiltinCode = min(operator, 127)
    net.operatorCodes[0].customCode = custom
    builder = flatbuffers.Builder()
    builder.Finish(net.Pack(builder), b"TFL3")
    (folder / name).write_bytes(bytes(builder.Output()))


changed("custom.tflite", schema.BuiltinOperator.CUSTOM, b"FlexReadFile")
changed("variables.tflite", schema.BuiltinOperator.READ_VARIABLE)

# --- SavedModels with more than one input, and with what they must not hold ---------------------------------------
saved(
    "pair",
    lambda left, right: {"mixed": left * 0.25 + right * 0.75, "other": left},
    tf.TensorSpec((1, None, None, 3), tf.float32, name="left"),
    tf.TensorSpec((1, None, None, 3), tf.float32, name="right"),
)
saved("reading", lambda x: x + tf.cast(tf.strings.length(tf.io.read_file(SECRET)), tf.float32), IMAGE)
saved("python", lambda x: tf.reshape(tf.py_function(lambda y: y, [x], tf.float32), tf.shape(x)), IMAGE)
saved("restoring", lambda x: x + tf.raw_ops.RestoreV2(
    prefix=SECRET, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0], IMAGE)  # fmt: skip


def printing(x: tf.Tensor) -> tf.Tensor:
    tf.print("hello", output_stream=f"file://{SECRET}")
    return tf.identity(x)


saved("printing", printing, IMAGE)


def in_a_branch(x: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.reduce_sum(x) > 1e9,
        lambda: x + tf.cast(tf.strings.length(tf.io.read_file(SECRET)), tf.float32),
        lambda: tf.identity(x),
    )


saved("branch", in_a_branch, IMAGE)
table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(SECRET, tf.string, -2, tf.int64, -1), -1)
holder = tf.Module()
holder.table = table
saved("table", lambda x: x + tf.cast(table.lookup(tf.constant("a")), tf.float32), IMAGE, module=holder)


class Starting(resource.CapturableResource):
    """Reads a file when the model is loaded."""

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=(), shared_name="starting")

    def _initialize(self) -> None:
        size = tf.cast(tf.strings.length(tf.io.read_file(SECRET)), tf.float32)
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=size)


holder = tf.Module()
holder.starting = Starting()
saved("starting", lambda x: x + tf.raw_ops.ReadVariableOp(resource=holder.starting.resource_handle, dtype=tf.float32),
      IMAGE, module=holder)  # fmt: skip

# --- Keras files with what they must not hold ----------------------------------------------------------------------
given = keras.Input((None, None, 3))
keras.Model(given, keras.layers.Lambda(lambda x: x * 2)(given)).save(folder / "lambda.keras")


@keras.saving.register_keras_serializable(package="mine")
class Mine(keras.layers.Layer):
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x


keras.Model(given, Mine()(given)).save(folder / "custom.keras")
keras.Model(given, keras.layers.TFSMLayer(str(folder / "exported"), call_endpoint="serving_default")(given)).save(
    folder / "tfsm.keras"
)
