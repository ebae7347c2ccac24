"""3.5: models that could do more than compute, compute without end, or are none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile.kind import HEIGHT, WIDTH, Class, Place

models = Class(workers=1, limits="case_s = 5\nmemory_gib = 3")
kind = models.kind
UNSAFE = "model-unsafe"
_SCRIPT = Path(__file__).with_name("make_models.py")


def exported(place: Place, framework: str) -> Path:
    """The folder of what a framework exports for a place; made once, by a process of its own."""
    folder = place.root / f"made-by-{framework}"
    if not folder.exists():
        folder.mkdir()
        raw = place.root / "raw.bin"
        raw.write_bytes(np.ascontiguousarray(place.references["a"].T).tobytes())
        words = [sys.executable, "-P", _SCRIPT, framework, place.reference(), raw, place.watched, folder]
        env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=500, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def manifest(at: Path, file: str, layout: str) -> None:
    at.mkdir(exist_ok=True)
    text = f'kind = "model"\n[model]\nlayout = "{layout}"\nrange = [0, 1]\n[artefacts.quality]\nfile = "{file}"\n'
    (at / "submission.toml").write_text(text)


def model(
    framework: str, file: str, verdict: Any, *codes: str, **more: Any
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a model that `make_models.py` exports; the function under it only names it."""

    def register(named: Callable[[], None]) -> Callable[[], None]:
        def write(place: Place, at: Path) -> None:
            manifest(at, file, "NCHW" if framework == "torch" else "NHWC")
            source = exported(place, framework) / file
            shutil.copytree(source, at / file) if source.is_dir() else shutil.copy(source, at)

        write.__name__ = named.__name__
        runs = ("tflite",) if file.endswith(".tflite") else ()
        kind(verdict, *codes, needs=(framework, *runs), **more)(write)
        return named

    return register


# --- TorchScript, exported programs, checkpoints ------------------------------------------------------------------
@model("torch", "reading.pt", "part", UNSAFE, says=("from_file",))
def torchscript_that_reads_the_reference() -> None: ...


@model("torch", "endless.pt", "part", "stopped", says=("without an answer",))
def torchscript_without_end() -> None: ...


@model("torch", "greedy.pt", "part", "run-failed", says=("allocate",))
def torchscript_that_takes_memory() -> None: ...


@model("torch", "pickled.pt", "part", "model-format")
def a_checkpoint_that_is_code() -> None: ...


@model("torch", "pickled.pt2", "scored", "equals-input")
def exported_program_whose_samples_are_code() -> None: ...


# --- TensorFlow ---------------------------------------------------------------------------------------------------
@model("tensorflow", "reading", "part", UNSAFE, says=("ReadFile",))
def savedmodel_that_reads_the_reference() -> None: ...


@model("tensorflow", "writing", "part", UNSAFE, says=("WriteFile",))
def savedmodel_that_writes() -> None: ...


@model("tensorflow", "reading.pb", "part", UNSAFE, says=("ReadFile",))
def frozen_graph_that_reads_the_reference() -> None: ...


@model("tensorflow", "lambda.keras", "part", UNSAFE, says=("Lambda",))
def keras_with_code() -> None: ...


@model("tensorflow", "endless.tflite", "part", "stopped", says=("without an answer",))
def tflite_without_end() -> None: ...


# --- ONNX ---------------------------------------------------------------------------------------------------------
def onnx_model(at: Path, nodes: Callable[[Any], list[Any]], weights: str = "", domain: str = "") -> None:
    """An ONNX file: nodes from `x` to `y`; with weights in another file, which are the output."""
    import onnx
    from onnx import TensorProto, helper

    manifest(at, "net.onnx", "NCHW")
    shape = [1, 3, HEIGHT, WIDTH]
    given, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    initial = []
    if weights:
        tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[1, WIDTH * HEIGHT * 3])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=weights)
        initial.append(tensor)
    graph = helper.make_graph(nodes(helper), "g", [given], [output], initial)
    sets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    made = helper.make_model(graph, opset_imports=sets, ir_version=10)
    (at / "net.onnx").write_bytes(made.SerializeToString())
    assert onnx.__version__


def weights_as_output(helper: Any) -> list[Any]:
    return [
        helper.make_node("Cast", ["w"], ["f"], to=1),
        helper.make_node("ReduceMean", ["f"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]


@kind("part", UNSAFE, needs=("onnx",))
def onnx_with_weights_outside(place: Place, at: Path) -> None:
    onnx_model(at, weights_as_output, "../../data/tiny/ref/a.png")


@kind("part", UNSAFE, needs=("onnx",))
def onnx_with_weights_by_an_absolute_path(place: Place, at: Path) -> None:
    onnx_model(at, weights_as_output, str(place.reference()))


@kind("rejected", "not-a-file", needs=("onnx",))
def onnx_with_weights_by_a_link(place: Place, at: Path) -> None:
    onnx_model(at, weights_as_output, "w.bin")
    (at / "w.bin").symlink_to(place.reference())


@kind("rejected", "not-a-file", needs=("onnx",))
def onnx_with_weights_by_a_hard_link(place: Place, at: Path) -> None:
    onnx_model(at, weights_as_output, "w.bin")
    os.link(place.reference(), at / "w.bin")


@kind("part", UNSAFE, needs=("onnx",), says=("evil",))
def onnx_with_operators_of_its_own(place: Place, at: Path) -> None:
    onnx_model(at, lambda helper: [helper.make_node("Run", ["x"], ["y"], domain="evil")], domain="evil")


@kind("part", "stopped", needs=("onnx",), says=("without an answer",))
def onnx_without_end(place: Place, at: Path) -> None:
    def loop(helper: Any) -> list[Any]:
        from onnx import TensorProto

        values = [("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("a", TensorProto.FLOAT, None)]
        given = [helper.make_tensor_value_info(*v) for v in values]
        nodes = [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Mul", ["a", "a"], ["a2"])]
        out = [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_tensor_value_info("a2", 1, None)]
        body = helper.make_graph(nodes, "b", given, out)
        true = helper.make_node("Constant", [], ["t"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
        return [true, helper.make_node("Loop", ["", "t", "x"], ["y"], body=body)]

    onnx_model(at, loop)


@kind("part", "run-failed", needs=("onnx",))
def onnx_that_takes_memory(place: Place, at: Path) -> None:
    def grow(helper: Any) -> list[Any]:
        size = helper.make_tensor("s", 7, [4], [1 << 10, 1 << 10, 1 << 10, 1 << 5])
        return [
            helper.make_node("Constant", [], ["s"], value=size),
            helper.make_node("ConstantOfShape", ["s"], ["z"]),
            helper.make_node("ReduceSum", ["z"], ["m"], keepdims=0),
            helper.make_node("Add", ["x", "m"], ["y"]),
        ]

    onnx_model(at, grow)


# --- what is none ---------------------------------------------------------------------------------------------------
@kind("part", "model-load", needs=("onnx",))
def noise_named_onnx(place: Place, at: Path) -> None:
    manifest(at, "net.onnx", "NCHW")
    (at / "net.onnx").write_bytes(np.random.default_rng(1).bytes(1 << 16))


@kind("part", "model-load", needs=("tflite",))
def noise_named_tflite(place: Place, at: Path) -> None:
    manifest(at, "net.tflite", "NHWC")
    (at / "net.tflite").write_bytes(b"\x1c\0\0\0TFL3" + np.random.default_rng(1).bytes(1 << 16))


@kind("part", "model-missing")
def a_model_that_was_forgotten(place: Place, at: Path) -> None:
    manifest(at, "net.tflite", "NHWC")


@kind("rejected", "manifest", says=("inside",))
def a_model_from_elsewhere(place: Place, at: Path) -> None:
    manifest(at, "../../data/tiny/ref/a.png", "NHWC")
    (at / "submission.toml").write_text((at / "submission.toml").read_text() + 'format = "onnx"\n')
