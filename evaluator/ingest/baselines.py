"""The baselines that ship with the harness."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from evaluator.shipped import shipped_folder


@cache
def baselines_folder() -> Path:
    """Return the folder of the baselines."""
    return shipped_folder("_baselines", "baselines")


def baseline_names() -> list[str]:
    """Return the names of the baselines."""
    return sorted(p.parent.name for p in baselines_folder().glob("*/submission.toml"))


def is_baseline(path: Path) -> bool:
    """Tell whether a path is one of the folders of the baselines that ship with the harness."""
    return (
        path.is_dir()
        and path.resolve().parent == baselines_folder().resolve()
        and path.resolve().name in baseline_names()
    )
