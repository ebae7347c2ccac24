"""Every classical baseline takes an image of any size and content, or says which it cannot."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluator.ingest import baseline_manifest, baselines_folder
from evaluator.runners.models.python import import_entry
from evaluator.scoring import scoreable_baselines

SLOW = ("bm3d", "ksvd")
SMALLEST = {"bm3d": 16, "ksvd": 8}
"""Sides that a method needs, as its card says."""
QUICK = [n for n in scoreable_baselines() if n not in SLOW and baseline_manifest(n).python]


@cache
def restorer(name: str) -> Callable[..., Any]:
    python = baseline_manifest(name).python
    assert python is not None
    restore = import_entry(baselines_folder() / name, python.entry, "[python]")
    if "psf" not in python.inputs:
        return restore
    psf = np.outer([1, 2, 4, 2, 1, 1, 1], [1, 3, 1, 1, 1]).astype(np.float32)[:, :, None]
    return lambda image: restore(image, psf)


@st.composite
def images(draw: st.DrawFn) -> NDArray[Any]:
    """Draw an image: noise, a gradient along one axis, one value, one lit pixel, or one lit channel."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 3]))
    kind = draw(st.sampled_from(["noise", "rows", "columns", "flat", "black", "white", "dot", "red"]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    values = np.zeros(shape)
    if kind == "noise":
        values = random.random(shape)
    elif kind == "rows":
        values += np.linspace(0, 1, shape[0])[:, None, None]
    elif kind == "columns":
        values += np.linspace(0, 1, shape[1])[:, None]
    elif kind in ("flat", "white"):
        values += 1 if kind == "white" else random.random()
    elif kind == "dot":
        values[tuple(int(random.integers(side)) for side in shape)] = 1
    elif kind == "red":
        values[:, :, 0] = random.random(shape[:2])
    return values.astype(np.float32) if draw(st.booleans()) else np.rint(values * 255).astype(np.uint8)


def check(name: str, image: NDArray[Any]) -> None:
    kept = image.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a division by zero, a mean of nothing
        try:
            output = restorer(name)(image)
        except ValueError as error:
            assert min(image.shape[:2]) < SMALLEST.get(name, 0), "only these may refuse an image"
            assert str(error).startswith("expected")  # noqa: PT017
            return
    assert min(image.shape[:2]) >= SMALLEST.get(name, 0)
    assert np.array_equal(image, kept), "the input is left alone"
    assert output.shape == image.shape
    assert np.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= (255 if output.dtype == np.uint8 else 1)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(image=np.full((1, 1, 1), 100, np.uint8))
@example(image=np.zeros((1, 1, 3), np.uint8))
@example(image=np.zeros((16, 16, 3), np.uint8))
@example(image=np.full((2, 40, 3), 7, np.uint8))
@given(image=images())
def test_any_image_is_restored(name: str, image: NDArray[Any]) -> None:
    check(name, image)


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 9, 3), (8, 8, 1), (16, 16, 3), (33, 17, 1)])
@pytest.mark.parametrize("value", [None, 0, 100])
def test_slow_ones_take_every_image_from_a_size_on(name: str, shape: tuple[int, int, int], value: int | None) -> None:
    if name == "bm3d" and importlib.util.find_spec("bm3d") is None:
        pytest.skip("needs the extra bm3d")
    noise = np.random.default_rng(3).integers(0, 256, shape)
    check(name, (noise if value is None else np.full(shape, value)).astype(np.uint8))
