"""The numeric libraries work inside as they do outside."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from evaluator.runners.sandbox import Isolation

Answer = Callable[..., Any]


def test_numpy(isolated: Isolation, answer: Answer) -> None:
    code = "import numpy as np\nsay((np.arange(6.0).reshape(2, 3) @ np.arange(3.0)).tolist())"
    assert answer(isolated, code, site=True) == [5.0, 14.0]


def test_opencv_reads_an_image(isolated: Isolation, answer: Answer) -> None:
    from evaluator.images import encode_png

    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    code = f"""
import hashlib, cv2, numpy as np
image = cv2.imdecode(np.frombuffer({encode_png(image)!r}, np.uint8), cv2.IMREAD_UNCHANGED)
say(hashlib.sha256(np.ascontiguousarray(image[..., ::-1])).hexdigest())"""
    assert answer(isolated, code, site=True) == hashlib.sha256(image.tobytes()).hexdigest()


def test_numba_compiles(isolated: Isolation, answer: Answer) -> None:
    code = "import numba\nsay(numba.njit(lambda n: n * 3)(14))"
    assert answer(isolated, code, site=True) == 42


def needs(*libraries: str) -> None:
    for name in libraries:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.mark.slow
def test_torch_runs_a_script(isolated: Isolation, answer: Answer) -> None:
    needs("torch")
    code = """
import torch
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
ones = torch.ones(1, 3, 16, 16)
torch.jit.save(torch.jit.trace(net, ones), "net.pt")
say([torch.get_num_threads(), float((torch.jit.load("net.pt")(ones) - net(ones)).abs().max())])"""
    assert answer(isolated, code, site=True, threads=2) == [2, 0.0]


@pytest.mark.slow
def test_tensorflow_convolves(isolated: Isolation, answer: Answer) -> None:
    needs("tensorflow")
    code = """
import tensorflow as tf
run = tf.function(lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 3, 2)), 1, "VALID"))
say(float(tf.reduce_sum(run(tf.ones((1, 8, 8, 3))))))"""
    assert answer(isolated, code, site=True) == 6 * 6 * 2 * 27


def test_onnx_runs(isolated: Isolation, answer: Answer) -> None:
    needs("onnx", "onnxruntime")
    code = """
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
graph = helper.make_graph([helper.make_node("Add", ["a", "a"], ["b"])], "g", [value("a")], [value("b")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
say(session.run(None, {"a": np.array([1, 2], np.float32)})[0].tolist())"""
    assert answer(isolated, code, site=True) == [2.0, 4.0]


def test_litert_loads(isolated: Isolation, answer: Answer) -> None:
    needs("ai_edge_litert")
    assert answer(isolated, "import ai_edge_litert.interpreter\nsay('loaded')", site=True) == "loaded"
