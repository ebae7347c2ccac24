"""Peaks belong to types, and a digest belongs to pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from evaluator.images import ImageProblem, Pixels, peak_of, pixels_digest

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)
ARRAYS = st.sampled_from(["u1", "u2", "f4", "f8"]).flatmap(lambda kind: hnp.arrays(kind, SHAPES))


@pytest.mark.parametrize(
    ("dtype", "peak"), [("u1", 255), ("u2", 65535), ("f2", 1), ("f4", 1), ("f8", 1), (">u2", 65535), (">f4", 1)]
)
def test_peak_belongs_to_the_type(dtype: str, peak: float) -> None:
    assert peak_of(np.dtype(dtype)) == peak


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "u8", "?", "c8", "U1", "O"])
def test_other_types_hold_no_pixels(dtype: str) -> None:
    with pytest.raises(ImageProblem) as caught:
        peak_of(np.dtype(dtype))
    assert caught.value.code == "pixel-type"
    assert np.dtype(dtype).name in caught.value.got


@pytest.mark.parametrize(
    ("dtype", "kind"), [("u1", "uint8"), ("u2", "uint16"), ("f2", "float"), ("f4", "float"), ("f8", "float")]
)
def test_kind_is_the_name_that_protocols_use(dtype: str, kind: str) -> None:
    assert Pixels(np.zeros((2, 2, 3), dtype), 1.0).kind == kind


def test_problem_says_what_was_expected_and_what_was_found() -> None:
    problem = ImageProblem("size", expected="a cat", got="a dog", fix="Swap them.")
    assert str(problem) == "expected a cat, got a dog"
    assert (problem.code, problem.fix) == ("size", "Swap them.")


@given(ARRAYS)
def test_digest_is_independent_of_memory_layout(array: NDArray[np.generic]) -> None:
    digest = pixels_digest(array)
    assert pixels_digest(np.asfortranarray(array)) == digest
    assert pixels_digest(array.astype(array.dtype.newbyteorder(">"))) == digest
    assert pixels_digest(array[::-1][::-1]) == digest


@given(hnp.arrays("u2", SHAPES), st.data())
def test_digest_changes_with_any_value(array: NDArray[np.uint16], data: st.DataObject) -> None:
    at = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    other = array.copy()
    other[at] ^= data.draw(st.integers(1, 65535))
    assert pixels_digest(other) != pixels_digest(array)


def test_digest_changes_with_shape_and_type() -> None:
    zeros = [np.zeros(shape, kind) for shape, kind in [((2, 3, 1), "u1"), ((3, 2, 1), "u1"), ((1, 3, 1), "u2")]]
    assert len({pixels_digest(array) for array in zeros}) == 3


def test_digest_is_pinned() -> None:
    # Published manifests of mini splits hold such digests: another way to compute them would break all of them.
    pinned = "a7f75e5671bc6513358d39cd21faea5eca1513cbbed2660f39639fde35cd02f8"
    assert pixels_digest(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)) == pinned
