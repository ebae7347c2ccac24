"""`evaluate doctor`."""

from __future__ import annotations

from typing import Any

import click

from evaluator.cli import options
from evaluator.extras import EXTRAS, install

_FRAMEWORKS = (
    ("ai_edge_litert", "ai-edge-litert", "TFLite models"),
    ("onnxruntime", "onnxruntime", "ONNX models"),
    ("torch", "torch", "TorchScript and .pt2 models, LPIPS"),
    ("tensorflow", "tensorflow", "Keras, SavedModel and frozen graphs"),
    ("h5py", "h5py", "MATLAB 7.3 files"),
    ("fsspec", "fsspec", "data and submissions behind URLs"),
    ("distributed", "distributed", "runs on a Dask cluster"),
    ("matplotlib", "matplotlib", "curves of trainings"),
    ("pyiqa", "pyiqa", "metrics pyiqa:NAME (non-commercial licence)"),
    ("bm3d", "bm3d", "the baseline bm3d (non-commercial licence)"),
)


@click.command("doctor")
@options.weights
@options.output_format
def command(output_format: str) -> None:
    """Say what this machine can do: isolation of submissions, formats, devices, weights, data."""
    from evaluator.cli.output import print_json, print_table

    found = _examine()
    if output_format == "json":
        print_json(found)
        return
    isolation = found["isolation"]
    click.echo(isolation["sentence"])
    rows = [[level, state, reason] for level, state, reason in isolation["levels"]]
    print_table(["level", "state", "why"], rows, text=(0, 1, 2), title="Isolation")
    click.echo("")
    rows = [[f["for"], f["version"] or "not installed", f["fix"]] for f in found["formats"]]
    print_table(["for", "version", "to have it"], rows, text=(0, 1, 2), title="Formats and libraries")
    click.echo("")
    rows = [[w["name"], w["used_by"], w["file"] or "not here"] for w in found["weights"]]
    print_table(["weights", "used by", "file"], rows, text=(0, 1, 2), title="Weights")
    click.echo("")
    click.echo(f"Processors: {found['cores']}. Devices for metrics: {', '.join(found['devices'])}.")
    click.echo(f"Data folder: {found['data'] or 'none configured (--data, EVALUATOR_DATA, or the config file)'}.")


def _examine() -> dict[str, Any]:
    from evaluator import metrics
    from evaluator.efficiency.hardware import usable_cores
    from evaluator.runners.sandbox import Level, isolation
    from evaluator.tasks import find_root

    proved = isolation()
    levels = []
    for level in Level:
        if level in proved.refused:
            levels.append((level.value, "refused", proved.refused[level]))
        elif level is proved.level:
            levels.append((level.value, "in force", f"{proved.passed} of {proved.probes} attacks were stopped"))
        else:
            levels.append((level.value, "not needed", ""))
    formats = []
    for module, package, purpose in _FRAMEWORKS:
        version = _version(module, package)
        fix = "" if version else install(EXTRAS[module])
        formats.append({"for": purpose, "package": package, "version": version, "fix": fix})
    root = find_root(None)
    weights = [
        {"name": w.name, "used_by": w.used_by, "file": str(path) if (path := metrics.weights.locate(w)) else None}
        for w in metrics.known_weights()
    ]
    return {
        "isolation": {
            "level": proved.level.value,
            "sentence": proved.sentence,
            "versions": dict(proved.versions),
            "levels": levels,
        },
        "formats": formats,
        "weights": weights,
        "devices": _devices(),
        "cores": usable_cores(),
        "data": str(root.path) if root else None,
    }


def _version(module: str, package: str) -> str | None:
    from importlib import metadata
    from importlib.util import find_spec

    if find_spec(module) is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # it comes under other names too, such as tensorflow-cpu
        return metadata.version(metadata.packages_distributions()[module][0])


def _devices() -> list[str]:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return ["cpu"]
    import torch

    return ["cpu", *(f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count()))]
