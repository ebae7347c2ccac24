"""Where files that ship with the harness lie: in the package when installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(installed: str, checkout: str) -> Path:
    """Return a folder that the wheel carries inside the package, or its place in a checkout."""
    inside = _PACKAGE / installed
    return inside if inside.is_dir() else _PACKAGE.parent / checkout
