"""Baselines as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evaluator.ingest import baseline_manifest, baselines_folder
from evaluator.runners.models.python import import_entry

Load = Callable[..., Callable[..., Any]]


@pytest.fixture
def load() -> Load:
    """Return a function of a baseline; its entry, if none is named."""

    def find(name: str, function: str = "") -> Callable[..., Any]:
        python = baseline_manifest(name).python
        assert python is not None
        entry = f"{python.entry.partition(':')[0]}:{function}" if function else python.entry
        return import_entry(baselines_folder() / name, entry, "[python]")

    return find
