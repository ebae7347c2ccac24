"""Costs on the board: columns, marks, notes, and what they do to scores and ranks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.efficiency import Cost
from evaluator.metrics import State
from evaluator.ranking import Board, Cell, rank
from evaluator.ranking.cells import significant
from evaluator.results import Scorecard
from evaluator.tasks import Task, load_task
from evaluator.tasks.spec import Derived
from support import failed_timing, make_cost, make_counts, make_phone_run, make_timing

MakeCard = Callable[..., Scorecard]


@pytest.fixture(scope="session")
def dped() -> Task:
    return load_task("dped")


def model(card: Scorecard, digest: str = "ab" * 32) -> Scorecard:
    """Return the card as that of a model."""
    return card.model_copy(
        update={"submission": card.submission.model_copy(update={"kind": "model", "digest": digest})}
    )


def board(task: Task, cards: list[Scorecard], *costs: Cost) -> Board:
    return rank(task, task.spec.default_split, cards, {cost.submission: cost for cost in costs})


def one(task: Task, card: Scorecard, **changes: Any) -> tuple[Board, dict[str, Cell]]:
    found = board(task, [card], make_cost(card.submission.id, **changes))
    return found, found.rows[0].cells


def test_costs_are_shown_in_their_units(dped: Task, make_card: MakeCard) -> None:
    found, cells = one(dped, model(make_card(dped, "a", {})), phones=(make_phone_run(),))
    shown = {c.head: cells[c.id].text(c) for c in found.cost_columns}
    assert shown == {
        "parameters, M": "0.113",
        "MACs, G": "2.00",
        "runtime, ms": "100",
        "runtime ratio": "0.500",
        "memory, MB": "300",
        "Phone A, ms": "41.2",
    }
    assert found.columns[-6:] == found.cost_columns
    assert cells["phone.phone-a.latency_ms"].detail == "GPU delegate"


def test_only_costs_that_a_row_has_or_failed_at_have_a_column(dped: Task, make_card: MakeCard) -> None:
    cards = [make_card(dped, "a", {}), make_card(dped, "b", {})]
    assert board(dped, cards).cost_columns == ()
    assert board(dped, cards).cost_notes() == []
    found = board(dped, cards, make_cost("a", timings=(failed_timing("out of time"),), counts=()))
    heads = [c.head for c in found.cost_columns]
    assert heads == ["parameters, M", "runtime, ms", "runtime ratio", "memory, MB"]
    assert found.rows[1].cells["cost.parameters"].text(found.cost_columns[0]) == "–"


def test_costs_of_those_who_are_not_on_the_board_make_no_column(dped: Task, make_card: MakeCard) -> None:
    found = board(dped, [make_card(dped, "a", {})], make_cost("b", phones=(make_phone_run(),)))
    assert found.cost_columns == ()
    assert not any(name.startswith("phone") for name in found.rows[0].cells)


def test_a_failure_is_a_cross_with_its_reason(dped: Task, make_card: MakeCard) -> None:
    run = make_phone_run(mean_ms=None, failure="no memory")
    found, cells = one(dped, make_card(dped, "a", {}), timings=(failed_timing("out of time"),), phones=(run,))
    columns = {c.id: c for c in found.cost_columns}
    for name in ("measured.runtime_ms", "phone.phone-a.latency_ms"):
        assert (cells[name].state, cells[name].value) == (State.FAILED, None)
        assert cells[name].text(columns[name]) == "×"
    (note,) = (n for n in found.cost_notes() if "failed" in n)
    assert "a out of time (runtime, runtime ratio, memory)" in note
    assert "a GPU delegate: no memory (Phone A)" in note


def test_an_incomplete_count_is_a_lower_bound_and_no_score_rests_on_it(dped: Task, make_card: MakeCard) -> None:
    score = Derived(id="s", title="S", formula="1e12 / macs", where={"macs": "cost.macs"})
    task = Task(dped.spec.model_copy(update={"scores": (score,)}), dped.folder)
    found, cells = one(task, make_card(task, "a", {}), counts=(make_counts(complete=False),))
    column = next(c for c in found.cost_columns if c.id == "cost.macs")
    assert cells["cost.macs"].text(column) == "≥ 2.00"
    assert any(n.startswith("≥") for n in found.cost_notes())
    assert (cells["s"].state, cells["s"].value) == (State.UNAVAILABLE, None)
    assert "without a rule" in cells["s"].detail
    _, cells = one(task, make_card(task, "a", {}))
    assert cells["s"].value == 500


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("measured.runtime_ratio", 0.5),
        ("measured.runtime_ms", 100),
        ("measured.memory_mb", 300),
        ("cost.parameters", 113_000),
        ("cost.macs", 2e9),
        ("cost.flops", 4e9),
        ("cost.tf_profiler_flops", 4e9 + 7),
        ("cost.size_bytes", 460_000),
        ("phone.phone-a.latency_ms", 41.2),
    ],
)
def test_a_score_may_rest_on_any_cost(dped: Task, make_card: MakeCard, target: str, value: float) -> None:
    score = Derived(id="s", title="S", formula="x", where={"x": target})
    task = Task(dped.spec.model_copy(update={"scores": (score,)}), dped.folder)
    _, cells = one(task, make_card(task, "a", {}), phones=(make_phone_run(),))
    assert cells["s"].value == value
    found = board(task, [make_card(task, "a", {})])
    assert found.rows[0].cells["s"].value is None
    assert found.missing_scores()


def test_a_measured_ratio_goes_before_a_reported_one(dped: Task, make_card: MakeCard) -> None:
    card = make_card(dped, "a", {"psnr.pirm": 22.0, "ms_ssim.pirm": 0.91}, runtime_ratio=4.0)
    reported = board(dped, [card])
    measured = board(dped, [card], make_cost("a"))
    assert reported.uses_reported()
    assert not measured.uses_reported()
    assert reported.rows[0].cells["score_a"].value == pytest.approx(4 + 1 + 8)
    assert measured.rows[0].cells["score_a"].value == pytest.approx(4 + 1 + 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timings": (failed_timing("out of time"),)}, "out of time"),
        ({"version": "cd" * 32}, "another version"),
        ({"timings": (make_timing(reference="other"),)}, "measured beside other, not srcnn"),
    ],
)
def test_a_reported_ratio_stands_in_for_no_failure_and_no_other_version(
    dped: Task, make_card: MakeCard, changes: dict[str, Any], words: str
) -> None:
    _, cells = one(dped, model(make_card(dped, "a", {}, runtime_ratio=4.0)), **changes)
    assert cells["score_a"].value is None
    assert words in cells["score_a"].detail


def test_times_at_another_size_or_device_leave_the_reported_ratio(dped: Task, make_card: MakeCard) -> None:
    timings = (make_timing(input=(256, 256)), make_timing(device="cuda"))
    _, cells = one(dped, make_card(dped, "a", {}, runtime_ratio=4.0), timings=timings)
    assert cells["score_a"].reported
    assert "720×1280 on the CPU" in cells["measured.runtime_ms"].detail


def test_costs_of_other_files_are_unavailable(dped: Task, make_card: MakeCard) -> None:
    found = board(
        dped,
        [model(make_card(dped, "a", {}), "ef" * 32), model(make_card(dped, "b", {}))],
        make_cost("a"),
        make_cost("b"),
    )
    cells = {row.submission: row.cells for row in found.rows}
    assert cells["b"]["cost.macs"].value == 2e9
    for name, cell in cells["a"].items():
        if name.startswith(("cost.", "measured.")):
            assert (cell.state, cell.value) == (State.UNAVAILABLE, None)
            assert cell.detail == "measured on another version: profile it again"
    assert "Costs of a were measured on another version: profile it again." in found.cost_notes()


def test_outputs_and_logs_alone_tell_no_version(dped: Task, make_card: MakeCard) -> None:
    _, cells = one(dped, make_card(dped, "a", {}))
    assert cells["cost.macs"].value == 2e9
    _, cells = one(dped, model(make_card(dped, "a", {}), "ef" * 32), version="", phones=(make_phone_run(),))
    assert cells["phone.phone-a.latency_ms"].value == 41.2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timings": (make_timing(memory_mb=3501.0),)}, "it takes 3501 MB of memory"),
        ({"timings": (failed_timing("out of memory"),)}, "it ran out of memory"),
        ({"timings": (failed_timing("out of memory at 256x256 already"),)}, "it ran out of memory"),
        ({"timings": (make_timing(memory_mb=3500.0),)}, ""),
        ({"timings": (make_timing(memory_mb=None),)}, ""),
        ({"timings": (make_timing(memory_mb=9e9, input=(256, 256)),)}, ""),
        ({"timings": (failed_timing("out of time"),)}, ""),
        ({"timings": (make_timing(memory_mb=9e9),), "version": "cd" * 32}, ""),
    ],
)
def test_too_much_memory_takes_the_rank_and_says_why(
    dped: Task, make_card: MakeCard, changes: dict[str, Any], words: str
) -> None:
    found, _ = one(dped, model(make_card(dped, "a", {})), **changes)
    (row,) = found.rows
    assert (row.rank is None) == bool(words)
    assert row.reason.startswith(words)
    if words:
        assert "the task allows 3500 MB at 720×1280" in row.reason


def test_without_a_limit_memory_is_only_shown(dped: Task, make_card: MakeCard) -> None:
    free = Task(
        dped.spec.model_copy(update={"cost": dped.spec.cost.model_copy(update={"memory_mb": None})}), dped.folder
    )
    found, _ = one(free, make_card(free, "a", {}), timings=(make_timing(memory_mb=9e9),))
    assert found.rows[0].rank == 1


def test_machines_are_named_and_told_apart(dped: Task, make_card: MakeCard) -> None:
    cards = [make_card(dped, name, {}) for name in ("a", "b")]
    notes = board(dped, cards, make_cost("a"), make_cost("b")).cost_notes()
    assert any(n.startswith("Runtimes are medians on Some CPU, 4 threads, float32.") for n in notes)
    other = make_cost("b", timings=(make_timing(device_name="Other CPU"),))
    notes = board(dped, cards, make_cost("a"), other).cost_notes()
    assert any("Some CPU, 4 threads, float32 (a); Other CPU, 4 threads, float32 (b)" in n for n in notes)


def test_of_several_backends_of_a_phone_the_fastest_is_shown(dped: Task, make_card: MakeCard) -> None:
    runs = (make_phone_run(backend="CPU", mean_ms=400.0), make_phone_run(), make_phone_run(input=(1, 1), mean_ms=1.0))
    _, cells = one(dped, make_card(dped, "a", {}), phones=runs)
    cell = cells["phone.phone-a.latency_ms"]
    assert (cell.value, cell.detail) == (41.2, "GPU delegate, the fastest of 2")


def test_json_has_every_cost_and_the_record(dped: Task, make_card: MakeCard) -> None:
    cost = make_cost("a", phones=(make_phone_run(),))
    found = board(dped, [make_card(dped, "a", {}), make_card(dped, "b", {})], cost)
    rows = json.loads(json.dumps(found.to_json(), allow_nan=False))["rows"]
    assert rows[0]["costs"]["at"] == "720x1280"
    assert rows[0]["costs"]["columns"]["cost.flops"]["value"] == 4e9
    assert Cost.model_validate_json(json.dumps(rows[0]["costs"]["record"])) == cost
    assert rows[1]["costs"]["record"] is None
    assert {c["value"] for c in rows[1]["costs"]["columns"].values()} == {None}


def test_a_row_that_is_stale_stays_stale_with_costs(dped: Task, make_card: MakeCard) -> None:
    found, cells = one(dped, make_card(dped, "a", {}, rules="old"))
    assert found.rows[0].stale
    assert cells["cost.macs"].value == 2e9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1126, "0.113"),
        (0.999999, "1.00"),
        (12.345, "12.3"),
        (20462, "20462"),
        (0, "0"),
        (9.996, "10.0"),
        (1e-5, "0.0000100"),
    ],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value, 3) == text


@given(st.floats(1e-9, 1e15), st.integers(1, 6))
def test_significant_digits_are_near_and_never_an_exponent(value: float, digits: int) -> None:
    text = significant(value, digits)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) * 1.0001)
