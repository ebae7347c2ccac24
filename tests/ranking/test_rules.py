"""Rules of task files: gates, mean ranks, scores and costs, tracks; and formulas of known challenges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evaluator.efficiency import Cost
from evaluator.findings import EvaluatorError
from evaluator.metrics import Aggregate, State
from evaluator.ranking import Board, rank
from evaluator.results import Scorecard
from evaluator.tasks import load_task
from support import make_cost, make_counts, make_timing
from support import ruled_task as task_of

MakeCard = Callable[..., Scorecard]
FIRST, SECOND, THIRD = "psnr.f64", "ssim.basicsr", "mae"


def ranks(found: Board) -> list[tuple[str, str]]:
    return [(row.submission, row.rank_text) for row in found.rows]


def reasons(found: Board) -> dict[str, str]:
    return {row.submission: row.reason for row in found.rows if row.reason}


def costly(**changes: Any) -> Cost:
    return make_cost(task="tiny", version="", **changes)


def test_a_row_behind_a_gate_is_shown_unranked_with_the_reason(make_card: MakeCard) -> None:
    task = task_of(by=[SECOND], gates=[{"metric": FIRST, "at_least": 26.9}, {"metric": THIRD, "at_most": 0.1}])
    values = {
        "fine": (26.9, 0.1, 0.5),
        "best": (26.4, 0.1, 0.9),
        "both": (26.4, 0.2, 0.9),
        "just": (26.89996, 0.1, 0.4),
    }
    cards = [make_card(task, n, {FIRST: a, THIRD: b, SECOND: c}) for n, (a, b, c) in values.items()]
    found = rank(task, "five", cards)
    assert ranks(found) == [("fine", "1"), ("just", "2"), ("best", "–"), ("both", "–")]  # 26.89996 prints 26.9000
    assert reasons(found) == {
        "best": "psnr.f64 26.4000 is below 26.9 dB: the gate",
        "both": "psnr.f64 26.4000 is below 26.9 dB: the gate; mae 0.20000 is above 0.1 of peak: the gate",
    }
    assert found.rows[2].cells[FIRST].value == 26.4
    assert "A submission with psnr.f64 below 26.9 is shown, and not ranked." in found.sentences()


@pytest.mark.parametrize(("gate", "inside"), [({"at_least": 99.0}, True), ({"at_most": 99.0}, False)])
def test_identical_everywhere_passes_a_gate_for_good_and_no_gate_for_bad(
    make_card: MakeCard, gate: dict[str, float], inside: bool
) -> None:
    task = task_of(by=[SECOND], gates=[{"metric": FIRST, **gate}])
    same = Aggregate(State.INFINITE, None, 5, 5, infinite=5)
    found = rank(task, "five", [make_card(task, "same", {FIRST: same})])
    assert (found.rows[0].rank == 1) is inside
    assert inside or "∞" in reasons(found)["same"]


def test_a_gate_on_a_cost_is_in_its_base_unit_and_needs_it_measured(make_card: MakeCard) -> None:
    task = task_of('\n[cost]\nat = "720x1280"\n', gates=[{"metric": "cost.macs", "at_most": 2e9}])
    costs = {
        "small": costly(counts=(make_counts(1_900_000_000),)),
        "large": costly(counts=(make_counts(3_200_000_000),)),
        "bound": costly(counts=(make_counts(1_000_000_000, complete=False),)),
    }
    cards = [make_card(task, name, {}) for name in (*costs, "unknown")]
    found = rank(task, "five", cards, costs)
    assert ranks(found)[0] == ("small", "1")
    why = reasons(found)
    assert why["large"] == "cost.macs 3.20 is above 2 G: the gate"
    assert "not measured" in why["unknown"]
    assert "lower bound" in why["bound"]


def test_a_task_ranks_by_a_cost_lower_first_and_by_a_hidden_one_with_its_column(make_card: MakeCard) -> None:
    task = task_of('\n[cost]\nat = "720x1280"\n', by=["cost.size_bytes", FIRST])
    costs = {"a": costly(size_bytes=2_000_000), "b": costly(size_bytes=1_000_000), "c": costly(size_bytes=1_000_001)}
    cards = [make_card(task, name, {FIRST: value}) for name, value in (("a", 30.0), ("b", 20.0), ("c", 25.0))]
    found = rank(task, "five", cards, costs)
    assert ranks(found) == [("c", "1"), ("b", "2"), ("a", "3")]  # 1.00 MB each: PSNR decides
    assert "cost.size_bytes" in {c.id for c in found.columns}


def test_mean_rank_worked_by_hand(make_card: MakeCard) -> None:
    # Ranks by PSNR, SSIM, MAE:  a 1, 3, 3 → 7/3;  b 2, 1.5, 2 → 5.5/3;  c 3, 1.5, 1 → 5.5/3;  d 4, 4, 4 → 4.
    # b and c are equal; the first, PSNR, puts b above c.
    task = task_of(by=[FIRST, SECOND, THIRD], method="mean_rank")
    values = {"a": (34.0, 0.8, 0.3), "b": (33.0, 0.9, 0.2), "c": (32.0, 0.9, 0.1), "d": (31.0, 0.7, 0.4)}
    cards = [make_card(task, n, dict(zip((FIRST, SECOND, THIRD), v, strict=True))) for n, v in values.items()]
    lost = Aggregate(State.INCOMPLETE, None, 5, 4, lost=1)
    found = rank(task, "five", [*cards, make_card(task, "lost", {FIRST: 99.0, THIRD: lost})])
    assert ranks(found) == [("b", "1"), ("c", "2"), ("a", "3"), ("d", "4"), ("lost", "–")]
    column = found.column("mean_rank")
    assert [row.cells["mean_rank"].text(column) for row in found.rows] == [
        "1.83",
        "1.83",
        "2.33",
        "4.00",
        "not applicable",
    ]
    assert found.sentences()[0].startswith(
        "Ranked by the mean of the ranks by psnr.f64 (higher is better), ssim.basicsr"
    )


def test_mean_rank_shares_ranks_only_where_the_first_is_equal_too(make_card: MakeCard) -> None:
    task = task_of(by=[FIRST, SECOND], method="mean_rank")
    cards = [make_card(task, n, {FIRST: 30.0, SECOND: 0.9}) for n in "ab"] + [make_card(task, "c", {FIRST: 1.0})]
    assert ranks(rank(task, "five", cards)) == [("a", "1–2"), ("b", "1–2"), ("c", "3")]


def test_a_rule_decides_what_a_lost_case_does_whatever_the_scorecard_was_scored_by(make_card: MakeCard) -> None:
    more = '\n[[tracks]]\nid = "strict"\ntitle = "Strict"\nby = ["mae"]\n'
    more += '\n[[tracks]]\nid = "kind"\ntitle = "Kind"\nby = ["mae"]\nmissing = "worst"\n'
    task = task_of(more)
    left_out = Aggregate(State.INCOMPLETE, None, 5, 4, lost=1, partial=0.1)
    counted = Aggregate(State.OK, 0.28, 5, 4, lost=1, substituted=1)
    cards = [make_card(task, "left-out", {THIRD: left_out}), make_card(task, "counted", {THIRD: counted})]
    kind = rank(task, "five", cards, track="kind")
    # The worst MAE is 1: (4 × 0.1 + 1) / 5 = 0.28.
    assert {row.submission: row.cells[THIRD].value for row in kind.rows} == {
        "left-out": pytest.approx(0.28, abs=1e-12),
        "counted": 0.28,
    }
    assert ranks(kind) == [("counted", "1–2"), ("left-out", "1–2")]
    strict = rank(task, "five", cards, track="strict")
    assert set(reasons(strict).values()) == {"1 of 5 cases have no score"}
    assert len(reasons(strict)) == 2
    assert "0.28" not in str([row.cells for row in strict.rows])


# Source: figures that the challenge's weights give for the numbers of fast-DPED's Table 3, reference time 3274 ms.
PIRM = {"mt.phoenix": (21.99, 0.9125, 682), "menet": (22.22, 0.9086, 1461), "rainbow": (21.85, 0.9067, 828)}


def test_tracks_of_dped_rank_by_the_scores_of_pirm(make_card: MakeCard) -> None:
    task = load_task("dped")
    cards = [
        make_card(task, team, {"psnr.pirm": psnr, "ms_ssim.pirm": ms_ssim}, runtime_ratio=3274 / runtime)
        for team, (psnr, ms_ssim, runtime) in PIRM.items()
    ] + [make_card(task, "slow", {})]
    orders = {track: ranks(rank(task, "pirm2018", cards, track=track)) for track in ("a", "b", "c")}
    expected = ["mt.phoenix", "rainbow", "menet"]
    for found in orders.values():
        assert [name for name, _ in found] == [*expected, "slow"]
        assert found[-1][1] == "–"
    board = rank(task, "pirm2018", cards, track="a")
    assert "score_a: unavailable" in reasons(board)["slow"]
    assert board.title.endswith("A: balance of fidelity and speed")
    assert board.to_json()["track"] == "a"
    assert ranks(rank(task, "pirm2018", cards))[0] == ("menet", "1")


def test_an_unknown_track_is_refused_with_the_nearest(make_card: MakeCard) -> None:
    with pytest.raises(EvaluatorError, match=r"no track 'd'\. It has: a, b, c"):
        rank(load_task("dped"), "pirm2018", [], track="d")
    with pytest.raises(EvaluatorError, match="none beside its main rule"):
        rank(load_task("sidd"), "mini", [], track="a")


# Source: README of NTIRE 2025, efficient super-resolution (Amazingren/NTIRE2025_ESR@b69fb66): the score,
# 16.69 ms, 16.70 G and 0.276 M of its baseline, whose score is 7.3891, and the gate of 26.90 dB.
NTIRE = """
[cost]
at = "256x256"

[[scores]]
id = "efficiency"
title = "NTIRE 2025 efficiency"
formula = "0.7 * exp(2 * t / 16.69) + 0.15 * exp(2 * f / 16.70e9) + 0.15 * exp(2 * p / 276000)"
where = { t = "measured.runtime_ms", f = "cost.macs", p = "cost.parameters" }
direction = "lower"
decimals = 4
"""


def test_ntire_2025_efficiency_score_and_gate(make_card: MakeCard) -> None:
    task = task_of(NTIRE, by=["efficiency"], gates=[{"metric": FIRST, "at_least": 26.90}])

    def cost(ms: float, macs: int, parameters: int) -> Cost:
        return costly(
            counts=(make_counts(macs, input=(256, 256)),),
            timings=(make_timing(input=(256, 256), median_ms=ms),),
            parameters=parameters,
        )

    costs = {"baseline": cost(16.69, 16_700_000_000, 276_000), "fast": cost(8.0, 16_700_000_000, 276_000)}
    costs["poor"] = costs["fast"]
    psnr = {"baseline": 26.93, "fast": 26.90, "poor": 26.89}
    found = rank(task, "five", [make_card(task, n, {FIRST: v}) for n, v in psnr.items()], costs)
    assert ranks(found) == [("fast", "1"), ("baseline", "2"), ("poor", "–")]
    assert found.rows[1].cells["efficiency"].text(found.column("efficiency")) == "7.3891"
    assert found.cost_columns, "what the score is made of is shown"
    assert (found.lead.id, found.lead_metric.id) == ("efficiency", FIRST)
    assert [row.submission for row in found.ranked] == ["fast", "baseline"]
    assert any(line.startswith("efficiency is 0.7 * exp(2 * t / 16.69)") for line in found.sentences())


def test_mobile_ai_score_doubles_with_half_a_decibel_and_halves_with_twice_the_time(make_card: MakeCard) -> None:
    # Source: the reports of Mobile AI 2021 and 2022: 2^(2·PSNR) / (C·runtime), C a constant.
    score = """
[[scores]]
id = "final"
title = "Mobile AI"
formula = "2 ** (2 * psnr) / (1e15 * runtime)"
where = { psnr = "psnr.f64", runtime = "measured.runtime_ms" }

[cost]
at = "720x1280"
"""
    task = task_of(score, by=["final"])
    entries = {"one": (30.0, 100.0), "finer": (30.5, 100.0), "slower": (30.5, 200.0), "slowest": (30.0, 400.0)}
    costs = {n: costly(timings=(make_timing(median_ms=ms, p95_ms=ms),)) for n, (_, ms) in entries.items()}
    found = rank(task, "five", [make_card(task, n, {FIRST: v}) for n, (v, _) in entries.items()], costs)
    values = {row.submission: row.cells["final"].value for row in found.rows}
    assert values["one"] == pytest.approx(2.0**60 / 1e17)
    assert values["finer"] == pytest.approx(2 * values["one"])
    assert ranks(found) == [("finer", "1"), ("one", "2–3"), ("slower", "2–3"), ("slowest", "4")]
