"""Costs in the store: one file for all splits, whole or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.results import Store
from support import make_cost, make_phone_run


def test_costs_come_back_as_they_were_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    costs = {name: make_cost(name, phones=(make_phone_run(),)) for name in ("b", "a", "a.v2")}
    for cost in costs.values():
        path = store.write_cost(cost)
        assert path == store.cost_file("dped", cost.submission)
    assert store.read_costs("dped") == costs
    assert list(store.read_costs("dped")) == ["a", "a.v2", "b"]
    assert store.read_cost("dped", "a.v2") == costs["a.v2"]
    assert [p.name for p in tmp_path.iterdir()] == ["costs"]


def test_where_nothing_was_measured_there_are_no_costs(tmp_path: Path) -> None:
    assert Store(tmp_path).read_costs("dped") == {}
    assert Store(tmp_path).read_cost("dped", "a") is None


def test_costs_are_no_board(tmp_path: Path) -> None:
    Store(tmp_path).write_cost(make_cost("scorecard"))
    assert list(Store(tmp_path).boards()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.update(schema_version=2), "schema version 2"),
        (lambda values: values.pop("schema_version"), "schema version None"),
        (lambda values: values.pop("harness"), "is damaged"),
        (lambda values: values.update(extra=1), "is damaged"),
        (lambda values: values.update(parameters="5"), "is damaged"),
        (lambda values: values["timings"][0].update(ratio=None), "is damaged"),
        (lambda values: values["timings"][0].update(median_ms=float("nan")), "is damaged"),
        (lambda values: values.update(submission="other"), "renamed or moved"),
        (lambda values: values.update(task="sidd"), "renamed or moved"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_that_names_it(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    store = Store(tmp_path)
    path = store.write_cost(make_cost("a"))
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(EvaluatorError, match=words) as raised:
        store.read_costs("dped")
    assert str(path) in str(raised.value)
    assert "evaluate profile" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"3"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: bytes) -> None:
    path = Store(tmp_path).write_cost(make_cost("a"))
    path.write_bytes(text)
    with pytest.raises(EvaluatorError) as raised:
        Store(tmp_path).read_cost("dped", "a")
    assert str(path) in str(raised.value)
