"""The conformance table."""

from __future__ import annotations

import importlib

import pytest

from evaluator import metrics
from evaluator.scoring.conformance import PEERS, conformance


def test_no_installed_library_disagrees_where_it_defines_the_same() -> None:
    rows = conformance()
    assert len(rows) == 2 * len(PEERS)
    assert [r for r in rows if r.verdict == "DISAGREES"] == []
    ours = [r for r in rows if "scikit-image" in r.peer]
    assert len(ours) == 6
    assert {r.verdict for r in ours} == {"agrees"}


def test_a_wrong_value_of_ours_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = metrics.compute

    def wrong(metric: str, **values: object) -> float:
        return right(metric, **values) + 1e-6  # type: ignore[arg-type]

    monkeypatch.setattr(metrics, "compute", wrong)
    assert any(r.verdict == "DISAGREES" for r in conformance())


def test_a_library_that_is_not_there_is_said_to_be_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    present = importlib.import_module

    def absent(name: str, package: str | None = None) -> object:
        if name == "piq":
            raise ImportError(name)
        return present(name, package)

    monkeypatch.setattr(importlib, "import_module", absent)
    rows = [r for r in conformance() if r.peer.startswith("piq")]
    assert rows
    assert {(r.verdict, r.theirs) for r in rows} == {("not installed", None)}


@pytest.mark.parametrize("peer", PEERS, ids=lambda p: f"{p.package}-{p.metric}")
def test_every_difference_has_a_reason(peer: object) -> None:
    assert getattr(peer, "tolerance") is not None or getattr(peer, "reason")  # noqa: B009
