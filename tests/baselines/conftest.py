"""Baselines as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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


@pytest.fixture
def documented() -> dict[str, dict[str, str]]:
    """Return the scores of docs/pages/baselines.md as they are printed, by baseline and task."""
    text = (Path(__file__).parents[2] / "docs" / "pages" / "baselines.md").read_text(encoding="utf-8")
    lines = text.partition("## Scores")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    tasks = [head.partition("<br>")[0] for head in rows[0][2:]]
    return {row[0].strip("`"): dict(zip(tasks, row[2:], strict=True)) for row in rows[2:]}
