"""The record of costs: what belongs together is there together, and a failure has no numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from evaluator.efficiency import Cost
from support import PHONE, failed_timing, make_cost, make_counts, make_phone_run, make_timing


def test_a_record_comes_back_from_json() -> None:
    cost = make_cost(timings=(make_timing(), failed_timing("out of memory")), phones=(make_phone_run(),))
    text = json.dumps(cost.model_dump(mode="json"), allow_nan=False)
    assert Cost.model_validate_json(text, strict=True) == cost


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failure": "out of time"}, "has no numbers"),
        ({"median_ms": None}, "says its failure"),
        ({"p95_ms": None}, "says its failure"),
        ({"runs": 0}, "says its failure"),
        ({"p95_ms": 99.0}, "below median_ms"),
        ({"ratio": None}, "belong together"),
        ({"reference_median_ms": None}, "belong together"),
        ({"ratio": None, "reference_median_ms": None}, "needs ratio"),
        ({"median_ms": 0.0}, "greater than 0"),
        ({"memory_mb": float("nan")}, "finite"),
        ({"device": "tpu"}, "cpu"),
        ({"input": (0, 5)}, "greater than or equal to 1"),
        ({"extra": 1}, "Extra inputs"),
    ],
)
def test_a_time_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        make_timing(**change)


def test_a_time_without_a_reference_or_memory_is_one() -> None:
    alone = make_timing(ratio=None, ratio_spread=None, reference_median_ms=None, memory_mb=None, spread=None)
    assert alone.median_ms == 100.0


@pytest.mark.parametrize(
    "change",
    [
        {"counts": (make_counts(), make_counts(5))},
        {"hardware": None},
        {"phones": (make_phone_run(), make_phone_run(mean_ms=3.0))},
        {"submission": "../x"},
        {"task": "a/b"},
        {"version": "abc"},
        {"parameters": -1},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_cost(**change)


@pytest.mark.parametrize("change", [{"mean_ms": None}, {"failure": "no memory"}])
def test_a_phone_run_has_a_time_or_a_failure(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_phone_run(**change)


def test_numbers_are_found_by_size_and_device() -> None:
    first, second = make_timing(), make_timing(median_ms=90.0, precision="float16")
    cost = make_cost(timings=(first, second, make_timing(device="cuda", threads=None)))
    assert cost.timing_at((720, 1280), "cpu") == first
    found = cost.timing_at((720, 1280), "cuda")
    assert found is not None
    assert found.threads is None
    assert cost.timing_at((1280, 720), "cpu") is None
    assert cost.counts_at((720, 1280)) == make_counts()
    assert cost.counts_at((1, 1)) is None


def test_a_later_phone_run_takes_the_place_of_the_same_kind_only() -> None:
    cost = make_cost(phones=(make_phone_run(),))
    other = make_phone_run(backend="CPU", mean_ms=300.0)
    found = cost.with_phones((make_phone_run(mean_ms=40.0), other)).phones
    assert {(p.backend, p.mean_ms) for p in found} == {("GPU delegate", 40.0), ("CPU", 300.0)}


def test_a_new_profile_keeps_the_phones_unless_they_are_known_to_be_of_other_files() -> None:
    runs = (make_phone_run(),)
    new = make_cost()
    assert new.replacing(None) == new
    assert new.replacing(make_cost(phones=runs)).phones == runs
    assert new.replacing(make_cost(phones=runs, version="")).phones == runs
    assert new.replacing(make_cost(phones=runs, version="ef" * 32)).phones == ()


def test_parts_of_a_device_are_said_where_they_are_known() -> None:
    assert PHONE.parts == "Chip 1"
    assert PHONE.model_copy(update={"ram_gb": 4.0, "launched": "2019-03"}).parts == "Chip 1, 4 GB, 2019-03"


def test_the_record_loads_no_arrays() -> None:
    code = "import sys, evaluator.efficiency.cost; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_not_measured_anew_of_the_same_files_is_kept() -> None:
    old = make_cost(counts=(make_counts(1, input=(8, 8)), make_counts(5)), timings=(make_timing(),))
    again = make_cost(counts=(make_counts(7),), timings=(), hardware=None).replacing(old)
    assert {c.input: c.macs for c in again.counts} == {(8, 8): 1, old.counts[1].input: 7}
    assert again.timings == old.timings
    assert again.hardware == old.hardware
    anew = make_cost(timings=(make_timing(median_ms=50.0),)).replacing(old)
    assert [t.median_ms for t in anew.timings] == [50.0]


@pytest.mark.parametrize("change", [{"version": "f" * 64}, {"harness": "0.0.1"}])
def test_numbers_of_other_files_or_another_harness_are_not_kept(change: dict[str, Any]) -> None:
    old = make_cost(timings=(make_timing(),)).model_copy(update=change)
    assert make_cost(timings=(), hardware=None).replacing(old).timings == ()


def test_times_of_another_machine_are_not_mixed_in() -> None:
    old = make_cost(timings=(make_timing(input=(9, 9)),))
    assert old.hardware is not None
    other = old.hardware.model_copy(update={"processor": "another"})
    found = make_cost(timings=(make_timing(),), hardware=other).replacing(old)
    assert [t.input for t in found.timings] == [make_timing().input]
