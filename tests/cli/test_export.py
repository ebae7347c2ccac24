"""`evaluate export`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluator.ingest import baselines_folder
from model_support import needed
from support import Run

BUILD = """
import keras

def build():
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(image, keras.layers.Conv2D(3, 3, padding="same")(keras.layers.MaxPooling2D()(x)))

def broken():
    return 1
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    needed("tensorflow")
    (tmp_path / "mine.py").write_text(BUILD, encoding="utf-8")
    return "mine.py:build"


def test_it_says_what_it_wrote(evaluate: Run, source: str, tmp_path: Path) -> None:
    done = evaluate("export", source, "--to", "tflite")
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "mine.tflite").read_bytes()
    assert written[4:8] == b"TFL3"
    first, given, made = done.stdout.splitlines()
    assert first == f"mine.tflite: {len(written)} bytes, sha256 {hashlib.sha256(written).hexdigest()}"
    assert given.startswith("  input ")
    assert given.endswith("image:0 float32 1 × ? × ? × 3")
    assert made.endswith("float32 1 × ? × ? × 3")


def test_a_size_can_be_fixed_and_weights_halved(evaluate: Run, source: str, tmp_path: Path) -> None:
    done = evaluate("export", source, "--fp16", "--input", "64x48", "--out", "half.tflite")
    assert done.returncode == 0, done.stderr
    assert "float32 1 × 64 × 48 × 3" in done.stdout.splitlines()[1]
    assert (tmp_path / "half.tflite").is_file()


def test_what_cannot_be_exported_is_said(evaluate: Run, source: str, tmp_path: Path) -> None:
    for model, code in (("mine.py:broken", "model-load"), ("mine.py:none", "model-load"), ("mine.py", "model-format")):
        done = evaluate("export", model)
        assert done.returncode == 2
        assert f"[{code}]" in done.stderr
        assert "Traceback" not in done.stderr
    done = evaluate("export", "lpienet-sid")
    assert done.returncode == 2
    assert "Did you mean 'lpienet-sidd'?" in done.stderr
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    done = evaluate("export", "odd.keras")
    assert done.returncode == 2
    assert "[model-format]" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layout"), [("lpienet", "1 × ? × ? × 3"), ("unet", "1 × 3 × ? × ?")])
def test_a_network_becomes_an_onnx_file_that_gives_the_same(
    evaluate: Run, tmp_path: Path, name: str, layout: str
) -> None:
    """A Keras model and a torch module, by a baseline's name; onnxruntime beside the framework itself."""
    needed("torch", "onnx", *(["tensorflow"] if name == "lpienet" else []))
    weights = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "mine"
    folder.mkdir()
    script = "import sys, pathlib; from export_support import write; write(*map(pathlib.Path, sys.argv[1:]))"
    support = str(Path(__file__).parent)
    made = subprocess.run(
        [sys.executable, "-c", script, str(baselines_folder() / name), str(folder)],
        env={**os.environ, **weights, "PYTHONPATH": os.pathsep.join([support, os.environ.get("PYTHONPATH", "")])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    done = evaluate("export", folder, "--to", "onnx", "--out", "net.onnx", env=weights)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].endswith(f"float32 {layout}")
    written = (tmp_path / "net.onnx").read_bytes()
    noted = [str(tmp_path), "/evaluator/", "stack_trace", f"{name}.py"]
    assert not [words for words in noted if words.encode() in written]
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "theirs")
    folder = tmp_path / "elsewhere" / "theirs"
    assert evaluate("export", folder, "--to", "onnx", "--out", "again.onnx", env=weights).returncode == 0
    assert (tmp_path / "again.onnx").read_bytes() == written
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    with np.load(folder / "pair.npz") as pair:
        (found,) = session.run(None, {session.get_inputs()[0].name: pair["image"]})
        assert found.shape == pair["restored"].shape == pair["image"].shape
        assert np.abs(pair["restored"] - pair["image"]).max() > 0.01
        assert np.abs(found - pair["restored"]).max() < 1e-4


def test_what_is_noted_in_branches_is_left_out_too() -> None:
    needed("onnx")
    from onnx import TensorProto, helper

    from evaluator.runners.models.export import _plain

    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1], doc_string="mine.py")
    inner = helper.make_node("Identity", ["x"], ["y"], doc_string="mine.py")
    inner.metadata_props.add(key="stack_trace", value="mine.py")
    branch = helper.make_graph([inner], "branch", [], [value], doc_string="mine.py")
    choice = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    whole = helper.make_graph([choice], "whole", [], [])
    function = helper.make_function("d", "F", ["x"], ["y"], [inner], [helper.make_opsetid("", 20)])
    model = helper.make_model(whole, functions=[function], doc_string="mine.py")
    assert model.SerializeToString().count(b"mine.py") == 11
    found = _plain(model.SerializeToString())
    assert b"mine.py" not in found
    assert b"Identity" in found


@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_there_must_be_a_folder_to_write_to(evaluate: Run, form: str) -> None:
    done = evaluate("export", "lpienet", "--to", form, "--out", "none/net.out")
    assert done.returncode == 2
    said = "Error: none/net.out cannot be written: none is no folder. Make it, or name another FILE.\n"
    assert done.stderr == said


def test_half_precision_is_for_tflite(evaluate: Run) -> None:
    done = evaluate("export", "x.keras", "--to", "onnx", "--fp16")
    assert done.returncode == 2
    assert "--fp16 is for --to tflite" in done.stderr


@pytest.mark.parametrize("size", ["720", "0x5", "ax5"])
def test_a_size_must_be_one(evaluate: Run, size: str) -> None:
    done = evaluate("export", "x.keras", "--input", size)
    assert done.returncode == 2
    assert "720x1280" in done.stderr
