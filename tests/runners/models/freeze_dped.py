"""Freeze a DPED ResNet: `python freeze_dped.py CHECKPOINT OUT.pb`. In a process of its own.

The structure is that of the DPED paper's generator, read off the names and shapes of the checkpoint's variables.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

v1 = tf.compat.v1
checkpoint = sys.argv[1]
shapes = dict(tf.train.list_variables(checkpoint))
layers = sum(name.startswith("generator/W") for name in shapes)
norms = iter(range(layers))


def variable(name: str) -> tf.Tensor:
    return v1.get_variable(f"generator/{name}", shapes[f"generator/{name}"])


def convolved(x: tf.Tensor, layer: int) -> tf.Tensor:
    return tf.nn.conv2d(x, variable(f"W{layer}"), 1, "SAME") + variable(f"b{layer}")


def normalised(x: tf.Tensor) -> tf.Tensor:
    number = 2 * next(norms)
    shift, scale = (variable("Variable" if n == 0 else f"Variable_{n}") for n in (number, number + 1))
    mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
    return scale * (x - mean) / tf.sqrt(variance + 1e-3) + shift


graph = tf.Graph()
with graph.as_default(), v1.Session() as session:
    image = v1.placeholder(tf.float32, (1, None, None, 3), name="input")
    x = tf.nn.relu(convolved(image, 1))
    for block in range((layers - 4) // 2):
        inner = tf.nn.relu(normalised(convolved(x, 2 + 2 * block)))
        x += tf.nn.relu(normalised(convolved(inner, 3 + 2 * block)))
    x = tf.nn.relu(convolved(x, layers - 2))
    x = tf.nn.relu(convolved(x, layers - 1))
    tf.identity(tf.tanh(convolved(x, layers)) * 0.58 + 0.5, name="output")
    v1.train.Saver().restore(session, checkpoint)
    frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["output"])
Path(sys.argv[2]).write_bytes(frozen.SerializeToString())
