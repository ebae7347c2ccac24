"""The environment: versions that are really those of this process."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from evaluator import __version__, metrics
from evaluator.efficiency import this_machine
from evaluator.metrics import weights
from evaluator.metrics.weights import Weights
from evaluator.results import environment, provenance


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The environment is found out once per process: a test that changes it must not leave it to others."""
    provenance._versions.cache_clear()
    yield
    provenance._versions.cache_clear()


def test_versions_are_those_that_run() -> None:
    found = environment(())
    assert found.evaluator == __version__
    assert found.python == platform.python_version()
    assert found.packages["numpy"] == np.__version__
    assert found.hardware == this_machine()


def test_every_package_that_decodes_or_computes_is_named() -> None:
    wanted = {
        "numpy",
        "scipy",
        "opencv-python-headless",
        "pillow",
        "tifffile",
        "scikit-image",
        "numba",
        "deflate",
        "PyWavelets",
    }
    assert set(environment(()).packages) - {"torch"} == wanted


def test_a_package_that_is_not_installed_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    found = environment(()).packages
    assert "torch" not in found
    assert found["numpy"] == "1.0"


def test_weights_and_device_of_the_metrics_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = b"parameters"
    known = Weights("w", (("w.bin", hashlib.sha256(content).hexdigest()),), "", "MIT", "some.metric")
    monkeypatch.setattr(weights, "KNOWN", {"w": known})
    monkeypatch.setattr(metrics.registry, "KNOWN", {"w": known})
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("EVALUATOR_DEVICE", "cuda")
    assert environment(["some.metric.v1"]).weights == {}
    (tmp_path / "w.bin").write_bytes(content)
    found = environment(["some.metric.v1", "other"])
    assert found.weights == {"w": hashlib.sha256(content).hexdigest()}
    assert found.device == "cuda"
    assert environment(["other"]).weights == {}
