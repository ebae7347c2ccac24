"""The page of a submission: how its scores are spread, its extremes by every metric, its sharp-region curve."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator.ranking import Column, rank, uncertainty
from evaluator.results import Store
from evaluator.site import build_site
from evaluator.site.choice import worst_and_best
from evaluator.site.distribution import distribution
from evaluator.site.submissions import case_medians, submission_view

if TYPE_CHECKING:
    from support import Tiny

Page = Callable[[Path, str], str]
PSNR = Column("psnr", "PSNR", "higher", "dB", 2)


def test_bars_hold_every_case_once_and_stand_where_their_scores_are() -> None:
    found = distribution([20.0, 21.0, 21.5, 22.0, 30.0], {"other": 25.0}, PSNR, infinite=2)
    assert found
    counts = [int(re.findall(r": (\d+) case", bar[4])[0]) for bar in found.bars]
    assert sum(counts) == 5
    assert max(counts) == found.highest
    for x, y, width, height, words in found.bars:
        assert y + height == pytest.approx(found.bottom)
        assert height == pytest.approx(
            (found.bottom - found.top) * counts[[b[4] for b in found.bars].index(words)] / found.highest, abs=0.11
        )
        assert found.left <= x < x + width <= found.right
    place = dict((float(text), x) for x, text in found.ticks)
    scale = (place[30.0] - place[20.0]) / 10
    assert found.median[0] == pytest.approx(place[20.0] + 1.5 * scale, abs=0.2)
    assert found.median[1] == "21.50"
    ((x, words),) = found.others
    assert x == pytest.approx(place[20.0] + 5 * scale, abs=0.2)
    assert words == "other: median 25.00"
    assert "5 cases from 20.00 to 30.00, half of them between 21.00 and 22.00; median 21.50." in found.words
    assert found.words.endswith(" Median of the other submission: 25.00.")
    assert found.infinite == 2


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, 5.0, 5.0], [-1e-9, 1e-9], [1e6, -1e6], [1.0] * 1280 + [2.0]])
def test_any_scores_can_be_drawn(values: list[float]) -> None:
    found = distribution(values, {}, PSNR)
    assert found
    assert found.bars
    assert all(found.left <= x and x + width <= found.right + 1 for x, _, width, _, _ in found.bars)
    assert 2 <= len(found.ticks) <= 12
    assert len({text for _, text in found.ticks}) == len(found.ticks), "two ticks are written alike"


def test_a_single_score_is_no_distribution() -> None:
    assert distribution([30.0], {"other": 1.0}, PSNR) is None


def test_medians_are_those_of_the_cases(results: Path, known_task: Tiny, page: Page) -> None:
    store = Store(results)
    board = rank(known_task.task, "five", store.read("tiny", "five"))
    cases = {row.submission: store.read_cases(row.card) for row in board.rows}
    medians = case_medians(board, cases)
    scores = sorted(c.scores["psnr.f64"].value or 0 for c in cases["good"])
    assert medians["good"] == scores[2]
    text = page(build_site(results, data=known_task.root), "good")
    assert f"median {scores[2]:.4f}." in text
    assert "Medians of the 4 other submissions: " in text


def test_scores_and_rank_stand_with_their_intervals(results: Path, known_task: Tiny, page: Page) -> None:
    store = Store(results)
    board = rank(known_task.task, "five", store.read("tiny", "five"))
    sure = uncertainty(board, {row.submission: store.read_cases(row.card) for row in board.ranked})
    index = build_site(results, data=known_task.root)
    for row in sure.rows:
        text, column = page(index, row.submission), board.lead
        span = row.spans[column.id]
        assert f"95 %: {column.number(span.low)} to {column.number(span.high)}<" in text
    unranked = next(row.submission for row in board.rows if row.rank is None)
    assert "95 %:" not in page(index, unranked)


def test_worst_and_best_are_listed_for_every_metric_with_links(results: Path, known_task: Tiny, page: Page) -> None:
    store = Store(results)
    board = rank(known_task.task, "five", store.read("tiny", "five"))
    text = page(build_site(results, data=known_task.root), "good")
    listed = text[text.index('class="extremes"') :]
    (card,) = (card for card in store.read("tiny", "five") if card.submission.id == "good")
    lines = re.findall(r"<tr><th scope=\"row\">.*?</tr>", listed, re.DOTALL)
    found = {c.id: worst_and_best(store.read_cases(card), c) for c in board.metric_columns}
    found = {name: pair for name, pair in found.items() if pair[0]}  # 24×20 is too small for MS-SSIM
    assert set(found) == {"psnr.f64", "ssim.basicsr", "mae", "rmse_rel"}
    for line, (name, (worst, best)) in zip(lines, found.items(), strict=False):
        assert f">{name} " in line
        assert re.findall(r'<a href="[^"]*">([^<]+)</a>', line) == [c.case for c in (*worst, *best)]
    assert "../cases/a-1/index.html#left=reference&amp;right=good" in listed


def test_a_sharp_region_curve_is_drawn_from_what_the_metric_publishes(results: Path, known_task: Tiny) -> None:
    store = Store(results)
    board = rank(known_task.task, "five", store.read("tiny", "five"))
    row = board.rows[0]
    own = store.read_cases(row.card)
    assert submission_view(board, row, own, {}, {}).curve == ""
    result = row.card.metrics["psnr.f64"].model_copy(
        update={"extra": {"below_1": 10.0, "below_16": 90.0, "mask_share": 0.4}}
    )
    card = row.card.model_copy(update={"metrics": row.card.metrics | {"sharp_region.area": result}})
    drawn = submission_view(board, replace(row, card=card), own, {}, {}).curve
    (points,) = re.findall(r'points="([^"]*)"', drawn)
    # 640×400 with a margin of 56: the axes run from (56, 344) to (584, 56).
    assert points == "56.0,344.0 89.0,315.2 584.0,84.8"
