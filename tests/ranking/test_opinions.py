"""Opinion scores against worked examples of others, and against other fits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from evaluator.findings import EvaluatorError
from evaluator.metrics import State
from evaluator.ranking import choice_strengths, mean_opinions, opinion_cells, opinion_columns, rank
from evaluator.ranking.opinions import erratic, fit_bradley_terry, groups
from evaluator.results import Opinions, Scorecard, load_published
from evaluator.results.opinion_files import ChoiceRows, RatingRows, read_ratings
from evaluator.tasks import load_task

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
GAMES = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
"""Agresti, Categorical Data Analysis (2nd edition, 2002), Table 10.10: wins of the row's team over the column's."""
FITTED = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0]
"""The same, Table 10.11, third column, as the tests of R's BradleyTerry2 quote it; Baltimore is 0."""


def test_bradley_terry_is_agrestis_baseball() -> None:
    assert all(a + b == 13 for a, b in zip(np.ravel(GAMES), np.ravel(np.transpose(GAMES)), strict=True) if a + b)
    fit = fit_bradley_terry(GAMES)
    assert np.round(fit.strengths - fit.strengths[-1], 2).tolist() == FITTED
    # The standard errors of these differences are "about 0.3", Agresti says.
    cov = fit.covariance
    errors = np.sqrt(np.diag(cov)[:-1] + cov[-1, -1] - 2 * cov[:-1, -1])
    assert np.round(errors, 1).tolist() == [0.3] * 6


def other_fit(wins: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return strengths and covariance by logistic regression on differences, the last one fixed at 0, by BFGS."""
    size = len(wins)
    pairs = [(i, j) for i, j in itertools.combinations(range(size), 2) if wins[i, j] + wins[j, i]]
    design = np.zeros((len(pairs), size))
    for row, (i, j) in enumerate(pairs):
        design[row, i], design[row, j] = 1, -1
    design = design[:, :-1]
    won = np.array([wins[i, j] for i, j in pairs])
    met = np.array([wins[i, j] + wins[j, i] for i, j in pairs])

    def loss(beta: np.ndarray[Any, Any]) -> float:
        return float(np.sum(met * np.logaddexp(0, design @ beta) - won * (design @ beta)))

    beta = optimize.minimize(loss, np.zeros(size - 1), method="BFGS", options={"gtol": 1e-9}).x
    chance = 1 / (1 + np.exp(-design @ beta))
    covariance = np.linalg.inv(design.T @ np.diag(met * chance * (1 - chance)) @ design)
    centre = np.eye(size)[:, :-1] - 1 / size  # from the last at 0 to a sum of 0
    return centre @ beta, centre @ covariance @ centre.T


@given(st.integers(2, 7), st.integers(0, 10_000))
def test_bradley_terry_is_a_logistic_regression(size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    wins = random.integers(0, 30, (size, size)) + 0.5 * random.integers(0, 3, (size, size))
    np.fill_diagonal(wins, 0)
    if len(groups(wins)) > 1:
        return
    fit = fit_bradley_terry(wins)
    strengths, covariance = other_fit(wins)
    assert fit.strengths == pytest.approx(strengths, abs=1e-4)
    assert fit.covariance == pytest.approx(covariance, rel=1e-3, abs=1e-6)
    assert abs(fit.strengths.sum()) < 1e-9


def test_a_lopsided_chain_is_fitted_too() -> None:
    """Of two, the strength is the logarithm of the odds; along a chain these add up."""
    wins = np.zeros((4, 4))
    for i in range(3):
        wins[i, i + 1], wins[i + 1, i] = 10_000, 1
    fit = fit_bradley_terry(wins)
    assert np.diff(fit.strengths) == pytest.approx([-np.log(10_000)] * 3, rel=1e-8)


def choices(rows: Sequence[tuple[int, int, float]], names: tuple[str, ...] = ("a", "b", "c")) -> ChoiceRows:
    first, second, wins = zip(*rows, strict=True)
    return ChoiceRows([0] * len(rows), first, second, wins, names, "00")


def test_ties_are_half_a_win_and_are_counted() -> None:
    found = choice_strengths(choices([(0, 1, 1), (0, 1, 0.5), (1, 2, 1), (2, 0, 1), (2, 1, 0.5)]))
    assert (found.choices, found.ties, found.raters) == (5, 2, 1)
    assert [(s.submission, s.wins, s.comparisons) for s in found.submissions] == [
        ("a", 1.5, 3),
        ("b", 2.0, 4),
        ("c", 1.5, 3),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(0, 1, 1), (0, 2, 1), (1, 2, 1), (1, 2, 0)], "no other was ever chosen over any of them (a)"),
        ([(0, 1, 1), (0, 1, 0), (2, 3, 1), (2, 3, 0)], "none of a, b was compared with others"),
    ],
)
def test_choices_that_have_no_finite_strengths_are_refused_unless_there_is_a_prior(
    rows: list[tuple[int, int, float]], words: str
) -> None:
    names = tuple("abcd"[: 1 + max(max(row[:2]) for row in rows)])
    with pytest.raises(EvaluatorError) as raised:
        choice_strengths(choices(rows, names))
    assert words in str(raised.value)
    assert "--prior" in str(raised.value)
    found = choice_strengths(choices(rows, names), prior=1)
    assert found.prior == 1
    assert sum(s.strength for s in found.submissions) == pytest.approx(0, abs=1e-9)
    assert sum(s.comparisons for s in found.submissions) == 2 * len(rows)


def ratings(rows: Sequence[tuple[int, int, int, float]], names: tuple[str, ...] = ("a", "b")) -> RatingRows:
    return RatingRows(*zip(*rows, strict=True), names, "00")


def test_with_one_rating_a_rater_the_interval_is_students() -> None:
    scores = [3.0, 4.0, 4.0, 5.0, 2.0, 4.0]
    (found,) = mean_opinions(ratings([(r, 0, 0, s) for r, s in enumerate(scores)], ("a",)), (1, 5)).submissions
    expected = stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores))
    assert (found.mos, found.ratings, found.raters, found.cases) == (pytest.approx(22 / 6), 6, 6, 1)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)


def test_of_raters_with_many_ratings_the_interval_is_of_their_means() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(1, 6, (7, 11)) * 1.0
    rows = [(r, 0, c, scores[r, c]) for r in range(7) for c in range(11)]
    (found,) = mean_opinions(ratings(rows, ("a",)), (1, 5)).submissions
    means = scores.mean(axis=1)
    expected = stats.t.interval(0.95, 6, means.mean(), stats.sem(means))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)
    assert (found.raters, found.cases) == (7, 11)


def test_a_single_rater_leaves_no_interval() -> None:
    (found, _) = mean_opinions(ratings([(0, 0, 0, 3.0), (0, 0, 1, 4.0), (0, 1, 0, 1.0)]), (1, 5)).submissions
    assert (found.mos, found.low, found.high) == (3.5, None, None)


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_19_of_20_studies() -> None:
    """Simulated: raters with a bias of their own, unequally many ratings; the truth is 3."""
    random, held = np.random.default_rng(1), 0
    for _ in range(1000):
        rows = []
        for rater in range(20):
            bias = random.normal(0, 0.5)
            rows += [(rater, 0, case, 3 + bias + random.normal(0, 0.7)) for case in range(random.integers(6, 14))]
        (found,) = mean_opinions(ratings(rows, ("a",)), (0, 6)).submissions
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 3 <= found.high
    assert 0.93 <= held / 1000 <= 0.97


def test_screening_leaves_out_who_rates_at_random_and_keeps_who_is_merely_strict() -> None:
    random = np.random.default_rng(5)
    rows = []
    for rater in range(20):
        for output in range(40):
            truth = 3 + np.sin(output)
            score = truth + random.normal(0, 0.4)
            if rater == 7:
                score = truth + random.choice([-1.2, 1.2])  # now far above, now far below
            if rater == 11:
                score -= 0.6
            rows.append((rater, output % 4, output // 4, score))
    raters, submissions, cases, scores = (np.array(c) for c in zip(*rows, strict=True))
    assert erratic(raters, submissions, cases, scores) == [7]
    names = ("a", "b", "c", "d")
    screened = mean_opinions(ratings(rows, names), (0, 6), screen=True)
    assert (screened.screened, screened.raters) == (1, 19)
    without = mean_opinions(ratings([r for r in rows if r[0] != 7], names), (0, 6))
    assert screened.submissions == without.submissions
    assert without.screened is None


def test_screening_is_as_bt500_says() -> None:
    """BT.500-14, annex 1, 2.3.1, written out again output by output."""
    random = np.random.default_rng(9)
    count, outputs = 15, 30
    scores = np.round(random.normal(3, 0.7, (count, outputs)), 1)
    scores[3] = np.round(3 + 2.5 * random.choice([-1, 1], outputs), 1)
    scores[4, :4] = 6
    above, below = np.zeros(count), np.zeros(count)
    for j in range(outputs):
        mean, deviation = scores[:, j].mean(), scores[:, j].std(ddof=1)
        kurtosis = stats.kurtosis(scores[:, j], fisher=False)
        far = 2 if 2 <= kurtosis <= 4 else np.sqrt(20)
        above += scores[:, j] >= mean + far * deviation
        below += scores[:, j] <= mean - far * deviation
    both = above + below
    expected = [i for i in range(count) if both[i] / outputs > 0.05 and abs(above[i] - below[i]) / both[i] < 0.3]
    grid = [(i, 0, j, scores[i, j]) for i in range(count) for j in range(outputs)]
    raters, submissions, cases, values = (np.array(c) for c in zip(*grid, strict=True))
    assert erratic(raters, submissions, cases, values) == expected
    assert expected == [3]


@pytest.fixture
def pirm(tmp_path: Path) -> tuple[Opinions, dict[str, float]]:
    """Ratings by 100 imagined people, from 1 to 4, whose means are the printed MOS of PIRM's final ranking."""
    (table,) = [t for t in load_published() if t.id == "fast-dped/3"]
    names = {row.cells[0]: row.method or f"team-{n}" for n, row in enumerate(table.rows)}
    printed = {names[e.label]: e.printed.value for e in table.entries() if e.quantity == "mos"}
    file = tmp_path / "ratings.csv"
    lines = ["rater,submission,case,score"]
    for name, mos in printed.items():
        assert mos is not None
        steps, over = divmod(round(mos * 10_000), 100)
        lines += [f"r{n},{name},all,{(steps + (n < over)) / 100:.2f}" for n in range(100)]
    file.write_text("\n".join(lines), encoding="utf-8")
    found = mean_opinions(read_ratings(file, list(printed), (1, 4)), (1, 4))
    return Opinions(task="dped", split="pirm2018", harness="0", ratings=found), printed  # type: ignore[return-value]


def test_the_final_ranking_of_pirm_2018_is_by_mos(pirm: tuple[Opinions, dict[str, float]]) -> None:
    """Table 3 of the paper on Fast DPED (`leaderboards/published`): its rows are in the order of their MOS."""
    opinions, printed = pirm
    assert opinions.ratings is not None
    assert {m.submission: round(m.mos, 4) for m in opinions.ratings.submissions} == printed
    assert opinions.ratings.ratings == 12 * 100
    ranked = sorted(opinions.ratings.submissions, key=lambda m: -m.mos)
    assert [m.submission for m in ranked] == list(printed)


def test_scores_and_tracks_of_a_task_may_use_opinions(
    pirm: tuple[Opinions, dict[str, float]], make_card: Callable[..., Scorecard]
) -> None:
    opinions, printed = pirm
    task = load_task("dped")
    score = task.spec.scores[0].model_copy(update={"id": "mos", "formula": "100 * m", "where": {"m": "opinion.mos"}})
    track = {"id": "people", "title": "By what people said", "by": ["opinion.mos"]}
    changes = {"scores": [score.model_dump()], "tracks": [track]}
    task = type(task)(type(task.spec).model_validate({**task.spec.model_dump(), **changes}), task.folder)
    cards = [make_card(task, name, {}) for name in (*printed, "nobody")]
    board = rank(task, "pirm2018", cards, {}, opinions)
    values = {row.submission: row.cells["mos"].value for row in board.rows}
    assert {n: round(v, 2) for n, v in values.items() if v is not None} == {
        n: round(100 * m, 2) for n, m in printed.items()
    }
    cell = next(row for row in board.rows if row.submission == "nobody").cells["mos"]
    assert cell.state is State.UNAVAILABLE
    assert cell.detail == "opinion.mos: nobody rated it: evaluate opinions"
    assert rank(task, "pirm2018", cards).rows[0].cells["mos"].state is State.UNAVAILABLE
    board = rank(task, "pirm2018", cards, {}, opinions, track="people")
    assert [row.submission for row in board.ranked] == list(printed), "the order of the paper's Table 3"
    assert board.rows[-1].reason == "opinion.mos: unavailable (nobody rated it: evaluate opinions)"
    assert board.column("opinion.mos") in board.columns
    assert not rank(task, "pirm2018", cards, track="people").ranked


def test_cells_and_columns_are_of_what_was_asked(pirm: tuple[Opinions, dict[str, float]]) -> None:
    opinions, printed = pirm
    cells = opinion_cells(opinions, "srcnn")
    assert cells["opinion.mos"].value == pytest.approx(printed["srcnn"])
    assert cells["opinion.bt"].state is State.UNAVAILABLE
    assert [c.id for c in opinion_columns(opinions)] == ["opinion.mos"]
    assert opinion_columns(None) == ()
    both = opinions.model_copy(update={"choices": choice_strengths(choices([(0, 1, 0.5), (1, 2, 0.5)]))})
    assert [c.id for c in opinion_columns(both)] == ["opinion.mos", "opinion.bt"]
    assert opinion_cells(both, "a")["opinion.bt"].value == pytest.approx(0, abs=1e-12)


def test_what_was_said_of_other_outputs_does_not_count(pirm: tuple[Opinions, dict[str, float]]) -> None:
    opinions, printed = pirm
    of_these = opinions.of(dict.fromkeys(printed, "ab"))
    assert opinion_cells(of_these, "srcnn", "ab") == opinion_cells(opinions, "srcnn", "ab")
    cell = opinion_cells(of_these, "srcnn", "cd")["opinion.mos"]
    assert (cell.value, cell.detail) == (None, "other outputs were judged: ask again")
    assert of_these.of(dict.fromkeys(printed, "cd")) == of_these, "what is known of old opinions stays"
