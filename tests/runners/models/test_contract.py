"""The contract between images and tensors, on models that are plain functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluator.images import Pixels, peak_of
from evaluator.ingest.manifest import Model
from evaluator.runners.models.contract import ModelRestorer, Restored, Tensor
from evaluator.runners.models.problem import ModelProblem

Array = NDArray[Any]


@dataclass
class Function:
    """A model that is a function of its tensors, and remembers them."""

    function: Callable[..., Array]
    inputs: tuple[Tensor, ...] = (Tensor(None, None),)
    seen: list[Array] = field(default_factory=list)

    def run(self, tensors: list[Array]) -> Array:
        self.seen = tensors
        return self.function(*tensors)


def restore(model: Function, *images: Array, **says: Any) -> Restored:
    contract = Model.model_validate({"layout": "NHWC", "range": (0, 1), **says})
    return ModelRestorer(contract, model).restore([Pixels(i, peak_of(i.dtype)) for i in images])


def same(x: Array) -> Array:
    return x


IMAGE = np.random.default_rng(3).integers(0, 256, (6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "flat"])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("values", [(0, 1), (0, 255), (-1, 1), (1, 0), (-0.5, 0.5)])
def test_every_layout_colour_and_range_comes_back(layout: str, colour: str, values: tuple[float, float]) -> None:
    model = Function(same)
    restored = restore(model, IMAGE, layout=layout, colour=colour, range=values)
    assert restored.output.dtype == np.float32
    assert np.abs(restored.output - IMAGE / 255).max() < 1e-6
    assert restored.seams is None
    black, white = values
    expected = IMAGE[:, :, ::-1] if colour == "BGR" else IMAGE
    expected = expected / 255 * (white - black) + black
    tensor = {"NHWC": expected[None], "NCHW": expected.transpose(2, 0, 1)[None], "flat": expected.reshape(1, -1)}[
        layout
    ]
    assert model.seen[0].shape == tensor.shape
    assert model.seen[0].dtype == np.float32
    assert np.abs(model.seen[0] - tensor).max() < 1e-4
    assert model.seen[0].flags.c_contiguous


def test_output_range_is_its_own() -> None:
    restored = restore(Function(lambda x: (x + 1) * 127.5), IMAGE, range=(-1, 1), output_range=(0, 255))
    assert np.abs(restored.output - IMAGE / 255).max() < 1e-6


def test_values_beyond_black_and_white_are_kept() -> None:
    restored = restore(Function(lambda x: x * 3 - 1), np.array([[[0], [255]]], np.uint8))
    assert restored.output.ravel().tolist() == [-1, 2]


def test_a_byte_model_gets_whole_numbers() -> None:
    image = np.array([[[0.0], [0.5001], [1.0], [1.4], [-1.0]]], np.float32)
    model = Function(same)
    restored = restore(model, image, dtype="uint8", range=(0, 255))
    assert model.seen[0].dtype == np.uint8
    assert model.seen[0].ravel().tolist() == [0, 128, 255, 255, 0]
    assert restored.output.ravel() == pytest.approx(np.array([0, 128, 255, 255, 0]) / 255)


def test_uint8_images_reach_a_byte_model_unchanged() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    model = Function(same)
    restore(model, every, dtype="uint8", range=(0, 255))
    assert np.array_equal(model.seen[0][0], every)


def test_peaks_are_those_of_the_pixels() -> None:
    for image in (np.full((2, 2, 1), 65535, np.uint16), np.full((2, 2, 1), 255, np.uint8), np.ones((2, 2, 1))):
        assert restore(Function(same), image).output.max() == 1


def test_padding_is_a_reflection_and_is_cropped() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    model = Function(same)
    restored = restore(model, image, size_multiple=4, range=(0, 255))
    assert model.seen[0][0, :, :, 0].tolist() == [[0, 1, 2, 1], [3, 4, 5, 4], [0, 1, 2, 1], [3, 4, 5, 4]]
    assert restored.output.shape == (2, 3, 1)


def test_smaller_than_the_padding() -> None:
    assert restore(Function(same), np.zeros((1, 1, 3), np.uint8), size_multiple=64).output.shape == (1, 1, 3)


def test_inputs_keep_their_order() -> None:
    left, right = np.full((2, 2, 1), 51, np.uint8), np.full((2, 2, 1), 255, np.uint8)
    model = Function(lambda a, b: a * 0 + b, (Tensor(None, None),) * 2)
    assert restore(model, left, right, inputs=("left", "right")).output.max() == 1
    assert restore(model, right, left, inputs=("left", "right")).output.max() == pytest.approx(0.2)


FIXED = Tensor((1, 4, 4, 3), "float32")


@pytest.mark.parametrize(
    ("tensors", "says", "images", "words"),
    [
        ((Tensor((4, 4, 3), None),), {}, [IMAGE], "4 × 4 × 3"),
        ((Tensor((8, None, None, 3), None),), {}, [IMAGE], "one image at a time"),
        ((Tensor((None, 3, None, None), None),), {}, [IMAGE[:, :, :1]], "? × 3 × ? × ?"),
        ((Tensor((1, 3, None, 500), None),), {}, [IMAGE], "channels"),
        ((Tensor(None, "float16"),), {}, [IMAGE], "float16"),
        ((Tensor((1, None, None, 1), None),), {}, [IMAGE], "3 channels"),
        ((Tensor(None, None),) * 2, {}, [IMAGE], "1 inputs"),
        ((Tensor(None, None),), {}, [IMAGE, IMAGE], "1 input images"),
        ((Tensor(None, None),) * 2, {"inputs": ("a", "b")}, [IMAGE, IMAGE[:3]], "one size"),
        ((FIXED, Tensor((1, 8, 8, 3), None)), {"inputs": ("a", "b")}, [IMAGE, IMAGE], "one size"),
        ((FIXED,), {}, [IMAGE], "tile_overlap"),
        ((FIXED,), {"tile_overlap": 4}, [IMAGE], "larger than their overlap"),
        ((Tensor((1, 90 - 3), None),), {"layout": "flat"}, [IMAGE], "87 values"),
    ],
)
def test_what_does_not_fit_is_said(
    tensors: tuple[Tensor, ...], says: dict[str, Any], images: list[Array], words: str
) -> None:
    with pytest.raises(ModelProblem) as caught:
        restore(Function(lambda *x: x[0], tensors), *images, **says)
    problem = caught.value
    assert problem.code == "model-shape"
    assert words in f"{problem.expected}; {problem.got}; {problem.fix}"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x[:, 1:], "1×5×5×3"),
        (lambda x: x[0], "6×5×3"),
        (lambda x: x.repeat(2, 1).repeat(2, 2), "1×12×10×3"),
        (lambda x: np.concatenate([x, x], 3), "1×6×5×6"),
        (lambda x: np.concatenate([x, x]), "2×6×5×3"),
        (lambda x: np.moveaxis(x, 3, 1), "1×3×6×5"),
        (lambda x: np.float32(1), "a single value"),
        (lambda x: x.astype(str), "values"),
        (lambda x: x.astype(complex), "complex128"),
        (lambda x: x > 0, "bool"),
        (lambda x: x * 0 + np.nan, "row 0, column 0"),
        (lambda x: np.where(np.arange(5)[None, None, :, None] == 3, np.inf, x), "row 0, column 3"),
        (lambda x: x.astype(np.float64) + 1e300, "NaN or infinity"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_outputs_that_are_no_image_are_refused(function: Callable[[Array], Array], words: str) -> None:
    with pytest.raises(ModelProblem) as caught:
        restore(Function(function), IMAGE)
    assert caught.value.code == "model-output"
    assert words in caught.value.got


def test_a_model_that_fails_says_why_in_one_harmless_line() -> None:
    def fail(x: Array) -> Array:
        raise RuntimeError("\n  bad \x1b[31m shape\n" + "more\n" * 1000)

    with pytest.raises(ModelProblem) as caught:
        restore(Function(fail), IMAGE)
    assert caught.value.code == "run-failed"
    assert caught.value.got == "RuntimeError: bad  [31m shape"
    assert "5×6" in caught.value.expected


def test_a_small_image_is_padded_to_a_fixed_size() -> None:
    model = Function(same, (Tensor((1, 16, 16, 3), "float32"),))
    restored = restore(model, IMAGE)
    assert model.seen[0].shape == (1, 16, 16, 3)
    assert np.abs(restored.output - IMAGE / 255).max() < 1e-6
    assert restored.seams is None


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    fixed=st.tuples(st.sampled_from([None, 8, 11]), st.sampled_from([None, 8, 13])),
    overlap=st.integers(2, 7),
    multiple=st.integers(1, 5),
)
def test_tiles_of_any_size_give_the_whole(
    size: tuple[int, int], fixed: tuple[int | None, int | None], overlap: int, multiple: int
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    model = Function(same, (Tensor((1, *fixed, 3), None),))
    restored = restore(model, image, tile_overlap=overlap, size_multiple=multiple)
    assert restored.output.shape == image.shape
    assert np.abs(restored.output - image / 255).max() < 1e-6
    assert restored.seams in (None, 0.0)
    for wanted, got in zip(fixed, model.seen[0].shape[1:3], strict=True):
        assert got == wanted if wanted else got % multiple == 0
