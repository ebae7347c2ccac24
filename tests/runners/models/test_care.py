"""Models that could do more than compute are refused, by a stable code, before a framework loads them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_support import Answer, Frameworks, manifest, needed

U8 = NDArray[np.uint8]


@pytest.fixture
def verdict(frameworks: Frameworks, image: U8, tmp_path: Path) -> Callable[..., Answer]:
    """Run a model file or folder from a copy, after a change."""

    def run(source: Path, change: Callable[[Path], object] | None = None, **says: Any) -> Answer:
        copy = tmp_path / "submission" / source.name
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            copy.parent.mkdir()
            shutil.copy(source, copy)
            for beside in source.parent.glob(f"{source.name}.data"):
                shutil.copy(beside, copy.parent)
        if change:
            change(copy)
        return frameworks.restore(copy.parent, manifest(source.name, **says), image)

    return run


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("reading", "ReadFile"),
        ("branch", "ReadFile"),
        ("starting", "ReadFile"),
        ("printing", "PrintV2"),
        ("python", "EagerPyFunc"),
        ("restoring", "RestoreV2"),
        ("reading.pb", "ReadFile"),
    ],
)
def test_graphs_with_files_or_python(
    verdict: Callable[..., Answer], tensorflow_nets: Path, name: str, operation: str
) -> None:
    answer = verdict(tensorflow_nets / name)
    assert answer.code == "model-unsafe"
    assert f"'{operation}'" in answer.said


def test_tables_from_files(verdict: Callable[..., Answer], tensorflow_nets: Path) -> None:
    answer = verdict(tensorflow_nets / "table")
    assert answer.code == "model-unsafe"
    assert "assets" in answer.said


def test_links_inside_a_saved_model(verdict: Callable[..., Answer], tensorflow_nets: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    index = "variables/variables.index"

    def linked(folder: Path) -> None:
        (folder / index).rename(elsewhere)
        (folder / index).symlink_to(elsewhere)

    assert verdict(tensorflow_nets / "saved", linked).code == "not-a-file"


def test_a_folder_that_is_no_saved_model(verdict: Callable[..., Answer], tensorflow_nets: Path) -> None:
    answer = verdict(tensorflow_nets / "saved", lambda folder: (folder / "saved_model.pb").unlink())
    assert answer.code == "model-format"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("lambda.keras", "Lambda"), ("custom.keras", "Mine"), ("tfsm.keras", "TFSMLayer")],
)
def test_keras_files_with_code(verdict: Callable[..., Answer], tensorflow_nets: Path, name: str, shown: str) -> None:
    answer = verdict(tensorflow_nets / name)
    assert answer.code == "model-unsafe"
    assert shown in answer.said


def rewritten(archive: Path, change: dict[str, bytes | Callable[[bytes], bytes] | None]) -> None:
    """Rewrite a zip archive: members by the ends of their names, to bytes, by a function, or left out."""
    with zipfile.ZipFile(archive) as source:
        members = {name: source.read(name) for name in source.namelist()}
    root = next(iter(members)).partition("/")[0]
    for end, new in change.items():
        found = next((name for name in members if name.endswith(end)), f"{root}/{end}")
        if new is None:
            del members[found]
        else:
            members[found] = new if isinstance(new, bytes) else new(members[found])
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)


@pytest.mark.parametrize(
    "entry",
    [
        {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "load_model", "config": {}, "registered_name": None},
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
        {"module": "keras.saving", "class_name": "load_model", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": "mine>ReLU"},
    ],
)
def test_keras_configurations_that_name_other_things(
    verdict: Callable[..., Answer], tensorflow_nets: Path, entry: dict[str, Any]
) -> None:
    def slipped_in(data: bytes) -> bytes:
        config = json.loads(data)
        config["config"]["layers"][1]["config"]["kernel_initializer"] = entry
        return json.dumps(config).encode()

    answer = verdict(tensorflow_nets / "net.keras", lambda file: rewritten(file, {"config.json": slipped_in}))
    assert answer.code == "model-unsafe"


def test_keras_weights_that_lie_elsewhere(
    verdict: Callable[..., Answer], tensorflow_nets: Path, tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py")
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\0" * 4000)
    weights = tmp_path / "weights.h5"

    def external(file: Path) -> None:
        def moved(data: bytes) -> bytes:
            weights.write_bytes(data)
            with h5py.File(weights, "r+") as opened:
                group = opened["layers/conv2d/vars"]
                shape = group["0"].shape
                del group["0"]
                group.create_dataset("0", shape, "f4", external=[(str(secret), 0, 4 * int(np.prod(shape)))])
            return weights.read_bytes()

        rewritten(file, {"model.weights.h5": moved})

    answer = verdict(tensorflow_nets / "net.keras", external)
    assert answer.code == "model-unsafe"
    assert "weights" in answer.said


def test_more_files_in_a_keras_archive(verdict: Callable[..., Answer], tensorflow_nets: Path) -> None:
    def more(file: Path) -> None:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("assets/x.txt", "x")

    assert verdict(tensorflow_nets / "net.keras", more).code == "model-unsafe"


@pytest.mark.parametrize("name", ["net.keras", "net.pt2", "net.pt"])
def test_a_name_twice_in_an_archive(verdict: Callable[..., Answer], request: pytest.FixtureRequest, name: str) -> None:
    nets = request.getfixturevalue("tensorflow_nets" if name == "net.keras" else "torch_nets")

    def doubled(file: Path) -> None:
        with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(archive.namelist()[0], "x")

    answer = verdict(nets / name, doubled)
    assert answer.code == "model-unsafe"
    assert "once" in answer.said


def test_custom_operators_of_tflite(verdict: Callable[..., Answer], tensorflow_nets: Path) -> None:
    answer = verdict(tensorflow_nets / "custom.tflite")
    assert answer.code == "model-unsafe"
    assert "FlexReadFile" in answer.said


def test_variables_of_tflite(verdict: Callable[..., Answer], tensorflow_nets: Path) -> None:
    answer = verdict(tensorflow_nets / "variables.tflite")
    assert answer.code == "model-load"
    assert "constants" in answer.said


def test_torchscript_that_reads_files(verdict: Callable[..., Answer], torch_nets: Path) -> None:
    answer = verdict(torch_nets / "peeping.pt")
    assert answer.code == "model-unsafe"
    assert "from_file" in answer.said


def test_weights_alone_are_no_torchscript(verdict: Callable[..., Answer], torch_nets: Path) -> None:
    answer = verdict(torch_nets / "weights.pt")
    assert answer.code == "model-format"
    assert "weights" in answer.said


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.marker),))


def test_pickled_sample_inputs_are_never_opened(
    verdict: Callable[..., Answer], torch_nets: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    pickled = pickle.dumps(Evil(marker))
    assert verdict(torch_nets / "net.pt2", lambda file: rewritten(file, {"sample_inputs/model.pt": pickled})).code == ""
    assert not marker.exists()


def test_the_attack_on_sample_inputs_is_real(torch_nets: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    shutil.copy(torch_nets / "net.pt2", tmp_path)
    marker = tmp_path / "ran"
    rewritten(tmp_path / "net.pt2", {"sample_inputs/model.pt": pickle.dumps(Evil(marker))})
    code = f"import torch; torch.export.load({str(tmp_path / 'net.pt2')!r})"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=120)
    assert marker.exists(), "torch no longer unpickles sample inputs: safe_pt2 may be simplified"


def pickled_weight(data: bytes) -> bytes:
    config = json.loads(data)
    config["config"]["first.weight"]["use_pickle"] = True
    return json.dumps(config).encode()


def code_as_size(data: bytes) -> bytes:
    return data.replace(b"Symbol('", b"__import__('os').getpid() or Symbol('", 1)


def file_operator(data: bytes) -> bytes:
    return data.replace(b"torch.ops.aten.relu.default", b"torch.ops.aten.from_file.default", 1)


def foreign_operator(data: bytes) -> bytes:
    return data.replace(b"torch.ops.aten.relu.default", b"torch.hub.load", 1)


@pytest.mark.parametrize(
    ("member", "change", "shown"),
    [
        ("model_weights_config.json", pickled_weight, "pickled"),
        ("models/model.json", code_as_size, "__import__"),
        ("models/model.json", file_operator, "from_file"),
        ("models/model.json", foreign_operator, "torch.hub.load"),
        ("data/aotinductor/model/x.so", b"\x7fELF", "x.so"),
        ("data/constants/opaque_obj_0", b"x", "opaque_obj_0"),
        ("data/weights/model.pt", b"x", "data/weights/model.pt"),
    ],
)
def test_exported_programs_with_more_than_numbers(
    verdict: Callable[..., Answer], torch_nets: Path, member: str, change: Any, shown: str
) -> None:
    answer = verdict(torch_nets / "net.pt2", lambda file: rewritten(file, {member: change}))
    assert answer.code == "model-unsafe"
    assert shown in answer.said


def external(file: Path, location: str) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(file), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("location", ["/etc/hostname", "../net.onnx.data", "./net.onnx.data", "a/b", "", "..", "*/_x"])
def test_external_data_outside_the_folder(verdict: Callable[..., Answer], torch_nets: Path, location: str) -> None:
    needed("onnx")
    answer = verdict(torch_nets / "net.onnx", lambda file: external(file, location))
    assert answer.code == "model-unsafe"


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_external_data_that_is_a_link(
    verdict: Callable[..., Answer], torch_nets: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    def linked(file: Path) -> None:
        data = file.with_name("net.onnx.data")
        data.rename(tmp_path / "reference")
        link(tmp_path / "reference", data)

    needed("onnx")
    assert verdict(torch_nets / "net.onnx", linked).code == "not-a-file"


def test_external_data_that_is_missing(verdict: Callable[..., Answer], torch_nets: Path) -> None:
    needed("onnx")
    answer = verdict(torch_nets / "net.onnx", lambda file: file.with_name("net.onnx.data").unlink())
    assert answer.code == "model-missing"
    assert "net.onnx.data" in answer.said


def test_operators_of_another_domain(verdict: Callable[..., Answer], torch_nets: Path) -> None:
    needed("onnx")

    def foreign(file: Path) -> None:
        import onnx

        model = onnx.load(str(file), load_external_data=False)
        model.graph.node[0].domain = "mine"
        model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
        file.write_bytes(model.SerializeToString())

    answer = verdict(torch_nets / "net.onnx", foreign)
    assert answer.code == "model-unsafe"
    assert "'mine'" in answer.said


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("x.tflite", "model-format"),
        ("x.onnx", "model-load"),
        ("x.pt", "model-format"),
        ("x.pt2", "model-format"),
        ("x.keras", "model-format"),
        ("x.pb", "model-load"),
    ],
)
def test_files_that_are_no_models(frameworks: Frameworks, tmp_path: Path, image: U8, name: str, code: str) -> None:
    (tmp_path / name).write_bytes(b"\x0a\xff\xff\xff\x7fnot a model" * 9)
    assert frameworks.restore(tmp_path, manifest(name), image).code == code


@pytest.mark.parametrize("name", ["net.tflite", "net.pt2", "net.onnx", "net.keras"])
def test_damaged_models_end_in_a_code(
    frameworks: Frameworks, request: pytest.FixtureRequest, tmp_path: Path, image: U8, name: str
) -> None:
    nets = request.getfixturevalue("torch_nets" if Path(name).suffix in (".pt2", ".onnx") else "tensorflow_nets")
    data = bytearray((nets / name).read_bytes())
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert frameworks.restore(tmp_path, manifest(name), image).code in ("model-load", "model-format", "model-missing")
