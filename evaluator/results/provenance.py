"""The environment that a scorecard names: everything on this machine that could change a number."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from functools import cache
from importlib import metadata

from pydantic import BaseModel, ConfigDict

from evaluator import metrics
from evaluator._version import __version__
from evaluator.efficiency import Hardware, this_machine

_PACKAGES = (
    *("numpy", "scipy", "opencv-python-headless", "pillow", "tifffile", "scikit-image", "PyWavelets"),
    *("numba", "deflate", "torch"),
)


class Environment(BaseModel):
    """Versions and hardware."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    evaluator: str
    python: str
    packages: dict[str, str]
    hardware: Hardware
    device: str
    """Where networks of metrics ran: `cpu` or `cuda`."""
    weights: dict[str, str]
    """sha256 of the weights that the task's metrics used, by name."""


class IsolationInfo(BaseModel):
    """How the submission's files and code were kept away from everything else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: str
    """`A` to `C`, `limits` or `none`."""
    sentence: str
    probes: str
    """How many attempts to break out were made and stopped."""
    versions: dict[str, str]
    trusted: bool
    """Whether the operator vouched for the code, instead of the isolation."""
    stopped: tuple[str, ...]
    """What was stopped, and at which limit."""


def environment(metric_ids: Sequence[str]) -> Environment:
    """Return the environment in which these metrics are computed by this process."""
    further = metrics.pyiqa_zoo.PACKAGES if any(map(metrics.is_further, metric_ids)) else ()
    return Environment(
        evaluator=__version__,
        python=platform.python_version(),
        packages=_versions((*_PACKAGES, *further)),
        hardware=this_machine(),
        device=os.environ.get("EVALUATOR_DEVICE", "cpu"),
        weights=metrics.weights_used(metric_ids),
    )


@cache
def _versions(names: tuple[str, ...]) -> dict[str, str]:
    packages = {}
    for name in names:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return packages
