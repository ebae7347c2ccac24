"""Save networks in every format of TensorFlow's: `python make_networks.py LPIENET.py FOLDER`. In a process of its own.

Writes `profiler.json`, too: what TensorFlow's profiler counts on them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.python.framework import ops as registry
from tensorflow.python.profiler.internal.flops_registry import _reduction_op_flops

from evaluator.runners.models.export import export_tflite
from evaluator.runners.models.graphs.tensorflow_graph import inlined
from evaluator.runners.models.tensorflow import frozen_function

folder = Path(sys.argv[2])
spec = importlib.util.spec_from_file_location("lpienet", sys.argv[1])
lpienet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lpienet)


@registry.RegisterStatistics("Max", "flops")
def _maximum(graph: tf.Graph, node: object) -> object:
    """Count as keras-flops does, which the papers' numbers come from."""
    return _reduction_op_flops(graph, node, reduce_flops=1, finalize_flops=0)


def mixed() -> keras.Model:
    """All kinds of products: strided, dilated, grouped, depthwise, transposed, dense, and of two data tensors."""
    given = keras.Input((24, 24, 8), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(given)
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same")(x)
    x = layers.Conv2D(8, 3, groups=2, padding="same", activation="sigmoid")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = layers.Reshape((144, 4))(layers.MaxPooling2D()(x))
    x = layers.Dense(8)(x)
    scores = layers.Softmax()(ops.matmul(x, ops.transpose(x, (0, 2, 1))))
    x = layers.Dense(3)(ops.matmul(scores, x))
    return keras.Model(given, layers.Reshape((12, 12, 3))(x))


def normed() -> keras.Model:
    """Normalisation of both kinds, slopes, mean pooling, and a transposed convolution without padding."""
    given = keras.Input((24, 24, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(given)
    x = layers.AveragePooling2D(2)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Conv2DTranspose(4, 3, strides=2)(x)
    x = layers.LayerNormalization()(x)
    return keras.Model(given, layers.PReLU(shared_axes=[1, 2])(x))


def attentive() -> keras.Model:
    """Attention as Keras spells it, by Einsum."""
    given = keras.Input((12, 12, 8), name="image")
    x = layers.Reshape((144, 8))(given)
    return keras.Model(given, layers.MultiHeadAttention(2, 4)(x, x))


def bare() -> keras.Model:
    """A convolution without a bias."""
    given = keras.Input((None, None, 3), name="image")
    return keras.Model(given, layers.Conv2D(4, 3, use_bias=False)(given))


def flops(graph: tf.Graph) -> int:
    profiler = tf.compat.v1.profiler
    builder = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    return int(profiler.profile(graph, options=builder.with_empty_output().build()).total_float_ops)


def save(name: str, model: keras.Model, shape: tuple[int, ...]) -> int:
    random = np.random.default_rng(2018)
    model.set_weights([random.uniform(0.1, 1, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(folder / f"{name}.keras")
    export_tflite(str(folder / f"{name}.keras"), folder / f"{name}.tflite")
    export_tflite(str(folder / f"{name}.keras"), folder / f"{name}.half.tflite", half=True)
    # Keras 3.15 cannot trace its smooth UpSampling2D at open sizes.
    specs = [tf.TensorSpec(shape if name == "lpienet" else (1, *model.input_shape[1:]), tf.float32, name="image")]
    function = tf.function(lambda image: model(image, training=False), input_signature=specs, autograph=False)
    module = tf.Module()
    module.weights, module.function = [weight.value for weight in model.weights], function
    tf.saved_model.save(module, str(folder / name), signatures=function)
    frozen = frozen_function(function.get_concrete_function())
    graph = tf.Graph()
    with graph.as_default():
        (found,) = tf.import_graph_def(frozen.graph.as_graph_def(), return_elements=[frozen.outputs[0].name], name="")
        tf.identity(found, name="output")  # as a frozen graph's output is called unless the manifest names it
    definition = graph.as_graph_def()
    (folder / f"{name}.pb").write_bytes(definition.SerializeToString())
    fixed = tf.Graph()
    with fixed.as_default():
        image = tf.compat.v1.placeholder(tf.float32, shape)
        tf.import_graph_def(inlined(tf, definition, ["image:0"], "output:0"), input_map={"image:0": image}, name="")
    return flops(fixed)


networks = {
    "mixed": (mixed(), (1, 24, 24, 8)),
    "normed": (normed(), (1, 24, 24, 3)),
    "attentive": (attentive(), (1, 12, 12, 8)),
    "bare": (bare(), (1, 20, 24, 3)),
    "lpienet": (lpienet.build(), (1, 256, 256, 3)),
}


def with_custom_operator(name: str) -> None:
    """Write a TFLite file again with an operator of one's own in place of the first."""
    net = schema.ModelT.InitFromPackedBuf((folder / f"{name}.tflite").read_bytes(), 0)
    net.operatorCodes[net.subgraphs[0].operators[0].opcodeIndex] = code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"FlexOwn", 1
    builder = flatbuffers.Builder()
    builder.Finish(net.Pack(builder), b"TFL3")
    (folder / f"{name}.custom.tflite").write_bytes(bytes(builder.Output()))


def flat() -> tf.Graph:
    """A graph on values without axes, as in the PIRM 2018 challenge."""
    graph = tf.Graph()
    with graph.as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, (None, 24 * 20 * 3), name="pixels")
        x = tf.nn.conv2d(tf.reshape(pixels, (-1, 20, 24, 3)), np.full((3, 3, 3, 3), 0.1, np.float32), 1, "SAME")
        tf.reshape(tf.tanh(x) * 0.58 + 0.5, (-1, 24 * 20 * 3), name="enhanced")
    return graph


counted = {name: save(name, *network) for name, network in networks.items()}
(folder / "profiler.json").write_text(json.dumps(counted))
lpienet.build((32, 64, 128, 64, 32)).save(folder / "large.keras")
looping = keras.Input((8, 8, 3))
module = tf.Module()
signature = tf.function(
    lambda image: tf.while_loop(lambda x: tf.reduce_sum(x) < 100.0, lambda x: (x * 2,), (image,))[0],
    input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32, name="image")],
)
tf.saved_model.save(module, str(folder / "loop"), signatures=signature.get_concrete_function())
for name in ("normed", "bare"):
    with_custom_operator(name)
(folder / "flat.pb").write_bytes(flat().as_graph_def().SerializeToString())
