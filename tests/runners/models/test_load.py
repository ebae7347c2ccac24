"""From a submission's folder to a model: files, formats, Python entries, and what is not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.images import Pixels
from evaluator.ingest.manifest import Manifest
from evaluator.runners.models import ModelProblem, load_model
from evaluator.runners.models.files import ModelArchive
from evaluator.runners.models.problem import loading, one_line
from evaluator.runners.models.python import import_entry
from model_support import manifest

PIXELS = Pixels(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), 255.0)


def problem(folder: Path, says: Any) -> ModelProblem:
    with pytest.raises(ModelProblem) as caught:
        load_model(folder, Manifest.model_validate(says))
    return caught.value


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    found = problem(tmp_path, manifest("nets/x.onnx"))
    assert found.code == "model-missing"
    assert "nets/x.onnx" in found.expected


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    (tmp_path / "saved").write_bytes(b"x")
    (tmp_path / "x.onnx").mkdir()
    assert problem(tmp_path, manifest("saved")).code == "model-format"
    assert problem(tmp_path, manifest("x.onnx")).code == "model-format"


def test_links_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "deep").mkdir(parents=True)
    (real / "x.onnx").write_bytes(b"x")
    folder = tmp_path / "submission"
    (folder / "saved").mkdir(parents=True)
    (folder / "link").symlink_to(real)
    (folder / "x.onnx").symlink_to(real / "x.onnx")
    os.link(real / "x.onnx", folder / "hard.onnx")
    os.link(real / "x.onnx", folder / "saved" / "saved_model.pb")
    (folder / "dangling.onnx").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.onnx")
    for name in ("link/x.onnx", "link", "x.onnx", "hard.onnx", "saved", "dangling.onnx", "pipe.onnx"):
        assert problem(folder, manifest(name)).code == "not-a-file", name


@pytest.mark.parametrize(
    ("file", "module", "line"),
    [
        ("x.onnx", "onnxruntime", "pip install 'restoration-evaluator[onnx]'"),
        ("x.tflite", "ai_edge_litert.interpreter", "pip install 'restoration-evaluator[tflite]'"),
        ("x.pb", "tensorflow", "pip install 'restoration-evaluator[tensorflow]'"),
        ("x.keras", "tensorflow", "pip install 'restoration-evaluator[tensorflow]'"),
        ("x.pt", "torch", "pip install 'restoration-evaluator[torch]'"),
        ("x.pt2", "torch", "pip install 'restoration-evaluator[torch]'"),
    ],
)
def test_what_is_not_installed_is_said_with_the_line_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, module: str, line: str
) -> None:
    (tmp_path / file).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    found = problem(tmp_path, manifest(file))
    assert (found.code, found.fix) == ("model-missing-runtime", line)


def test_code_that_imports_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    (tmp_path / "net.py").write_text("import keras\n")
    with pytest.raises(ModelProblem) as problem:
        import_entry(tmp_path, "net:build", "[network]")
    assert problem.value.fix == "pip install 'restoration-evaluator[tensorflow]'"


def test_outputs_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model"):
        load_model(tmp_path, Manifest())


def test_an_archive_that_unpacks_to_more_than_it_may(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/code/x.py", b"\0" * 2_000_000)
    opened = ModelArchive(tmp_path / "x.pt", "a TorchScript file")
    with pytest.raises(ModelProblem) as caught:
        opened.read("x/code/x.py", limit=1_000_000)
    assert caught.value.code == "model-unsafe"


def test_exceptions_are_told_in_one_line() -> None:
    assert one_line(ValueError("\n\n a \u202e\x07b \n c")) == "ValueError: a   b"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("x" * 10_000))) == 200
    with pytest.raises(ModelProblem) as caught, loading("a thing"):
        raise MemoryError
    assert (caught.value.code, caught.value.got) == ("model-load", "MemoryError")


# --- Python ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clean() -> Iterator[None]:
    """Leave the process as it was: a worker loads one submission and ends."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def python(entry: str) -> Any:
    return {"kind": "python", "python": {"entry": entry}}


@pytest.mark.usefixtures("clean")
def test_a_function_gets_pixels_as_they_are_and_its_helpers(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import numpy as np\nimport helper_beside\nfrom package_beside.part import two\n"
        "def restore(image):\n    image += 1\n    return np.minimum(image, helper_beside.LIMIT) * np.uint8(two())\n"
    )
    (tmp_path / "helper_beside.py").write_text("import main\nLIMIT = 7\n")
    (tmp_path / "package_beside").mkdir()
    (tmp_path / "package_beside" / "__init__.py").write_text("")
    (tmp_path / "package_beside" / "part.py").write_text("def two():\n    return 2\n")
    before = PIXELS.array.copy()
    restored = load_model(tmp_path, Manifest.model_validate(python("main:restore"))).restore([PIXELS])
    assert restored.output.dtype == np.uint8
    assert restored.output.ravel().tolist() == [2, 4, 6, 8, 10, 12, 14, 14, 14, 14, 14, 14]
    assert restored.seams is None
    assert np.array_equal(PIXELS.array, before), "what the function does to its argument stays with it"


@pytest.mark.usefixtures("clean")
def test_a_package_can_be_the_entry(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").write_text("from .part import restore\n")
    (tmp_path / "whole" / "part.py").write_text("def restore(left, right):\n    return left - right\n")
    restored = load_model(tmp_path, Manifest.model_validate(python("whole:restore"))).restore([PIXELS, PIXELS])
    assert not restored.output.any()


@pytest.mark.usefixtures("clean")
def test_files_of_a_submission_hide_no_installed_module(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise RuntimeError('hidden')\n")
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('hidden')\n")
    (tmp_path / "main.py").write_text("import colorsys, scipy.ndimage\ndef restore(image):\n    return image\n")
    assert load_model(tmp_path, Manifest.model_validate(python("main:restore"))).restore([PIXELS]).output.any()


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("text", "entry", "code"),
    [
        ("", "absent:restore", "model-missing"),
        ("", "main:restore", "model-load"),
        ("restore = 5", "main:restore", "model-load"),
        ("import no_such_module_here", "main:restore", "model-load"),
        ("def restore(:", "main:restore", "model-load"),
        ("raise SystemExit(0)", "main:restore", "model-load"),
    ],
)
def test_entries_that_cannot_be_loaded(tmp_path: Path, text: str, entry: str, code: str) -> None:
    (tmp_path / "main.py").write_text(text)
    assert problem(tmp_path, python(entry)).code == code


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("body", "code", "got"),
    [
        ("raise ValueError('dark')", "run-failed", "ValueError: dark"),
        ("return None", "model-output", "NoneType"),
        ("return image.tolist()", "model-output", "list"),
        ("return image > 3", "model-output", "bool"),
        ("return image.astype('int64')", "model-output", "int64"),
    ],
)
def test_functions_without_a_usable_output(tmp_path: Path, body: str, code: str, got: str) -> None:
    (tmp_path / "main.py").write_text(f"def restore(image):\n    {body}\n")
    model = load_model(tmp_path, Manifest.model_validate(python("main:restore")))
    with pytest.raises(ModelProblem) as caught:
        model.restore([PIXELS])
    assert (caught.value.code, caught.value.got) == (code, got)
