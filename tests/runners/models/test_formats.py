"""One small network, exported to every format: every runner gives what the definition of a convolution gives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_support import Frameworks, Reference, manifest

TORCH = ["net.pt", "net.pt2", "net.onnx", "embedded.onnx"]
TENSORFLOW = ["net.keras", "exported", "saved", "net.pb", "net.tflite"]
TOLERANCE = 1e-4
U8 = NDArray[np.uint8]


@pytest.fixture
def folder(request: pytest.FixtureRequest, file: str) -> Path:
    """The folder that holds `file`."""
    made: Path = request.getfixturevalue(
        "torch_nets" if Path(file).suffix in (".pt", ".pt2", ".onnx") else "tensorflow_nets"
    )
    return made


def far(one: NDArray[Any], other: NDArray[Any]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


@pytest.mark.parametrize("file", [*TORCH, *TENSORFLOW])
def test_every_format_gives_the_network(
    frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference
) -> None:
    answer = frameworks.restore(folder, manifest(file), image)
    assert answer.code == "", answer.said
    assert answer.output is not None
    assert answer.output.dtype == np.float32
    assert far(answer.output, reference(image)) < TOLERANCE
    assert answer.seams is None
    # Not what a wrong channel order, a wrong axis order or the input itself would give.
    assert far(reference(image), reference(image[:, :, ::-1])[:, :, ::-1]) > 0.05
    assert far(reference(image), image / 255) > 0.05


@pytest.mark.parametrize("file", ["net.onnx", "net.tflite"])
def test_other_pixels_are_scaled_by_their_peak(
    frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference
) -> None:
    for same in (image.astype(np.uint16) * 257, (image / 255).astype(np.float32)):
        answer = frameworks.restore(folder, manifest(file), same)
        assert answer.output is not None, answer.said
        assert far(answer.output, reference(image)) < TOLERANCE


@pytest.mark.parametrize("file", ["fixed.onnx", "fixed.pt2", "fixed.tflite"])
def test_a_fixed_size_is_tiled_without_a_trace(
    frameworks: Frameworks, folder: Path, file: str, reference: Reference
) -> None:
    # The network looks 2 pixels far: with tiles that overlap by 6 each pixel sees all it needs.
    large = np.random.default_rng(8).integers(0, 256, (45, 57, 3), dtype=np.uint8)
    answer = frameworks.restore(folder, manifest(file, tile_overlap=6), large)
    assert answer.output is not None, answer.said
    assert far(answer.output, reference(large)) < TOLERANCE
    assert answer.seams is not None
    assert answer.seams < TOLERANCE


@pytest.mark.parametrize("file", ["fixed.onnx"])
def test_seams_are_measured(frameworks: Frameworks, folder: Path, file: str, reference: Reference) -> None:
    large = np.random.default_rng(8).integers(0, 256, (45, 57, 3), dtype=np.uint8)
    answer = frameworks.restore(folder, manifest(file, tile_overlap=2), large)
    assert answer.output is not None, answer.said
    wrong = far(answer.output, reference(large))
    assert wrong > 0.02
    assert answer.seams is not None
    assert answer.seams > 0.02


@pytest.mark.parametrize("file", ["fixed.tflite"])
def test_a_fixed_size_and_no_overlap_is_said(frameworks: Frameworks, folder: Path, file: str) -> None:
    answer = frameworks.restore(folder, manifest(file), np.zeros((45, 57, 3), np.uint8))
    assert answer.code == "model-shape"
    assert "20×16" in answer.said
    assert "tile_overlap" in answer.said


@pytest.mark.parametrize("file", ["quantised.tflite"])
def test_a_quantised_file_converts_by_its_own_parameters(
    frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference
) -> None:
    answer = frameworks.restore(folder, manifest(file, tile_overlap=6), image)
    assert answer.output is not None, answer.said
    error = np.abs(answer.output - reference(image))
    assert error.mean() < 0.01
    assert error.max() < 0.05
    levels = np.unique(answer.output)
    assert 50 < levels.size <= 256, "values that one byte can stand for"


@pytest.mark.parametrize("file", ["other.pt"])
def test_layout_range_and_colour_are_those_of_the_manifest(
    frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference
) -> None:
    says = manifest(file, layout="NHWC", range=[-1, 1], output_range=[0, 255], colour="BGR")
    answer = frameworks.restore(folder, says, image)
    assert answer.output is not None, answer.said
    assert far(answer.output, reference(image)) < TOLERANCE


@pytest.mark.parametrize("file", ["half.pt"])
def test_half_precision_in(frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference) -> None:
    answer = frameworks.restore(folder, manifest(file, dtype="float16"), image)
    assert answer.output is not None, answer.said
    assert answer.output.dtype == np.float32
    assert far(answer.output, reference(image)) < 4e-3


@pytest.mark.parametrize("file", ["blocks.pt"])
def test_sizes_are_padded_by_reflection_and_cropped(frameworks: Frameworks, folder: Path, file: str) -> None:
    image = np.random.default_rng(9).integers(0, 256, (10, 13, 3), dtype=np.uint8)
    assert frameworks.restore(folder, manifest(file), image).code == "run-failed"
    answer = frameworks.restore(folder, manifest(file, size_multiple=4), image)
    assert answer.output is not None, answer.said
    rows = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7])  # by reflection: the last row is not repeated
    columns = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 11, 10, 9])
    padded = image[rows][:, columns] / 255
    means = padded.reshape(3, 4, 4, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1)
    assert far(answer.output, means[:10, :13]) < 1e-6


@pytest.mark.parametrize("file", ["flat.pb"])
def test_flat_layout_is_that_of_pirm_2018(
    frameworks: Frameworks, folder: Path, file: str, image: U8, reference: Reference
) -> None:
    says = manifest(file, layout="flat", artefact={"input": "pixels:0", "output": "enhanced:0"})
    answer = frameworks.restore(folder, says, image)
    assert answer.output is not None, answer.said
    assert far(answer.output, reference(image)) < TOLERANCE
    other = frameworks.restore(folder, says, image[:10])
    assert other.code == "model-shape"
    assert "1440" in other.said


@pytest.mark.parametrize("file", ["pair.pt", "pair.pt2", "pair"])
def test_two_inputs_are_told_apart(frameworks: Frameworks, folder: Path, file: str, image: U8) -> None:
    left, right = image, image[::-1]
    output = "mixed" if file == "pair" else "0"
    for names, expected in (
        (["left", "right"], left * 0.25 + right * 0.75),
        (["right", "left"], right * 0.25 + left * 0.75),
    ):
        says = manifest(file, inputs=names, artefact={"output": output})
        answer = frameworks.restore(folder, says, left, right)
        assert answer.output is not None, answer.said
        assert far(answer.output, expected / 255) < 1e-6, names
    by_name = manifest(file, inputs=["a", "b"], artefact={"input": ["left", "right"], "output": output})
    answer = frameworks.restore(folder, by_name, left, right)
    assert answer.output is not None, answer.said
    assert far(answer.output, (left * 0.25 + right * 0.75) / 255) < 1e-6


@pytest.mark.parametrize("file", ["pair.pt2", "pair"])
def test_doubt_about_tensors_is_said(frameworks: Frameworks, folder: Path, file: str, image: U8) -> None:
    unclear = manifest(file, inputs=["a", "b"], artefact={"output": "0"})
    answer = frameworks.restore(folder, unclear, image, image)
    assert answer.code == "model-shape"
    assert "left" in answer.said
    assert "right" in answer.said
    one = frameworks.restore(folder, manifest(file), image)
    assert one.code == "model-shape"
    several = frameworks.restore(folder, manifest(file, inputs=["left", "right"]), image, image)
    assert several.code == "model-shape"
    assert "Set output" in several.said


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("net.onnx", {"layout": "NHWC"}),
        ("net.tflite", {"layout": "NCHW"}),
        ("net.keras", {"layout": "flat"}),
        ("net.onnx", {"dtype": "float16"}),
        ("net.pt2", {"dtype": "uint8", "range": [0, 255]}),
    ],
)
def test_a_manifest_that_contradicts_the_file_is_refused(
    frameworks: Frameworks, folder: Path, file: str, says: dict[str, Any], image: U8
) -> None:
    assert frameworks.restore(folder, manifest(file, **says), image).code == "model-shape"


@pytest.mark.parametrize("file", ["net.onnx", "net.keras"])
def test_gray_images_for_a_colour_model_are_refused(frameworks: Frameworks, folder: Path, file: str) -> None:
    answer = frameworks.restore(folder, manifest(file), np.zeros((20, 24, 1), np.uint8))
    assert answer.code == "model-shape"
    assert "channels" in answer.said


@pytest.mark.parametrize("file", ["net.pb"])
def test_unknown_tensors_of_a_graph_are_named(frameworks: Frameworks, folder: Path, file: str, image: U8) -> None:
    answer = frameworks.restore(folder, manifest(file, artefact={"input": "x:0"}), image)
    assert answer.code == "model-shape"
    assert "placeholders: input" in answer.said


@pytest.mark.parametrize("file", ["net.tflite"])
def test_roles_pick_the_artefact(
    frameworks: Frameworks, tensorflow_nets: Path, file: str, image: U8, tmp_path: Path
) -> None:
    shutil.copy(tensorflow_nets / file, tmp_path)
    says = manifest(file)
    says["artefacts"]["latency"] = {"file": "fast.tflite"}
    assert frameworks.restore(tmp_path, says, image).code == ""
    assert frameworks.restore(tmp_path, says, image, role="latency").code == "model-missing"
    del says["artefacts"]["latency"]
    assert frameworks.restore(tmp_path, says, image, role="latency").code == ""
