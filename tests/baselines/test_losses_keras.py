"""Losses of LPIENet and fast-DPED on both backends: beside other libraries, by hand, and in short trainings."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.stats import norm
from skimage.metrics import structural_similarity

from evaluator.ingest import baselines_folder

BACKENDS = ("torch", "tensorflow")


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """Images of 32×32 px, a smooth target and a noisy output of it; what a discriminator says, and the truth."""
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[0:32, 0:32] / 31
    target = np.stack([0.2 + 0.6 * rows, 0.5 + 0.3 * np.sin(6 * columns), 0.8 - 0.5 * rows * columns], -1)
    target = np.stack([target, target[::-1, :, ::-1]])
    output = np.clip(target + random.normal(0, 0.1, target.shape), 0, 1)
    fake = random.uniform(0.1, 0.9, (4, 1))
    arrays = {"target": target, "output": output, "judged": np.hstack([1 - fake, fake]), "real": [[1], [0], [0], [1]]}
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def found(given: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each backend that is installed gives."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("keras is an optional dependency")
    inputs = tmp_path_factory.mktemp("losses") / "inputs.npz"
    np.savez(inputs, **given)
    script = Path(__file__).with_name("run_losses.py")
    answers = {}
    for backend in BACKENDS:
        if importlib.util.find_spec(backend) is None:
            continue
        done = subprocess.run(
            [sys.executable, str(script), str(baselines_folder()), str(inputs)],
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers[backend] = json.loads(done.stdout.splitlines()[-1])
        assert answers[backend]["backend"] == backend
    return answers


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, found: dict[str, Any]) -> dict[str, Any]:
    """One backend's answer."""
    if request.param not in found:
        pytest.skip(f"{request.param} is an optional dependency")
    answer: dict[str, Any] = found[request.param]
    return answer


def test_structure_is_scikit_images_ssim(backend: dict[str, Any], given: dict[str, Any]) -> None:
    values = backend["lpienet"]["values"]
    # Its window ends at 3.5 σ: 11 px, and 9 px.
    for name, sigma in (("structure", 1.5), ("narrow", 1.0)):
        similar = [
            structural_similarity(
                output.astype(float),
                target.astype(float),
                gaussian_weights=True,
                sigma=sigma,
                use_sample_covariance=False,
                data_range=1,
                channel_axis=-1,
            )
            for output, target in zip(given["output"], given["target"], strict=True)
        ]
        assert values[name] == pytest.approx(1 - np.mean(similar), abs=2e-5)
    assert values["same"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("folder", ["lpienet", "fast-dped"])
def test_absolute_and_gradient_by_hand(backend: dict[str, Any], given: dict[str, Any], folder: str) -> None:
    output, target = given["output"].astype(float), given["target"].astype(float)
    values = backend[folder]["values"]
    assert values["absolute"] == pytest.approx(np.abs(output - target).mean(), rel=1e-5)
    steps = sum(np.abs(np.diff(output, axis=a) - np.diff(target, axis=a)).mean() for a in (1, 2))
    assert values["gradient"] == pytest.approx(steps, rel=1e-5)


def test_colour_is_scipys_blur(backend: dict[str, Any], given: dict[str, Any]) -> None:
    # The kernel as DPED's code makes it: the root of the product of a Gaussian's shares of 21 steps.
    shares = np.diff(norm.cdf(np.linspace(-3 - 1 / 6, 3 + 1 / 6, 22)))
    places = np.arange(21) - 10
    gaussian = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 3))
    values = backend["fast-dped"]["values"]
    for name, kernel in (("colour", np.sqrt(np.outer(shares, shares))), ("colour, variance 3", gaussian)):
        error = given["output"].astype(float) - given["target"]
        blurred = correlate(error, (kernel / kernel.sum())[None, :, :, None], mode="constant")
        assert values[name] == pytest.approx((blurred**2).sum() / (2 * len(error)), rel=1e-4)


def test_the_kernels_spread_is_that_of_dpeds_code(backend: dict[str, Any]) -> None:
    line, places = np.array(backend["fast-dped"]["line"]), np.arange(21) - 10
    assert line.sum() == pytest.approx(1)
    assert (line * places**2).sum() ** 0.5 == pytest.approx(4.34, abs=0.005)  # measured on the code's own kernel


def test_dpeds_other_losses_by_hand(backend: dict[str, Any], given: dict[str, Any]) -> None:
    values, output, target = (
        backend["fast-dped"]["values"],
        given["output"].astype(float),
        given["target"].astype(float),
    )
    variation = sum((np.diff(output, axis=axis) ** 2).mean() for axis in (1, 2))
    assert values["variation"] == pytest.approx(variation, rel=1e-5)
    features = [image[:, ::2, ::2] ** 2 for image in (output, target)]
    assert values["content"] == pytest.approx(((features[0] - features[1]) ** 2).mean(), rel=1e-4)
    real, fake = given["judged"].astype(float).T
    assert values["texture"] == pytest.approx(np.log(fake).sum(), rel=1e-5)
    right = np.where(given["real"][:, 0] == 1, real, fake)
    assert values["discrimination"] == pytest.approx(-np.log(right).sum(), rel=1e-5)
    assert values["gray"] == pytest.approx([output[1, 2, 3] @ [0.2989, 0.587, 0.114]], rel=1e-5)


def test_the_discriminators_parameters(backend: dict[str, Any]) -> None:
    assert backend["fast-dped"]["values"]["parameters"] == 7_361_122  # counted on DPED's code


def test_both_backends_give_the_same(found: dict[str, Any]) -> None:
    if len(found) < len(BACKENDS):
        pytest.skip("one backend is not installed")
    for folder in ("lpienet", "fast-dped"):
        one, other = (found[backend][folder]["values"] for backend in BACKENDS)
        for name, value in one.items():
            assert other[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize(("folder", "network"), [("lpienet", "lpienet"), ("fast-dped", "fast-dped")])
def test_a_few_steps_lower_the_loss(backend: dict[str, Any], folder: str, network: str) -> None:
    curve = backend[folder][network]
    assert np.isfinite(curve).all()
    assert curve[-1] < 0.9 * curve[0], curve


def test_the_discriminator_learns_to_tell(backend: dict[str, Any]) -> None:
    curve = backend["fast-dped"]["judge"]
    assert curve[0] == pytest.approx(4 * np.log(2), rel=0.2)  # it begins by guessing
    assert curve[-1] < 0.5 * curve[0], curve
