"""The baselines that ship with the harness."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evaluator.extras import extras_of, install
from evaluator.findings import EvaluatorError
from evaluator.ingest.manifest import FILE_NAME, Manifest
from evaluator.shipped import shipped_folder
from evaluator.typed_toml import parse_toml


@cache
def baselines_folder() -> Path:
    """Return the folder of the baselines."""
    return shipped_folder("_baselines", "baselines")


def baseline_names() -> list[str]:
    """Return the names of the baselines."""
    return sorted(p.parent.name for p in baselines_folder().glob(f"*/{FILE_NAME}"))


def baseline_manifest(name: str) -> Manifest:
    """Return a baseline's manifest.

    Raises:
        EvaluatorError: it is damaged.
    """
    file = baselines_folder() / name / FILE_NAME
    manifest, findings = parse_toml(Manifest, file.read_bytes(), str(file), "manifest")
    if manifest is None:
        raise EvaluatorError(f"The baseline {name} is damaged.", findings)
    return manifest


def code_folder(name: str) -> Path:
    """Return the folder of the modules that a baseline runs: its own, or that of the one whose code it shares.

    Raises:
        EvaluatorError: its manifest is damaged.
    """
    return baselines_folder() / (baseline_manifest(name).baseline.code_of or name)


def baseline_files(name: str) -> dict[str, Path]:
    """Return the files that make a baseline up, by name: its own, and the modules of the one whose code it shares."""
    shared = baseline_manifest(name).baseline.code_of
    folder = baselines_folder()
    modules = {p.name: p for p in folder.joinpath(shared).glob("*.py")} if shared else {}
    return modules | {p.name: p for p in sorted(folder.joinpath(name).iterdir()) if p.is_file()}


def left_out(path: Path, task: str) -> str:
    """Return why a path, one of many, is not scored on a task: empty unless it is a baseline that it is not for."""
    if not is_baseline(path):
        return ""
    manifest = baseline_manifest(path.resolve().name)
    missing = [name for name in manifest.baseline.needs if find_spec(name) is None]
    if not manifest.has_weights:
        return "without weights (see `evaluate profile`)"
    if manifest.baseline.tasks and task not in manifest.baseline.tasks:
        return "for other tasks"
    if missing:
        return f"without {', '.join(missing)} ({install(*extras_of(missing))})"
    return "slow, run by name only" if manifest.baseline.by_name else ""


def is_bare(path: Path) -> bool:
    """Tell whether a path is the folder of a baseline without weights, which cannot be scored."""
    return is_baseline(path) and not baseline_manifest(path.resolve().name).has_weights


def is_baseline(path: Path) -> bool:
    """Tell whether a path is one of the folders of the baselines that ship with the harness."""
    return (
        path.is_dir()
        and path.resolve().parent == baselines_folder().resolve()
        and path.resolve().name in baseline_names()
    )
