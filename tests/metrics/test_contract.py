"""Contracts and aggregation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import metrics
from evaluator.metrics import Score, State, aggregate

PSNR = metrics.get("psnr.f64").contract
RMSE_REL = metrics.get("rmse_rel").contract
finite = st.floats(min_value=1e-6, max_value=1e3)


def ok(*values: float) -> list[Score]:
    return [Score(State.OK, v) for v in values]


def test_every_contract_fills_every_field() -> None:
    for metric in metrics.metrics().values():
        contract = metric.contract
        assert contract.id.replace(".", "").replace("_", "").isalnum()
        for field in ("title", "colour", "range", "window", "border", "pooling", "identical", "source", "used_by"):
            assert getattr(contract, field), f"{contract.id}: {field} is empty"


def test_infinite_scores_are_left_out_and_counted() -> None:
    found = aggregate(PSNR, [*ok(20, 30), Score(State.INFINITE)], "unranked")
    assert (found.state, found.value, found.infinite, found.scored) == (State.OK, 25.0, 1, 3)


def test_all_infinite_is_infinite_and_has_no_value() -> None:
    found = aggregate(PSNR, [Score(State.INFINITE)] * 2, "unranked")
    assert (found.state, found.value) == (State.INFINITE, None)


@pytest.mark.parametrize("state", [State.MISSING, State.INVALID, State.FAILED])
def test_a_lost_case_makes_the_aggregate_incomplete(state: State) -> None:
    found = aggregate(PSNR, [*ok(20, 30), Score(state, detail="why")], "unranked")
    assert (found.state, found.value, found.partial, found.lost) == (State.INCOMPLETE, None, 25.0, 1)
    assert found.detail == "why"


def test_a_lost_case_counts_the_worst_value_if_the_rule_says_so() -> None:
    found = aggregate(PSNR, [*ok(20, 40), Score(State.MISSING)], "worst")
    assert (found.state, found.value, found.substituted) == (State.OK, 20.0, 1)


def test_cases_where_a_metric_is_not_applicable_are_left_out_and_counted() -> None:
    found = aggregate(PSNR, [*ok(20), Score(State.NOT_APPLICABLE)], "unranked")
    assert (found.state, found.value, found.not_applicable) == (State.OK, 20.0, 1)
    assert aggregate(PSNR, [Score(State.NOT_APPLICABLE)], "worst").state is State.NOT_APPLICABLE


def test_what_is_unavailable_for_one_case_is_unavailable() -> None:
    assert aggregate(PSNR, [*ok(20), Score(State.UNAVAILABLE)], "worst").state is State.UNAVAILABLE


@given(st.lists(finite, min_size=1, max_size=40), st.randoms())
def test_the_order_of_cases_does_not_change_a_digit(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for contract in (PSNR, RMSE_REL):
        assert aggregate(contract, ok(*values), "unranked") == aggregate(contract, ok(*shuffled), "unranked")


@given(st.lists(st.floats(min_value=5, max_value=60), min_size=1, max_size=40))
def test_rmse_rel_is_ten_to_the_minus_mean_psnr_over_twenty(psnrs: list[float]) -> None:
    errors = [10 ** (-p / 20) for p in psnrs]
    found = aggregate(RMSE_REL, ok(*errors), "unranked")
    assert found.value == pytest.approx(10 ** (-math.fsum(psnrs) / len(psnrs) / 20), rel=1e-9)


def test_rmse_rel_reproduces_the_input_row_of_the_k3dn_table() -> None:
    # Source: K3DN paper, Table 1, DPD-blur, input: PSNR 23.89, RMSE_rel 6.39e-2.
    found = aggregate(RMSE_REL, ok(10 ** (-23.89 / 20)), "unranked")
    assert found.value is not None
    assert round(found.value * 100, 2) == 6.39
