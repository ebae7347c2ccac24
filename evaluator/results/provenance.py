"""The environment that a scorecard names: everything on this machine that could change a number."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

from pydantic import BaseModel, ConfigDict

from evaluator._version import __version__
from evaluator.efficiency import Hardware, this_machine

_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "pillow", "tifffile", "scikit-image")


class Environment(BaseModel):
    """Versions and hardware."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evaluator: str
    python: str
    packages: dict[str, str]
    hardware: Hardware


@cache
def environment() -> Environment:
    """Return the environment of this process."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "not installed under this name"
    return Environment(
        evaluator=__version__,
        python=platform.python_version(),
        packages=packages,
        hardware=this_machine(),
    )
