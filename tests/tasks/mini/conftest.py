"""Generated cases, made once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from evaluator.tasks.mini import GENERATORS
from evaluator.tasks.mini.made import Made


@pytest.fixture(scope="session")
def made() -> Callable[[str], tuple[Made, ...]]:
    """Return the cases of a generator by its name."""
    return cache(lambda name: tuple(GENERATORS[name]()))
