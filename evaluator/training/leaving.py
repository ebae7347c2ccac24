"""What a training leaves beside its weights: a submission to score, a record of how it was made, and its curve."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from evaluator._version import __version__
from evaluator.ingest import FILE_NAME as MANIFEST
from evaluator.ingest import baseline_files, baseline_manifest
from evaluator.runners.models.importing import WEIGHTS, network_manifest

RECORD = "training.json"
CURVE = "curve.png"
__all__ = ["CURVE", "RECORD", "WEIGHTS", "leave_curve", "leave_record", "leave_submission"]
_PACKAGES = ("torch", "keras", "numpy", "scikit-image", "opencv-python-headless", "pillow")

Rows = Sequence[Mapping[str, Any]]


def leave_submission(baseline: str, recipe: Path, out: Path, *, identifier: str, made: str) -> None:
    """Write what makes a folder with weights a submission: the baseline's code, its recipe and a manifest.

    Args:
        baseline: its name.
        recipe: the recipe that was followed.
        out: the folder, which holds the weights.
        identifier: the submission's.
        made: a sentence on where the weights come from.
    """
    for part in baseline_files(baseline).values():
        if part.suffix == ".py":
            shutil.copyfile(part, out / part.name)
    shutil.copyfile(recipe, out / recipe.name)
    manifest = baseline_manifest(baseline)
    assert manifest.network is not None  # noqa: S101 - a baseline with a recipe is a network
    entry, method = manifest.network.entry, manifest.method
    text = network_manifest(manifest, identifier=identifier, method=method, entry=entry, description=made)
    (out / MANIFEST).write_text(text, encoding="utf-8")


def leave_record(found: Mapping[str, object], out: Path) -> None:
    """Write how weights were made as a JSON file, with the versions of what they hang on."""
    versions = {"evaluator": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    text = json.dumps({**found, "versions": versions}, indent=2, ensure_ascii=False, allow_nan=False)
    (out / RECORD).write_text(text + "\n", encoding="utf-8")


def leave_curve(rows: Rows, title: str, out: Path) -> bool:
    """Draw the losses over the steps as a PNG; return whether it was: matplotlib may not be installed.

    Args:
        rows: of log.csv; the first has no loss of a step.
        title: what stands above.
        out: the folder.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    steps = [int(row["step"]) for row in rows]
    losses.plot(steps[1:], [float(row["loss"]) for row in rows[1:]], color="#9aa5b1", label="one batch")
    if "adversary_loss" in rows[0]:
        judged = [float(row["adversary_loss"]) for row in rows[1:]]
        losses.plot(steps[1:], judged, color="#c98a2b", label="one batch, the adversary")
    losses.plot(steps, [float(row["held_out_loss"]) for row in rows], color="#1f5fa8", label="held-out photographs")
    losses.set(title=title, ylabel="loss", yscale="log")
    losses.legend()
    rates.step(steps, [float(row["learning_rate"]) for row in rows], where="post", color="#9aa5b1")
    rates.set(xlabel="step", ylabel="learning rate")
    # No date and no version within the file: the same rows give the same bytes.
    figure.savefig(out / CURVE, metadata={"Software": None})
    return True
