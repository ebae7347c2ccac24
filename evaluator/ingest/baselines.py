"""Where the baselines that ship with the harness lie: in the package when installed, beside it in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def baselines_folder() -> Path:
    """Return the folder of the baselines."""
    installed = _PACKAGE / "_baselines"
    return installed if installed.is_dir() else _PACKAGE.parent / "baselines"


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
