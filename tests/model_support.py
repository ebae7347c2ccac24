"""What the tests of models share: a process for each framework, and the small network in float64."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import correlate

_SERVE = Path(__file__).parent / "runners" / "models" / "serve.py"
MODULES = {
    "tensorflow": ("tensorflow", "keras"),
    "torch": ("torch",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "tflite": ("ai_edge_litert",),
}
FORMATS = {
    ".pt": "torch",
    ".pt2": "torch",
    ".onnx": "onnx",
    ".tflite": "tflite",
    ".keras": "tensorflow",
    ".pb": "tensorflow",
    "": "tensorflow",
}


def needed(*frameworks: str) -> None:
    """Skip where a framework is not installed."""
    for framework in frameworks:
        for module in MODULES[framework]:
            if importlib.util.find_spec(module) is None:
                pytest.skip(f"{module} is not installed")


def manifest(file: str, *, layout: str | None = None, artefact: dict[str, Any] | None = None, **model: Any) -> Any:
    """Return a manifest for a model file; layout as its framework is wont to have it."""
    usual = "NCHW" if Path(file).suffix in (".pt", ".pt2", ".onnx") else "NHWC"
    return {
        "kind": "model",
        "model": {"layout": layout or usual, "range": [0, 1], **model},
        "artefacts": {"quality": {"file": file, **(artefact or {})}},
    }


def _framework(says: Any, role: str) -> str:
    if says.get("network"):
        return "tensorflow" if says["model"]["layout"] == "NHWC" else "torch"
    artefact = says["artefacts"].get(role) or says["artefacts"]["quality"]
    return FORMATS[Path(artefact["file"]).suffix]


@dataclass(frozen=True)
class Answer:
    """What a process made of a job: an output, or a problem's code and words."""

    code: str
    output: NDArray[Any] | None = None
    seams: float | None = None
    said: str = ""


class Frameworks:
    """A process for each framework, started when it is first needed."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._running: dict[str, subprocess.Popen[str]] = {}

    def restore(self, folder: Path, says: Any, *images: NDArray[Any], role: str = "quality") -> Answer:
        """Load a model in its framework's process and restore one case."""
        framework = _framework(says, role)
        needed(framework)
        names = []
        for number, image in enumerate(images):
            names.append(str(self._scratch / f"{number}.npy"))
            np.save(names[-1], image)
        output = self._scratch / "output.npy"
        job = {"folder": str(folder), "manifest": says, "inputs": names, "role": role, "output": str(output)}
        process = self._process(framework)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the process of {framework} ended with {process.wait(10)}"
        found = json.loads(line)
        if found["code"]:
            return Answer(found["code"], said=f"{found['expected']}; {found['got']}; {found['fix']}")
        return Answer("", np.load(output), found["seams"])

    def _process(self, framework: str) -> subprocess.Popen[str]:
        if framework not in self._running or self._running[framework].poll() is not None:
            self._running[framework] = subprocess.Popen(
                [sys.executable, str(_SERVE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(self._scratch / f"{framework}.log").open("w"),
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        return self._running[framework]

    def end(self) -> None:
        """End the processes."""
        for process in self._running.values():
            process.communicate(timeout=60)


class Reference:
    """The network in float64, from the definition of a convolution."""

    def __init__(self, weights: Path) -> None:
        self._weights = {name: value.astype(np.float64) for name, value in np.load(weights).items()}

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Return what the network gives for 8-bit pixels; white is 1."""
        unit = image / 255.0
        inner = np.maximum(self._convolved(unit, "1"), 0)
        result: NDArray[np.float64] = unit + self._convolved(inner, "2")
        return result

    def _convolved(self, array: NDArray[np.float64], layer: str) -> NDArray[np.float64]:
        kernels = self._weights[f"w{layer}"]
        planes = [
            sum(
                correlate(array[:, :, i], kernels[:, :, i, o], mode="constant", cval=0.0)
                for i in range(kernels.shape[2])
            )
            for o in range(kernels.shape[3])
        ]
        return np.stack(planes, axis=2) + self._weights[f"b{layer}"]
