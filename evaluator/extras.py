"""Packages that need not be there, and the extras of ours that bring them."""

from __future__ import annotations

from collections.abc import Iterable

EXTRAS = {
    "ai_edge_litert": "tflite",
    "bm3d": "bm3d",
    "distributed": "dask",
    "fsspec": "remote",
    "h5py": "hdf5",
    "keras": "tensorflow",
    "matplotlib": "train",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pyiqa": "pyiqa",
    "tensorflow": "tensorflow",
    "torch": "torch",
    "torchvision": "torch",
}
"""By module. safetensors comes with `torch` and with `tensorflow`."""


def install(*extras: str) -> str:
    """Return the line to type for extras."""
    return f"pip install 'restoration-evaluator[{','.join(extras)}]'"


def extras_of(modules: Iterable[str]) -> list[str]:
    """Return the extras that bring modules."""
    return sorted({EXTRAS[module] for module in modules if module in EXTRAS}) or ["torch"]
