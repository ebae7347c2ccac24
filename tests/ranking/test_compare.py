"""Comparing two results: what counts as worse, what is refused, and what CI reads of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluator import metrics
from evaluator.efficiency import Runtime
from evaluator.findings import EvaluatorError
from evaluator.metrics import Score, State
from evaluator.ranking import Comparison, Limits, MetricChange, compare, compare_texts
from evaluator.results import CaseRow, DatasetInfo, MetricResult, Result, Scorecard
from evaluator.tasks import Task, load_task
from support import make_cost, make_counts, make_timing

PSNR, MAE = "psnr.f64", "mae"
MakeCard = Callable[..., Scorecard]
Make = Callable[..., Result]
Value = float | State


@pytest.fixture(scope="module")
def dped() -> Task:
    return load_task("dped")


@pytest.fixture(scope="module")
def make(dped: Task, make_card: MakeCard) -> Make:
    """Make a result from the cases' PSNR and MAE; keywords replace fields of its scorecard."""

    def build(values: Mapping[str, tuple[Value, Value]], cost: Any = None, **changes: Any) -> Result:
        def score(value: Value) -> Score:
            return Score(value) if isinstance(value, State) else Score(State.OK, value)

        rows = tuple(
            CaseRow(case, f"{case}.png", "00", {PSNR: score(one), MAE: score(other)})
            for case, (one, other) in values.items()
        )
        results = {}
        for metric in (PSNR, MAE):
            contract = metrics.get(metric).contract
            scores = [row.scores[metric] for row in rows]
            results[metric] = MetricResult.of(metrics.aggregate(contract, scores, "unranked"), contract)
        card = make_card(dped, changes.pop("submission", "team"), {})
        fields = {"metrics": results, "dataset": DatasetInfo(digest="data", cases=len(rows)), **changes}
        return Result(card.model_copy(update=fields), rows, cost)

    return build


def change(found: Comparison, metric: str = PSNR) -> MetricChange:
    return next(m for m in found.metrics if m.metric == metric)


OLD: dict[str, tuple[Value, Value]] = {"a": (30.0, 0.02), "b": (31.0, 0.03), "c": (32.0, 0.04)}


def test_the_same_twice_is_no_regression(make: Make) -> None:
    found = compare(make(OLD), make(OLD))
    assert found.problems == ()
    assert (change(found).gain, change(found).differing, change(found).p, change(found).largest) == (0, 0, None, None)


def test_a_drop_is_told_in_the_metrics_good_direction(make: Make) -> None:
    new = {"a": (30.0, 0.03), "b": (30.5, 0.03), "c": (32.2, 0.02)}
    found = compare(make(OLD), make(new))
    psnr, mae = change(found), change(found, MAE)
    assert psnr.gain == pytest.approx(-0.1)
    assert psnr.largest is not None
    assert (psnr.largest.case, psnr.largest.old, psnr.largest.new, psnr.largest.drop) == ("b", 31.0, 30.5, 0.5)
    assert mae.gain == pytest.approx(0.01 / 3)  # lower is better
    assert mae.largest is not None
    assert (mae.largest.case, mae.largest.drop) == ("a", pytest.approx(0.01))
    assert (psnr.differing, psnr.paired) == (2, 3)
    assert [p.partition(":")[0] for p in found.problems] == [PSNR]
    assert mae.problems == ()


def test_the_test_is_scipys_wilcoxon_of_the_cases_that_differ(make: Make) -> None:
    random = np.random.default_rng(3)
    before = 30 + random.normal(size=40)
    after = before + random.normal(0.1, 0.3, size=40)
    after[:5] = before[:5]
    sides = [{str(i): (float(v), 0.1) for i, v in enumerate(side)} for side in (before, after)]
    found = change(compare(make(sides[0]), make(sides[1])))
    assert found.differing == 35
    assert found.p == pytest.approx(stats.wilcoxon(after[5:], before[5:]).pvalue, rel=1e-12)


@pytest.mark.parametrize(("drop", "worse"), [(0.00009, False), (0.0001, False), (0.00012, True), (-1.0, False)])
def test_without_a_limit_a_mean_may_move_by_its_last_printed_digit(make: Make, drop: float, worse: bool) -> None:
    assert metrics.get(PSNR).contract.decimals == 4
    new = {case: (one - drop, other) for case, (one, other) in OLD.items()}  # type: ignore[operator]
    assert bool(compare(make(OLD), make(new)).problems) is worse


@pytest.mark.parametrize(("limit", "worse"), [(0.1, False), (0.099, True)])
def test_a_limit_is_what_is_still_allowed(make: Make, limit: float, worse: bool) -> None:
    new = {case: (one - 0.1, other) for case, (one, other) in OLD.items()}  # type: ignore[operator]
    assert bool(compare(make(OLD), make(new), Limits(drop={PSNR: limit})).problems) is worse


def test_single_cases_have_a_limit_only_if_one_is_given(make: Make) -> None:
    new = {**OLD, "a": (25.0, 0.02), "b": (40.0, 0.03)}
    assert compare(make(OLD), make(new)).problems == ()
    found = compare(make(OLD), make(new), Limits(case_drop={PSNR: 4.9}))
    assert found.problems == (f"{PSNR}: case a got worse by 5.00000; 4.9 is allowed",)


@pytest.mark.parametrize("state", [State.MISSING, State.INVALID, State.FAILED, State.UNAVAILABLE])
def test_a_case_without_a_score_any_more_is_a_regression_though_the_mean_of_the_others_rose(
    make: Make, state: State
) -> None:
    new = {**OLD, "a": (state, state), "b": (39.0, 0.01)}
    found = compare(make(OLD), make(new))
    assert change(found).lost == ("a",)
    assert len(found.problems) == 2  # of both metrics
    back = compare(make(new), make(OLD))
    assert (change(back).lost, change(back).won) == ((), ("a",))


def test_a_mean_is_compared_over_the_cases_that_have_a_value_on_both_sides(make: Make) -> None:
    """A case that became identical to its reference leaves the mean, which may fall by that: nothing got worse."""
    new = {**OLD, "c": (State.INFINITE, 0.0)}
    found = change(compare(make(OLD), make(new)))
    assert (found.old, found.new) == (31.0, 30.5)
    assert (found.gain, found.paired, found.problems) == (0.0, 2, ())


def test_a_case_that_is_no_longer_identical_to_its_reference_is_a_regression(make: Make) -> None:
    found = compare(make({**OLD, "c": (State.INFINITE, 0.0)}), make({**OLD, "c": (99.0, 0.0)}))
    assert change(found).identical_before == ("c",)
    assert "identical to the reference before" in found.problems[0]


def test_without_any_common_case_there_is_no_difference_and_the_lost_ones_count(make: Make) -> None:
    found = compare(make(OLD), make({case: (State.FAILED, State.FAILED) for case in OLD}))
    assert (change(found).gain, change(found).p, change(found).paired) == (None, None, 0)
    assert found.problems
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "sidd"}, "of dped/pirm2018, the new one of sidd/pirm2018"),
        ({"split": "mini"}, "the new one of dped/mini"),
        ({"dataset": DatasetInfo(digest="other", cases=3)}, "scored on other data"),
        ({"rules_digest": "x", "protocol": {"clip": False}}, "other rules (protocol: clip)"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_differs(make: Make, changes: Any, words: str) -> None:
    with pytest.raises(EvaluatorError) as raised:
        compare(make(OLD), make(OLD, **changes))
    assert words in str(raised.value)


def test_other_versions_metrics_and_cases_are_named(make: Make) -> None:
    old = make(OLD)
    results = dict(old.card.metrics)
    results[PSNR] = results[PSNR].model_copy(update={"contract": {**results[PSNR].contract, "version": 7}})
    del results[MAE]
    newer = replace(old, card=old.card.model_copy(update={"metrics": results, "rules_digest": "x"}))
    with pytest.raises(EvaluatorError, match=r"mae in one of them only; psnr.f64 version 1 and 7"):
        compare(old, newer)
    with pytest.raises(EvaluatorError, match=r"other cases \(c, d in one of them only\)"):
        compare(old, make({"a": OLD["a"], "b": OLD["b"], "d": OLD["c"]}))


def test_a_metric_whose_package_is_not_here_is_compared_by_the_contract_in_the_scorecard(make: Make) -> None:
    def renamed(result: Result) -> Result:
        rows = tuple(replace(row, scores={"pyiqa:none": row.scores[MAE]}) for row in result.cases)
        results = {"pyiqa:none": result.card.metrics[MAE]}
        return Result(result.card.model_copy(update={"metrics": results}), rows, None)

    new = {case: (one, 0.5) for case, (one, _) in OLD.items()}
    found = change(compare(renamed(make(OLD)), renamed(make(new))), "pyiqa:none")
    assert found.direction == "lower"
    assert found.gain == pytest.approx(0.03 - 0.5)


@pytest.mark.parametrize("limits", [Limits(drop={"psnr.f46": 1}), Limits(case_drop={"psnr.f46": 1})])
def test_a_limit_on_an_unknown_metric_is_refused(make: Make, limits: Limits) -> None:
    with pytest.raises(EvaluatorError, match=r"'psnr.f46'.*Did you mean 'psnr.f64'"):
        compare(make(OLD), make(OLD), limits)


def of_a_model(make: Make, cost: Any, **changes: Any) -> Result:
    result = make(OLD, cost, **changes)
    told = {"kind": "python", "digest": cost.version if cost else ""}
    info = result.card.submission.model_copy(update=told)
    return replace(result, card=result.card.model_copy(update={"submission": info}))


def costs_of(found: Comparison) -> dict[str, tuple[float | None, bool]]:
    return {c.cost: (c.worse, bool(c.problems)) for c in found.costs}


def test_growth_of_what_is_counted_is_a_regression_and_what_is_measured_is_only_shown(make: Make) -> None:
    old = of_a_model(make, make_cost())
    more = make_cost(
        parameters=226_000,
        counts=(make_counts(2_200_000_000),),
        timings=(make_timing(ratio=0.25, memory_mb=450.0),),
    )
    assert costs_of(compare(old, of_a_model(make, more))) == {
        "cost.parameters": (100.0, True),
        "cost.size_bytes": (0.0, False),
        "cost.macs": (pytest.approx(10.0), True),
        "measured.runtime_ratio": (100.0, False),  # half the ratio is twice the time
        "measured.memory_mb": (50.0, False),
    }
    fewer = compare(of_a_model(make, more), old)
    assert fewer.problems == ()


def test_costs_have_limits_in_percent(make: Make) -> None:
    old, new = (
        of_a_model(make, make_cost(parameters=n, timings=(make_timing(ratio=r),))) for n, r in ((100, 1), (110, 0.8))
    )
    allowed = Limits(cost={"cost.parameters": 10, "measured.runtime_ratio": 25})
    assert compare(old, new, allowed).problems == ()
    strict = Limits(cost={"cost.parameters": 9.9, "measured.runtime_ratio": 24})
    assert len(compare(old, new, strict).problems) == 2
    with pytest.raises(EvaluatorError, match=r"Did you mean 'cost.macs'"):
        compare(old, new, Limits(cost={"cost.mac": 1}))


def test_a_cost_that_is_lost_is_a_regression_where_it_has_a_limit(make: Make) -> None:
    old, new = of_a_model(make, make_cost()), of_a_model(make, make_cost(parameters=None, timings=()))
    found = compare(old, new)
    assert [c.cost for c in found.costs if c.problems] == ["cost.parameters"]
    assert (
        "measured.memory_mb at 720×1280 on the CPU, 4 threads, float32 is not known of the new result." in found.notes
    )
    without = of_a_model(make, None)
    assert compare(old, without).problems == ()
    assert compare(old, without, Limits(cost={"measured.memory_mb": 5})).problems == (
        "measured.memory_mb at 720×1280 on the CPU, 4 threads, float32: "
        "it was known of the old result, and is not of the new one",
    )


def test_costs_of_another_version_of_the_model_and_lower_bounds_are_left_out(make: Make) -> None:
    old, other = of_a_model(make, make_cost()), of_a_model(make, make_cost(parameters=999_999))
    info = other.card.submission.model_copy(update={"digest": "cd" * 32})
    other = replace(other, card=other.card.model_copy(update={"submission": info}))
    found = compare(old, other)
    assert found.problems == ()
    assert any("another version" in note for note in found.notes)
    bound = of_a_model(make, make_cost(counts=(make_counts(9_000_000_000, complete=False),)))
    found = compare(old, bound)
    assert "cost.macs" not in costs_of(found)
    assert any("lower bounds" in note for note in found.notes)


def test_the_wall_time_of_the_run_is_shown(make: Make) -> None:
    times = [Runtime(cases=3, median_s=1, p95_s=1, s_per_megapixel=s) for s in (1.0, 1.5)]
    found = compare(*(make(OLD, runtime=t) for t in times))
    assert costs_of(found) == {"run.s_per_megapixel": (pytest.approx(50.0), False)}


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=1, max_size=8))
def test_what_is_worse_one_way_is_better_the_other(make: Make, pairs: list[tuple[float, float]]) -> None:
    one, other = ({str(i): (pair[side], 0.1) for i, pair in enumerate(pairs)} for side in (0, 1))
    there, back = change(compare(make(one), make(other))), change(compare(make(other), make(one)))
    assert there.gain is not None
    assert back.gain == pytest.approx(-there.gain, abs=1e-12)
    assert there.p == pytest.approx(back.p) if there.p is not None else back.p is None
    drops = [x - y for x, y in pairs]
    assert (there.largest.drop if there.largest else 0) == max(0, *drops, 0)
    assert not (there.problems and back.problems)


EVIL = "x<b>|`*&\x07=1\u202e]]>"


@pytest.fixture
def worse(make: Make) -> Comparison:
    """A regression with hostile names, a cost that got worse, one that is not judged."""
    old = {**OLD, EVIL: (40.0, 0.0)}
    new = {**OLD, EVIL: (State.FAILED, 0.5)}
    big = make_cost(parameters=10**9)
    results = []
    for values, cost in ((old, make_cost()), (new, big)):
        result = make(values, cost, submission="team")
        told = result.card.submission.model_copy(update={"kind": "python", "digest": cost.version})
        results.append(replace(result, card=result.card.model_copy(update={"submission": told})))
    return compare(*results)


def test_junit_has_what_its_readers_need(worse: Comparison) -> None:
    """Names and counts as in junit-10.xsd of Jenkins' xUnit plugin, which GitLab and GitHub's readers follow."""
    root = ET.fromstring(compare_texts.junit(worse).encode())  # noqa: S314 - our own text
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert len(cases) == len(worse.metrics) + len(worse.costs)
    assert suite.get("tests") == root.get("tests") == str(len(cases))
    failed = [case for case in cases if case.find("failure") is not None]
    assert suite.get("failures") == root.get("failures") == str(len(failed)) == "3"
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped"))) == "3"
    assert suite.get("errors") == "0"
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert all(kind and name for kind, name in names)
    assert len(set(names)) == len(names)
    assert names[0] == ("dped/pirm2018.metrics", PSNR)
    for case in failed:
        (failure,) = case.findall("failure")
        assert failure.get("type") == "regression"
        assert failure.get("message")
        assert not case.findall("skipped")
    order = ["skipped", "failure", "system-out"]  # the schema's sequence
    for case in cases:
        assert [order.index(child.tag) for child in case] == sorted(order.index(child.tag) for child in case)
    assert "\x07" not in compare_texts.junit(worse)


def test_markdown_shows_hostile_names_as_text(worse: Comparison) -> None:
    text = compare_texts.markdown(worse)
    for line in text.splitlines():
        if line.startswith("|"):
            bare = line.replace("\\|", "")
            assert bare.count("|") in (len(compare_texts.METRIC_HEAD) + 1, len(compare_texts.COST_HEAD) + 1)
    assert "<b>" not in text.replace("\\<b", "")
    assert "\x07" not in text
    assert "\u202e" not in text


def test_a_comparison_is_strict_json(worse: Comparison) -> None:
    values = json.loads(json.dumps(worse.to_json(), allow_nan=False))
    assert values["regression"] is True
    assert values["metrics"][0]["lost"] == [EVIL]
    assert values["problems"] == list(worse.problems)
    assert math.isclose(values["costs"][0]["worse"], 100 * (10**9 / 113_000 - 1))
