"""What may run at which level, as a table."""

from __future__ import annotations

import pytest

from evaluator.runners.sandbox import Kind, Level, allowed

KINDS: tuple[Kind, ...] = ("outputs", "hdf5", "data", "graph", "code")
#                          outputs hdf5   data   graph  code
TABLE = {
    Level.A: (True, True, True, True, True),
    Level.B: (True, True, True, True, True),
    Level.C: (True, True, True, True, False),
    Level.LIMITS: (True, False, False, False, False),
    Level.NONE: (True, False, False, False, False),
}


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("kind", KINDS)
def test_what_may_run(level: Level, kind: Kind) -> None:
    wanted = TABLE[level][KINDS.index(kind)]
    assert (allowed(level, kind, accept_partial=False, trusted=False) is None) == wanted
    assert allowed(level, kind, accept_partial=False, trusted=True) is None
    partial = wanted or (level is Level.C and kind == "code")
    assert (allowed(level, kind, accept_partial=True, trusted=False) is None) == partial


@pytest.mark.parametrize("level", [Level.C, Level.LIMITS, Level.NONE])
def test_a_refusal_says_what_to_do(level: Level) -> None:
    said = allowed(level, "code", accept_partial=False, trusted=False) or ""
    assert "--trust" in said
    assert "bubblewrap" in said
    assert ("--accept-partial" in said) == (level is Level.C)
