"""Intervals, tests and groups against known answers and against the same computed the slow way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.metrics import Score, State
from evaluator.ranking import Board, rank, uncertainty
from evaluator.ranking.percase import aggregate
from evaluator.ranking.significance import holm, wilcoxon
from evaluator.ranking.uncertainty import draw, percentile_spans
from evaluator.results import CaseRow, Scorecard
from support import ruled_task

MakeCard = Callable[..., Scorecard]
MakeBoard = Callable[..., tuple[Board, dict[str, list[CaseRow]]]]
FIRST, SECOND, THIRD = "psnr.f64", "ssim.basicsr", "mae"
SCORE = """
[[scores]]
id = "points"
title = "Points"
formula = "4 * (psnr - 21) + 100 * ssim + 2 * min(speed, 4)"
where = { psnr = "psnr.f64", ssim = "ssim.basicsr", speed = "reported.runtime_ratio" }
"""


def test_intervals_of_normal_cases_cover_the_truth_as_often_as_they_say() -> None:
    from scipy.stats import binom

    trials, cases = 1000, 150
    values = np.random.default_rng(5).normal(30.0, 3.0, (cases, trials))
    means = aggregate(metrics.get(FIRST).contract, values, draw(cases, 1000, seed=6))
    spans = [span for span in percentile_spans(means) if span is not None]
    covered = sum(span.low <= 30.0 <= span.high for span in spans)
    low, high = binom.interval(0.999, trials, 0.95)
    assert len(spans) == trials
    assert low <= covered <= high, covered


def test_an_interval_is_that_of_scipy(make_board: MakeBoard) -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).gamma(2.0, 3.0, 60)
    board, cases = make_board(ruled_task(), {"a": {FIRST: values}})
    span = uncertainty(board, cases, resamples=20_000).rows[0].spans[FIRST]
    other = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2))
    width = span.high - span.low
    assert span.low == pytest.approx(other.confidence_interval.low, abs=0.03 * width)
    assert span.high == pytest.approx(other.confidence_interval.high, abs=0.03 * width)


@given(
    st.lists(st.sampled_from([State.INFINITE, State.NOT_APPLICABLE]) | st.floats(0.01, 60), min_size=1, max_size=9),
    st.sampled_from(["psnr.f64", "rmse_rel", "psnr.pooled"]),
)
def test_an_aggregate_of_all_cases_once_is_that_of_scoring(cases: list[float | State], metric: str) -> None:
    contract = metrics.get(metric).contract
    scores = [Score(c) if isinstance(c, State) else Score(State.OK, c) for c in cases]
    wanted = metrics.aggregate(contract, scores, "unranked")
    states = {State.INFINITE: np.inf, State.NOT_APPLICABLE: np.nan}
    column = np.array([[states[c] if isinstance(c, State) else c] for c in cases])
    (found,) = aggregate(contract, column, np.ones((1, len(cases))))[0]
    if wanted.value is None:
        assert found == np.inf if wanted.state is State.INFINITE else np.isnan(found)
    else:
        assert found == pytest.approx(wanted.value, rel=1e-12)


def test_weights_are_the_counts_of_the_cases_drawn() -> None:
    weights = draw(7, 50, seed=3)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    drawn = np.random.Generator(np.random.PCG64(3)).integers(0, 7, (50, 7))
    assert weights[4].tolist() == [(drawn[4] == case).sum() for case in range(7)]


RULES: list[dict[str, Any]] = [
    {"by": [FIRST, SECOND]},
    {"by": [THIRD]},
    {"by": ["points"]},
    {"by": [FIRST, SECOND, THIRD], "method": "mean_rank"},
    {"by": ["points", THIRD], "method": "mean_rank"},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rank_intervals_are_those_of_boards_made_from_each_resample(
    make_board: MakeBoard, make_card: MakeCard, rule: dict[str, Any]
) -> None:
    random = np.random.default_rng(9)
    task = ruled_task(SCORE, **rule)
    values: dict[str, dict[str, list[float | State]]] = {
        f"t{n}": {
            FIRST: random.normal(30, 0.01, 12).round(2).tolist(),  # few distinct values: ties
            SECOND: random.normal(0.9, 0.01, 12).tolist(),
            THIRD: random.uniform(0.1, 0.2, 12).round(1).tolist(),
        }
        for n in range(5)
    }
    values["t2"][FIRST][3] = State.INFINITE
    values["t3"][THIRD] = list(values["t2"][THIRD])
    ratios = {name: 0.5 + n for n, name in enumerate(values)}
    board, cases = make_board(task, values, ratios)
    found = uncertainty(board, cases, resamples=60, seed=4)
    drawn = np.random.Generator(np.random.PCG64(4)).integers(0, 12, (60, 12))
    ranks: dict[str, list[int]] = {name: [] for name in values}
    for sample in drawn:
        cards = []
        for name in values:
            rows = [cases[name][i] for i in sample]
            scores = {m: [row.scores[m] for row in rows] for m in task.spec.metrics}
            means = {m: metrics.aggregate(metrics.get(m).contract, s, "unranked") for m, s in scores.items()}
            cards.append(make_card(task, name, means, runtime_ratio=ratios[name]))
        for row in rank(task, "five", cards).rows:
            assert row.rank is not None
            ranks[row.submission].append(row.rank)
    assert any(len(set(r)) > 1 for r in ranks.values())
    for row in found.rows:
        mine = sorted(ranks[row.submission])
        assert (row.rank_low, row.rank_high) == (mine[1], mine[58]), row.submission  # 2.5 % and 97.5 % of 60
        assert row.first == mine.count(1) / 60


def test_clear_differences_leave_no_doubt_and_small_ones_do(make_board: MakeBoard) -> None:
    random = np.random.default_rng(0)
    base = random.normal(30, 3, 40)
    near = base - 1 + random.normal(0, 0.5, 40)
    board, cases = make_board(
        ruled_task(),
        {"best": {FIRST: base}, "near": {FIRST: near}, "far": {FIRST: base - 3}, "nearer": {FIRST: near[::-1]}},
    )
    # A submission and the same scores for other cases have the same mean, but paired with the others they differ.
    found = uncertainty(board, cases)
    assert found.rows[0].rank_low == 1
    pairs = {(pair.upper, pair.lower): pair for pair in found.neighbours}
    assert set(pairs) == {("best", "near"), ("near", "nearer"), ("nearer", "far")}
    assert pairs["best", "near"].apart
    assert pairs["best", "near"].p < 1e-6
    assert not pairs["near", "nearer"].apart, "they share a rank"
    assert found.groups[0] == ("best",)
    assert found.tested == FIRST
    assert found.pairs is not None
    assert found.pairs.better[0][1] == 1 == -found.pairs.better[1][0]
    assert (
        found.pairs.p_holm[0][1] == pytest.approx(6 * found.pairs.p[0][1], rel=1e-9) or found.pairs.p_holm[0][1] < 1e-6
    )


def test_equal_submissions_are_one_group_with_one_rank_interval(make_board: MakeBoard) -> None:
    same = {FIRST: [30.0, 31.0, 35.0], SECOND: [0.1, 0.2, 0.3]}
    board, cases = make_board(ruled_task(), {"a": same, "b": same})
    found = uncertainty(board, cases)
    assert found.groups == (("a", "b"),)
    assert [(row.rank_low, row.rank_high, row.first) for row in found.rows] == [(1, 1, 1.0)] * 2
    assert found.neighbours[0].p == found.neighbours[0].p_holm == 1.0


def test_a_lead_by_one_case_against_the_others_is_no_lead(make_board: MakeBoard) -> None:
    steady = np.linspace(30, 31, 40)
    lucky = steady - 0.1
    lucky[7] += 1000
    board, cases = make_board(ruled_task(), {"steady": {FIRST: steady}, "lucky": {FIRST: lucky}})
    found = uncertainty(board, cases)
    assert [row.submission for row in found.rows] == ["lucky", "steady"]
    assert found.neighbours[0].p_holm < 0.05
    assert not found.neighbours[0].apart
    assert found.groups == (("lucky", "steady"),)
    assert found.pairs is not None
    assert found.pairs.better == ((0, -1), (1, 0))


def test_states_without_a_number_have_no_interval(make_board: MakeBoard) -> None:
    values = {
        "same": {FIRST: [State.INFINITE] * 4},
        "some": {FIRST: [State.INFINITE, 30.0, 31.0, 32.0], THIRD: [State.FAILED, 0.1, 0.1, 0.1]},
        "lost": {FIRST: [State.MISSING, 30.0, 31.0, 32.0]},
    }
    board, cases = make_board(ruled_task(), values)
    found = uncertainty(board, cases)
    assert [row.submission for row in found.rows] == ["same", "some"]
    assert FIRST not in found.rows[0].spans
    assert THIRD not in found.rows[1].spans
    span = found.rows[1].spans[FIRST]
    assert 30.0 <= span.low < 31.0 < span.high <= 32.0, "the infinite case is left out"
    assert found.row("lost") is None
    json.dumps(found.to_json(), allow_nan=False)


def test_a_rule_by_a_cost_is_not_tested_case_by_case(make_board: MakeBoard) -> None:
    score = '\n[[scores]]\nid = "speed"\ntitle = "Speed"\nformula = "r"\nwhere = { r = "reported.runtime_ratio" }\n'
    values = {"a": {FIRST: [1.0, 2.0]}, "b": {FIRST: [3.0, 4.0]}}
    board, cases = make_board(ruled_task(score, by=["speed"]), values, {"a": 2.0, "b": 1.0})
    found = uncertainty(board, cases)
    assert [(row.rank_low, row.rank_high) for row in found.rows] == [(1, 1), (2, 2)]
    assert (found.tested, found.neighbours, found.groups, found.pairs) == ("", (), (), None)
    assert any("no value of speed" in note for note in found.notes)


def test_the_same_seed_gives_the_same_and_another_does_not(make_board: MakeBoard) -> None:
    board, cases = make_board(ruled_task(), {"a": {FIRST: [1.0, 2.0, 5.0, 9.0, 11.0]}})
    assert uncertainty(board, cases).to_json() == uncertainty(board, cases).to_json()
    assert uncertainty(board, cases, seed=1).to_json()["rows"] != uncertainty(board, cases).to_json()["rows"]


def test_the_order_of_cases_in_a_table_changes_nothing(make_board: MakeBoard) -> None:
    random = np.random.default_rng(3)
    board, cases = make_board(ruled_task(), {n: {FIRST: random.normal(30, 1, 9)} for n in "abc"})
    last = board.ranked[-1].submission
    assert uncertainty(board, cases | {last: cases[last][::-1]}).to_json() == uncertainty(board, cases).to_json()


def test_tables_that_do_not_fit_the_board_are_refused(make_board: MakeBoard) -> None:
    board, cases = make_board(ruled_task(), {"a": {FIRST: [1.0, 2.0]}, "b": {FIRST: [0.0, 1.0]}})
    with pytest.raises(EvaluatorError, match="no per-case table of a"):
        uncertainty(board, {"b": cases["b"]})
    with pytest.raises(EvaluatorError, match=r"table of . is of other cases"):
        uncertainty(board, cases | {"a": cases["a"][:1]})
    lacking = [CaseRow(c.case, "", "", {FIRST: c.scores[FIRST]}) for c in cases["a"]]
    with pytest.raises(EvaluatorError, match=r"has no ssim\.basicsr"):
        uncertainty(board, cases | {"a": lacking})


def test_a_board_without_ranked_rows_has_no_uncertainty(make_board: MakeBoard) -> None:
    board, cases = make_board(ruled_task(), {"a": {FIRST: [State.MISSING, 1.0]}})
    found = uncertainty(board, cases)
    assert (found.rows, found.groups) == ((), ())
    assert found.notes == ("No row has a rank.",)


def test_wilcoxon_of_darwins_maize() -> None:
    # Source: the example of scipy.stats.wilcoxon: heights of cross- and self-fertilised corn plants, p 0.041259765625.
    differences = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], dtype=float)
    p, sign = wilcoxon(differences, np.zeros(15))
    assert (p, sign) == (pytest.approx(0.041259765625, abs=1e-12), 1)
    assert wilcoxon(np.zeros(15), differences) == (p, -1)
    assert wilcoxon(np.append(differences, [0, np.nan]), np.zeros(17))[0] == p


def test_identical_outputs_are_better_than_any_number() -> None:
    # Ten differences of one sign: each of the 2^10 signs is as likely, and two of them are as far out.
    p, sign = wilcoxon(np.full(10, np.inf), np.full(10, 30.0))
    assert (p, sign) == (pytest.approx(2 / 1024), 1)
    assert wilcoxon(np.full(10, np.inf), np.full(10, np.inf)) == (1.0, 0)


def test_holm_worked_by_hand() -> None:
    # 0.005 × 4, 0.01 × 3, then 0.03 × 2 and 0.04 × 1, which may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)
