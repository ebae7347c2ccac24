"""numba's compiler, with a place for what it compiled that can be written to."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

_PACKAGE = Path(__file__).parent.parent

# numba keeps compiled code beside its source, or in this folder; it refuses to work where it can write to neither.
if not os.access(_PACKAGE / "images", os.W_OK):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("evaluator") / "numba"))

from numba import njit  # noqa: E402 - it reads the variable when it is imported

__all__ = ["njit"]
