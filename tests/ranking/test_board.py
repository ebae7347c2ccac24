"""The board: who stands above whom, who has no rank and why, and scores by formula."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.metrics import Aggregate, State
from evaluator.ranking import Board, rank
from evaluator.results import Scorecard
from evaluator.tasks import Task, load_task

MakeCard = Callable[..., Scorecard]
FIRST, SECOND = "psnr.pirm", "ms_ssim.pirm"

# Source: fast-DPED paper (2018), Table 3: PSNR, MS-SSIM and run time (CPU, ms) of the PIRM 2018 challenge. The scores
# A, B, C were computed from them apart from this program, by the challenge's weights, with a reference time of 3274 ms.
PIRM_2018 = {
    "mt.phoenix": (21.99, 0.9125, 682, "13.21", "13.99", "16.08"),
    "eds": (21.65, 0.9048, 3241, "5.10", "4.59", "5.19"),
    "boe-sbg": (21.99, 0.9079, 1620, "8.79", "8.19", "9.42"),
    "menet": (22.22, 0.9086, 1461, "10.22", "9.14", "10.66"),
    "rainbow": (21.85, 0.9067, 828, "11.98", "11.44", "14.51"),
    "kaist-viclab": (21.56, 0.8948, 2153, "4.76", "1.52", "4.49"),
    "snpr": (22.03, 0.9042, 1448, "9.06", "7.23", "9.46"),
    "dped": (21.38, 0.9034, 20462, "2.18", "2.06", "1.90"),
    "geometry": (21.79, 0.9068, 833, "11.70", "11.37", "14.34"),
    "iv-sr": (21.60, 0.8957, 1375, "6.73", "3.64", "7.25"),
    "srcnn": (21.31, 0.8929, 3274, "2.53", "-0.53", "2.10"),
    "alex": (21.87, 0.9036, 781, "11.84", "10.31", "14.06"),
}


@pytest.fixture(scope="session")
def dped() -> Task:
    return load_task("dped")


@pytest.fixture(scope="session")
def by_error(dped: Task) -> Task:
    """The same task, ranked by metrics of which lower is better."""
    ranking = dped.spec.ranking.model_copy(update={"by": ("rmse_rel", "mae")})
    return Task(dped.spec.model_copy(update={"ranking": ranking}), dped.folder)


def board(task: Task, cards: list[Scorecard]) -> Board:
    return rank(task, task.spec.default_split, cards)


def ranks(found: Board) -> list[tuple[str, str]]:
    return [(row.submission, row.rank_text) for row in found.rows]


def infinite(cases: int) -> Aggregate:
    return Aggregate(State.INFINITE, None, cases, cases, infinite=cases)


def test_scores_of_the_pirm_2018_teams_come_out(dped: Task, make_card: MakeCard) -> None:
    cards = [
        make_card(dped, team, {FIRST: psnr, SECOND: ms_ssim}, runtime_ratio=3274 / runtime)
        for team, (psnr, ms_ssim, runtime, *_) in PIRM_2018.items()
    ]
    found = board(dped, cards)
    columns = {c.id: c for c in found.columns}
    for row in found.rows:
        for score, text in zip(("score_a", "score_b", "score_c"), PIRM_2018[row.submission][3:], strict=True):
            assert row.cells[score].text(columns[score]) == text, (row.submission, score)
            assert row.cells[score].reported
    assert found.uses_reported()
    assert ranks(found)[:3] == [("menet", "1"), ("snpr", "2"), ("mt.phoenix", "3")]


def test_a_score_without_its_runtime_is_unavailable_and_never_zero(dped: Task, make_card: MakeCard) -> None:
    found = board(dped, [make_card(dped, "one", {}), make_card(dped, "two", {}, runtime_ratio=1.0)])
    cells = {row.submission: row.cells["score_a"] for row in found.rows}
    assert (cells["one"].state, cells["one"].value) == (State.UNAVAILABLE, None)
    assert "reported.runtime_ratio" in cells["one"].detail
    assert cells["two"].value is not None
    assert "score_a" in {c.id for c in found.columns}


def test_scores_that_no_row_has_make_no_column_and_are_said(dped: Task, make_card: MakeCard) -> None:
    found = board(dped, [make_card(dped, "one", {})])
    assert not {"score_a", "score_b", "score_c"} & {c.id for c in found.columns}
    assert "score_a" in found.missing_scores()
    assert "runtime_ratio" in found.missing_scores()
    assert not found.uses_reported()


def test_rows_that_print_the_same_digits_share_their_ranks(dped: Task, make_card: MakeCard) -> None:
    values = {"a": 22.00004, "b": 21.99996, "c": 22.0002, "d": 21.0}  # four decimals are printed
    found = board(dped, [make_card(dped, name, {FIRST: value, SECOND: 0.9}) for name, value in values.items()])
    assert ranks(found) == [("c", "1"), ("a", "2–3"), ("b", "2–3"), ("d", "4")]
    assert [row.rank for row in found.rows] == [1, 2, 2, 4]


def test_the_second_metric_decides_where_the_first_prints_the_same(dped: Task, make_card: MakeCard) -> None:
    cards = [
        make_card(dped, "worse", {FIRST: 22.00004, SECOND: 0.8}),
        make_card(dped, "better", {FIRST: 21.99996, SECOND: 0.9}),
        make_card(dped, "first", {FIRST: 22.001, SECOND: 0.1}),
    ]
    assert ranks(board(dped, cards)) == [("first", "1"), ("better", "2"), ("worse", "3")]


def test_lower_stands_first_where_lower_is_better(by_error: Task, make_card: MakeCard) -> None:
    values = {"high": (0.3, 0.1), "low": (0.1, 0.3), "low-too": (0.1, 0.2)}
    cards = [make_card(by_error, n, {"rmse_rel": r, "mae": m}) for n, (r, m) in values.items()]
    assert [row.submission for row in board(by_error, cards).rows] == ["low-too", "low", "high"]


@pytest.mark.parametrize("metric", [FIRST, "rmse_rel"])
def test_identical_everywhere_stands_above_any_number(
    dped: Task, by_error: Task, make_card: MakeCard, metric: str
) -> None:
    task = dped if metric == FIRST else by_error
    best = 1e9 if metric == FIRST else 1e-9
    found = board(task, [make_card(task, "number", {metric: best}), make_card(task, "same", {metric: infinite(400)})])
    assert ranks(found) == [("same", "1"), ("number", "2")]
    column = next(c for c in found.columns if c.id == metric)
    assert found.rows[0].cells[metric].text(column) == "∞"


def test_a_row_with_lost_cases_stands_last_without_a_rank_and_says_why(dped: Task, make_card: MakeCard) -> None:
    lost = Aggregate(State.INCOMPLETE, None, 400, 397, lost=3, partial=99.0)
    found = board(dped, [make_card(dped, "a", {FIRST: lost}), make_card(dped, "b", {FIRST: 1.0})])
    assert ranks(found) == [("b", "1"), ("a", "–")]
    assert found.rows[1].rank is None
    assert found.rows[1].reason == "3 of 400 cases have no score"
    assert "99" not in json.dumps(found.to_json()), "the mean of what is there is shown as if it were the score"


def test_a_metric_that_is_not_in_the_rule_keeps_no_one_from_a_rank(dped: Task, make_card: MakeCard) -> None:
    nothing = Aggregate(State.NOT_APPLICABLE, None, 400, 0, not_applicable=400)
    found = board(dped, [make_card(dped, "a", {"mae": nothing})])
    assert ranks(found) == [("a", "1")]
    blocked = board(dped, [make_card(dped, "a", {SECOND: nothing})])
    assert blocked.rows[0].rank is None
    assert SECOND in blocked.rows[0].reason


def test_other_rules_or_data_take_the_numbers_and_the_rank(dped: Task, make_card: MakeCard) -> None:
    cards = [
        make_card(dped, "rules", {FIRST: 99.0}, rules="old", runtime_ratio=2.0),
        make_card(dped, "data", {FIRST: 99.0}, dataset="old", runtime_ratio=2.0),
        make_card(dped, "now", {FIRST: 1.0}),
    ]
    found = board(dped, cards)
    assert ranks(found) == [("now", "1"), ("data", "–"), ("rules", "–")]
    for row in found.rows[1:]:
        assert "score it again" in row.reason
        assert {c.value for c in row.cells.values()} == {None}
    assert "data" in found.rows[1].reason
    assert "protocol" in found.rows[2].reason
    assert "evaluate rescore --task dped" in found.rows[2].reason
    assert "rescore" not in found.rows[1].reason, "outputs for other data are of no use"


def test_where_nothing_is_pinned_the_newest_card_says_which_data_is_meant(tiny: Any, make_card: MakeCard) -> None:
    cards = [
        make_card(tiny.task, "old", {}, dataset="one", started="2020-01-01T00:00:00+00:00"),
        make_card(tiny.task, "new", {}, dataset="two", started="2020-01-02T00:00:00+00:00"),
        make_card(tiny.task, "older", {}, dataset="one", started="2019-01-02T00:00:00+00:00"),
    ]
    assert ranks(board(tiny.task, cards)) == [("new", "1"), ("old", "–"), ("older", "–")]


def test_of_cards_of_the_same_second_it_is_not_their_order_that_says_which_data_is_meant(
    tiny: Any, make_card: MakeCard
) -> None:
    cards = [make_card(tiny.task, name, {}, dataset=name) for name in ("one", "two")]
    assert ranks(board(tiny.task, cards)) == ranks(board(tiny.task, cards[::-1])) == [("two", "1"), ("one", "–")]


@pytest.mark.parametrize("metric", [SECOND, "mae"])
def test_a_card_that_lacks_a_metric_of_the_task_has_no_rank(dped: Task, make_card: MakeCard, metric: str) -> None:
    whole, lacking = make_card(dped, "whole", {FIRST: 1.0}), make_card(dped, "lacking", {FIRST: 99.0})
    metrics = {m: r for m, r in lacking.metrics.items() if m != metric}
    found = board(dped, [whole, lacking.model_copy(update={"metrics": metrics})])
    assert ranks(found) == [("whole", "1"), ("lacking", "–")]
    assert "score it again" in found.rows[1].reason
    assert {c.value for c in found.rows[1].cells.values()} == {None}


def test_a_card_with_more_metrics_than_the_task_has_now_keeps_its_rank(dped: Task, make_card: MakeCard) -> None:
    card = make_card(dped, "more", {})
    card = card.model_copy(update={"metrics": {**card.metrics, "other": card.metrics["mae"]}})
    assert ranks(board(dped, [card])) == [("more", "1")]


def test_a_board_of_no_cards_has_no_rows(dped: Task) -> None:
    found = board(dped, [])
    assert found.rows == ()
    assert found.infinite_cases() == found.missing_scores() == ""


def test_infinite_cases_that_a_mean_leaves_out_are_said(dped: Task, make_card: MakeCard) -> None:
    some = Aggregate(State.OK, 17.3, 400, 400, infinite=4)
    found = board(dped, [make_card(dped, "input", {FIRST: some}), make_card(dped, "none", {})])
    assert "input 4 of 400" in found.infinite_cases()
    assert "none" not in found.infinite_cases()


def test_a_board_is_strict_json(dped: Task, make_card: MakeCard) -> None:
    found = board(dped, [make_card(dped, "a", {FIRST: infinite(400)}), make_card(dped, "b", {}, rules="old")])
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [r["rank"] for r in values["rows"]] == [1, None]
    assert values["rows"][0]["metrics"][FIRST] == {"state": "infinite", "value": None, "cases": 400, "infinite": 400}


# Few distinct values, so that ties of the first metric and of both are common.
VALUE = st.sampled_from([21.0, 21.00004, 21.1, 22.0]) | st.sampled_from([State.INFINITE, State.INCOMPLETE])
ENTRY = st.tuples(VALUE, VALUE, st.booleans())


@given(st.lists(ENTRY, max_size=7), st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order_of_the_cards(
    dped: Task, make_card: MakeCard, entries: list[tuple[Any, Any, bool]], random: Any
) -> None:
    def result(value: Any) -> Any:
        return Aggregate(value, None, 400, 0) if isinstance(value, State) else value

    cards = [
        make_card(dped, f"team-{n}", {FIRST: result(one), SECOND: result(two)}, rules="old" if stale else None)
        for n, (one, two, stale) in enumerate(entries)
    ]
    mixed = list(cards)
    random.shuffle(mixed)
    found = board(dped, mixed)
    assert found == board(dped, cards)
    assert sorted(r.submission for r in found.rows) == sorted(c.submission.id for c in cards)
    places = [r.rank for r in found.rows if r.rank is not None]
    assert places == sorted(places)
    assert [r.rank is None for r in found.rows] == sorted(r.rank is None for r in found.rows), "unranked stand last"
    assert all(bool(r.reason) == (r.rank is None) for r in found.rows)
