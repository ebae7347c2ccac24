"""Who moved: old ranks among the old scorecards, new ones among the new."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.ranking import who_moved
from evaluator.results import Scorecard, Store
from evaluator.tasks import Task, load_task

MakeCard = Callable[..., Scorecard]


@pytest.fixture(scope="module")
def dped() -> Task:
    return load_task("dped")


def test_ranks_before_and_after(dped: Task, make_card: MakeCard) -> None:
    first, second = dped.spec.ranking.by[:2]
    before = [make_card(dped, n, {first: v, second: 0.5}, rules="old") for n, v in (("a", 22), ("b", 21), ("c", 21))]
    after = [make_card(dped, n, {first: v, second: 0.5}) for n, v in (("a", 20), ("b", 21))]
    after.append(before[2])  # it could not be scored again
    found = who_moved(dped, "pirm2018", before, after)
    assert [(m.submission, m.before, m.after, m.moved) for m in found.moves] == [
        ("a", "1", "2", True),
        ("b", "2–3", "1", True),
        ("c", "2–3", "–", True),
    ]
    assert found.moves[0].metrics.keys() == {first}
    assert (found.moves[0].metrics[first].before, found.moves[0].metrics[first].after) == (22, 20)
    assert found.moves[1].metrics == {}
    assert {m.rules_before for m in found.moves} == {"old"}
    assert found.rules == dped.rules_digest()


def test_a_metric_that_is_new_has_no_number_before(dped: Task, make_card: MakeCard) -> None:
    last = dped.spec.metrics[-1]
    assert last not in dped.spec.ranking.by
    card = make_card(dped, "a", {last: 3.0})
    old = card.model_copy(
        update={"rules_digest": "old", "metrics": {m: r for m, r in card.metrics.items() if m != last}}
    )
    found = who_moved(dped, "pirm2018", [old], [card])
    assert found.versions == {last: (None, 1)}
    assert (found.moves[0].before, found.moves[0].after) == ("1", "1")
    assert (found.moves[0].metrics[last].before, found.moves[0].metrics[last].after) == (None, 3.0)


def test_where_the_rule_names_a_new_metric_there_is_no_old_rank(dped: Task, make_card: MakeCard) -> None:
    first = dped.spec.ranking.by[0]
    card = make_card(dped, "a", {})
    old = card.model_copy(
        update={"rules_digest": "old", "metrics": {m: r for m, r in card.metrics.items() if m != first}}
    )
    found = who_moved(dped, "pirm2018", [old], [card])
    assert [(m.before, m.after) for m in found.moves] == [("–", "1")]


def test_scorecards_scored_again_one_after_the_other_make_one_record(dped: Task, make_card: MakeCard) -> None:
    first = dped.spec.ranking.by[0]
    old = {n: make_card(dped, n, {first: v}, rules="old") for n, v in (("a", 22), ("b", 21))}
    new = {n: make_card(dped, n, {first: v}) for n, v in (("a", 20), ("b", 23))}
    one = who_moved(dped, "pirm2018", [old["a"], old["b"]], [new["a"], old["b"]])
    assert [(m.before, m.after) for m in one.moves] == [("1", "1"), ("2", "–")]
    two = who_moved(dped, "pirm2018", [new["a"], old["b"]], [new["a"], new["b"]], earlier=one)
    whole = who_moved(dped, "pirm2018", list(old.values()), list(new.values()))
    assert two == whole
    assert [(m.before, m.after) for m in whole.moves] == [("1", "2"), ("2", "1")]


def test_the_record_comes_back_and_is_refused_where_it_is_not_its_place(dped: Task, tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = who_moved(dped, "mini", [], [])
    (store.root / "dped" / "mini").mkdir(parents=True)
    path = store.write_moves(record)
    assert path == store.root / "dped" / "mini" / "moves.json"
    assert store.read_moves("dped", "mini") == record
    assert list(store.boards()) == []
    path.rename(path.with_name("x.json"))
    assert store.read_moves("dped", "mini") is None
    (store.root / "dped" / "other").mkdir()
    path.with_name("x.json").rename(store.root / "dped" / "other" / "moves.json")
    with pytest.raises(EvaluatorError, match="is of dped/mini"):
        store.read_moves("dped", "other")
