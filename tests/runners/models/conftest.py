"""The small network in every format, and a process for each framework that runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from graph_process import GraphProcess
from numpy.typing import NDArray

from evaluator.shipped import shipped_folder
from model_support import Frameworks, Reference, needed

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def frameworks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frameworks]:
    """A process for each framework."""
    found = Frameworks(tmp_path_factory.mktemp("serve"))
    yield found
    found.end()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's weights, (k, k, in, out), from a seed."""
    random = np.random.default_rng(2018)
    shapes = {"w1": (3, 3, 3, 8), "b1": (8,), "w2": (3, 3, 8, 3), "b2": (3,)}
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(path, **{name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()})
    return path


def _made(script: str, given: Path, folder: Path) -> Path:
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(given), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def torch_nets(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make_torch.py` exports."""
    needed("torch")
    return _made("make_torch.py", weights, tmp_path_factory.mktemp("torch"))


@pytest.fixture(scope="session")
def tensorflow_nets(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make_tensorflow.py` exports."""
    needed("tensorflow")
    return _made("make_tensorflow.py", weights, tmp_path_factory.mktemp("tensorflow"))


@pytest.fixture(scope="session")
def counted_nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `graphs/make_networks.py` saves."""
    needed("tensorflow", "tflite")
    lpienet = shipped_folder("_baselines", "baselines") / "lpienet" / "lpienet.py"
    return _made("graphs/make_networks.py", lpienet, tmp_path_factory.mktemp("counted"))


@pytest.fixture(scope="session")
def read_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphProcess]:
    """A process that lists operators."""
    needed("tensorflow", "tflite")
    process = GraphProcess(tmp_path_factory.mktemp("read") / "log")
    yield process
    process.end()


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    """An input of 20×24 pixels."""
    return np.random.default_rng(7).integers(0, 256, (20, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def reference(weights: Path) -> Reference:
    """The network in float64."""
    return Reference(weights)
