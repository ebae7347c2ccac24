"""`evaluate export`."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

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
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    done = evaluate("export", "odd.keras")
    assert done.returncode == 2
    assert "[model-format]" in done.stderr


@pytest.mark.parametrize("size", ["720", "0x5", "ax5"])
def test_a_size_must_be_one(evaluate: Run, size: str) -> None:
    done = evaluate("export", "x.keras", "--input", size)
    assert done.returncode == 2
    assert "720x1280" in done.stderr
