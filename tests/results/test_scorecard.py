"""The scorecard: strict data that says what was measured, on what, by which rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest
from pydantic import ValidationError

from evaluator import metrics
from evaluator.metrics import Score, State
from evaluator.results import MetricResult, Scorecard

MakeCard = Callable[..., Scorecard]


def test_a_card_survives_json(make_card: MakeCard) -> None:
    card = make_card()
    text = json.dumps(card.model_dump(mode="json"), allow_nan=False)
    assert Scorecard.model_validate(json.loads(text)) == card


def test_a_card_refuses_fields_that_it_does_not_know(make_card: MakeCard) -> None:
    with pytest.raises(ValidationError, match="extra"):
        make_card(note="an extra one")


def test_a_card_cannot_be_changed(make_card: MakeCard) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_card().status = "incomplete"  # type: ignore[misc]


@pytest.mark.parametrize("metric", metrics.ids())
def test_a_metric_result_holds_the_aggregate_and_the_contract_that_was_kept(metric: str) -> None:
    contract = metrics.get(metric).contract
    scores = [Score(State.OK, 0.5), Score(State.INFINITE), Score(State.MISSING), Score(State.NOT_APPLICABLE)]
    aggregate = metrics.aggregate(contract, scores, "worst")
    result = MetricResult.of(aggregate, contract)
    assert result.contract == asdict(contract)
    assert {k: getattr(result, k) for k in asdict(aggregate)} == asdict(aggregate)
    left_out = contract.aggregation != "pooled"  # pooled, an identical case counts with an error of 0
    assert (result.cases, result.scored, result.infinite, result.lost, result.substituted) == (4, 2, left_out, 1, 1)
