"""Definitions of splits, and the user's surroundings kept away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.tasks.spec import BlocksSplit, FilesSplit

MakePairs = Callable[..., FilesSplit]
COMMON = {"title": "t", "licence": "l", "home": "https://example.org", "get": "fetch it", "folders": ["."]}


@pytest.fixture
def pairs_spec() -> MakePairs:
    """Make a split of pairs; keywords replace its fields."""

    def make(**fields: Any) -> FilesSplit:
        usual = {**COMMON, "reader": "files", "count": 5, "inputs": "in/*.png", "references": "ref/*.png"}
        return FilesSplit.model_validate({**usual, **fields})

    return make


@pytest.fixture
def blocks_spec() -> BlocksSplit:
    """A split of six blocks, of two images with three blocks each."""
    fields = {"reader": "blocks", "count": 6, "inputs": "Noisy.mat", "references": "Clean.mat"}
    return BlocksSplit.model_validate({**COMMON, **fields})


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's config file would be; EVALUATOR_DATA is not set."""
    import platformdirs

    folder = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.delenv("EVALUATOR_DATA", raising=False)
    path = platformdirs.user_config_path("evaluator") / "config.toml"
    assert path.is_relative_to(tmp_path), "a test must not write over the user's own file"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
