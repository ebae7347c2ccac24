"""Rankings beside each other: Kendall's τ, and who wins when cases are put together otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from evaluator.metrics import State
from evaluator.ranking import Board, sensitivity
from evaluator.ranking.significance import kendall_tau
from evaluator.results import CaseRow
from evaluator.tasks import load_task
from support import ruled_task

MakeBoard = Callable[..., tuple[Board, dict[str, list[CaseRow]]]]
FIRST, SECOND = "psnr.f64", "ssim.basicsr"

# Source: fast-DPED paper (2018), Table 3: PSNR, MS-SSIM, CPU ms, MOS.
PIRM = {
    "mt.phoenix": (21.99, 0.9125, 682, 2.6804),
    "eds": (21.65, 0.9048, 3241, 2.6523),
    "boe-sbg": (21.99, 0.9079, 1620, 2.6283),
    "menet": (22.22, 0.9086, 1461, 2.6108),
    "rainbow": (21.85, 0.9067, 828, 2.5583),
    "kaist-viclab": (21.56, 0.8948, 2153, 2.5123),
    "snpr": (22.03, 0.9042, 1448, 2.4650),
    "dped": (21.38, 0.9034, 20462, 2.4411),
    "geometry": (21.79, 0.9068, 833, 2.4324),
    "iv-sr": (21.60, 0.8957, 1375, 2.4309),
    "srcnn": (21.31, 0.8929, 3274, 2.2950),
    "alex": (21.87, 0.9036, 781, 2.1196),
}


def test_kendall_of_scipys_example() -> None:
    # Source: the example of scipy.stats.kendalltau.
    assert kendall_tau([12, 2, 1, 12, 2], [1, 4, 7, 1, 0]) == pytest.approx(-0.47140452079103173, abs=1e-12)
    assert kendall_tau([1, 1], [1, 2]) is None
    assert kendall_tau([1], [1]) is None


def test_kendall_of_pirm_with_the_opinions_of_people(make_board: MakeBoard) -> None:
    # Source: computed from the table apart from this program: MS-SSIM .515, PSNR .318, B .242, C .182, A .152, as the
    # share of all 66 pairs (τ-a). Two teams have the same PSNR, so that τ-b divides by the root of 65 · 66.
    task = load_task("dped")
    values = {n: {"psnr.pirm": [p] * 2, "ms_ssim.pirm": [s] * 2} for n, (p, s, _, _) in PIRM.items()}
    ratios = {n: 3274 / ms for n, (_, _, ms, _) in PIRM.items()}
    board, _ = make_board(task, values, ratios)
    opinion = [PIRM[row.submission][3] for row in board.rows]
    wanted = {
        "psnr.pirm": 0.318 * (66 / 65) ** 0.5,
        "ms_ssim.pirm": 0.515,
        "score_a": 0.152,
        "score_b": 0.242,
        "score_c": 0.182,
    }
    for name, tau in wanted.items():
        column = board.column(name)
        printed = [float(column.number(row.cells[name].value or 0)) for row in board.rows]
        assert kendall_tau(printed, opinion) == pytest.approx(tau, abs=0.0005), name


def test_aggregations_worked_by_hand(make_board: MakeBoard) -> None:
    # Means: a 13, b 12.6, c 11. Medians: a 10, b 12, c 11. Ranks in the cases, a: 3 3 3 3 1 → 2.6; b: 1 1 1 1 2 → 1.2;
    # c: 2 2 2 2 3 → 2.2. Against the board's a, b, c: the median's b, c, a has 1 of 3 pairs alike: τ −1/3; so do ranks.
    values = {"a": [10, 10, 10, 10, 25], "b": [12, 12, 12, 12, 15], "c": [11, 11, 11, 11, 11]}
    board, cases = make_board(ruled_task(), {n: {FIRST: v, SECOND: v[::-1]} for n, v in values.items()})
    assert [row.submission for row in board.rows] == ["a", "b", "c"]
    found = sensitivity(board, cases)
    others = {other.name: other for other in found.aggregations}
    assert found.first == ("a",)
    assert others["median"].first == others["rank, then aggregate"].first == ("b",)
    assert others["median"].tau == pytest.approx(-1 / 3)
    assert others["rank, then aggregate"].tau == pytest.approx(-1 / 3)
    assert others["trimmed mean"].tau == 1.0  # a tenth of five cases is none
    beside = {other.name: other for other in found.metrics}
    assert FIRST not in beside
    assert beside[SECOND].tau == 1.0
    assert beside["mae"].tau is None, "all rows are equal in it"
    assert beside["mae"].first == ("a", "b", "c")
    json.dumps(found.to_json(), allow_nan=False)
    assert "median τ -0.33, first b" in " ".join(found.sentences())


def test_the_trimmed_mean_leaves_out_a_tenth_at_each_end(make_board: MakeBoard) -> None:
    plain = np.full(10, 20.0)
    lucky = np.array([19.0] * 9 + [40.0])
    board, cases = make_board(ruled_task(), {"plain": {FIRST: plain}, "lucky": {FIRST: lucky}})
    assert board.rows[0].submission == "lucky"
    trimmed = next(o for o in sensitivity(board, cases).aggregations if o.name == "trimmed mean")
    assert (trimmed.first, trimmed.tau) == (("plain",), -1.0)


def test_rows_without_a_number_in_the_other_metric_are_left_out_of_its_tau(make_board: MakeBoard) -> None:
    values = {
        "a": {FIRST: [33.0, 33.0], SECOND: [0.1, 0.1]},
        "b": {FIRST: [32.0, 32.0], SECOND: [State.FAILED, 0.9]},
        "c": {FIRST: [31.0, 31.0], SECOND: [0.2, 0.2]},
    }
    board, cases = make_board(ruled_task(), values)
    other = next(o for o in sensitivity(board, cases).metrics if o.name == SECOND)
    assert (other.rows, other.tau, other.first) == (2, -1.0, ("c",))


def test_a_rule_of_mean_ranks_and_an_identical_case(make_board: MakeBoard) -> None:
    values = {
        "a": {FIRST: [State.INFINITE, 30.0, 30.0], SECOND: [0.9, 0.9, 0.9]},
        "b": {FIRST: [50.0, 29.0, 29.0], SECOND: [0.8, 0.8, 0.8]},
    }
    board, cases = make_board(ruled_task(by=[FIRST, SECOND], method="mean_rank"), values)
    # The mean of b is higher, since the identical case of a is left out; in the ranks of that case, a stands first.
    assert [row.rank_text for row in board.rows] == ["1", "2"]
    assert board.rows[0].submission == "b"
    found = {other.name: other for other in sensitivity(board, cases).aggregations}
    assert found["rank, then aggregate"].first == ("a",)
    assert found["median"].first == ("a",)
