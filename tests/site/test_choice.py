"""Which cases are shown: those that say most, no more than there is room for, the same each time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evaluator.images import encode_png, read_image
from evaluator.ingest import baselines_folder
from evaluator.metrics import Score, State
from evaluator.ranking import Board, rank
from evaluator.results import CaseRow, Store
from evaluator.scoring import score
from evaluator.site import build_site, pictures
from evaluator.site.choice import DISPUTED, EASIEST, HARDEST, choose

if TYPE_CHECKING:
    from support import Tiny

Values = Mapping[str, Mapping[str, float | None]]


@pytest.fixture
def board(known_task: Tiny, tmp_path: Path) -> Board:
    """A board of two submissions and a baseline."""
    paths = [known_task.outputs("one"), known_task.outputs("two"), baselines_folder() / "identity"]
    score(paths, known_task.split, leaderboards=tmp_path / "boards")
    return rank(known_task.task, "five", Store(tmp_path / "boards").read("tiny", "five"))


def table(values: Mapping[str, float | None]) -> list[CaseRow]:
    return [
        CaseRow(case, f"{case}.png", "", {"psnr.f64": Score(State.OK if v is not None else State.FAILED, v)})
        for case, v in values.items()
    ]


def chosen(board: Board, values: Values) -> dict[str, tuple[str, ...]]:
    return {c.case: c.reasons for c in choose(board, {name: table(found) for name, found in values.items()})}


def test_hardest_easiest_and_most_disputed_are_found(board: Board) -> None:
    cases = [f"c{n}" for n in range(12)]
    one = {c: 30.0 + n for n, c in enumerate(cases)}
    two = one | {"c5": one["c5"] - 9, "c7": one["c7"] + 8}
    found = chosen(board, {"one": one, "two": two, "identity": dict.fromkeys(cases, 0.0)})
    assert found["c0"] == (HARDEST,)
    assert found["c11"] == (EASIEST,)
    assert DISPUTED in found["c5"]
    assert DISPUTED in found["c7"]
    assert sum(DISPUTED in reasons for reasons in found.values()) == 2, "the baseline is no rival, equal is no dispute"
    assert [sum(r in reasons for reasons in found.values()) for r in (HARDEST, EASIEST)] == [4, 4], "a third of twelve"


def test_lower_is_better_turns_the_order_round(board: Board) -> None:
    spec = board.task.spec
    turned = spec.model_copy(update={"ranking": spec.ranking.model_copy(update={"by": ("mae",)})})
    other = Board(type(board.task)(turned, board.task.folder), board.split, board.metric_columns, (), board.rows)
    rows = {
        name: [CaseRow(f"c{n}", "", "", {"mae": Score(State.OK, n / 10)}) for n in range(12)]
        for name in ("one", "two", "identity")
    }
    found = {c.case: c.reasons for c in choose(other, rows)}
    assert HARDEST in found["c11"]
    assert EASIEST in found["c0"]


def test_each_submission_brings_its_worst_and_best(board: Board) -> None:
    cases = [f"c{n}" for n in range(100)]
    random = np.random.default_rng(0)
    values = {
        name: dict(zip(cases, random.normal(30, 3, 100).tolist(), strict=True)) for name in ("one", "two", "identity")
    }
    choices = choose(board, {name: table(found) for name, found in values.items()})
    for name, found in values.items():
        order = sorted(cases, key=found.__getitem__)
        assert {c.case for c in choices if name in c.extreme_of} == {*order[:3], *order[-3:]}
    assert len(choices) <= 3 * 6 + 6 * len(values)
    assert [c.case for c in choices] == [c.case for c in choose(board, {n: table(v) for n, v in values.items()})]


def test_cases_without_numbers_choose_nothing(board: Board) -> None:
    none = dict.fromkeys(("c0", "c1", "c2"), None)
    assert chosen(board, {"one": none, "two": none, "identity": none}) == {}
    assert set(chosen(board, {"one": none | {"c1": 30.0}, "two": none, "identity": none})) == {"c1"}


def test_beyond_the_room_only_outputs_that_are_extremes_are_shown(
    board: Board, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_site(tmp_path / "boards", data=tiny.root).parent / "tiny/five/cases"
    assert {len(list(folder.glob("*.png"))) for folder in whole.iterdir() if folder.is_dir()} == {5}
    assert "All 5 cases are shown" in (whole / "index.html").read_text()
    monkeypatch.setattr(pictures, "MOST_PIXELS", 24 * 20 * 5)  # one case: input, reference, three outputs
    cases = build_site(tmp_path / "boards", data=tiny.root).parent / "tiny/five/cases"
    pages = {folder.name: (folder / "index.html").read_text() for folder in cases.iterdir() if folder.is_dir()}
    partial = {name for name, text in pages.items() if "whose worst or best cases this is one of" in text}
    assert len(pages) - len(partial) == 1


def test_a_large_picture_is_reduced_and_the_page_says_so(
    board: Board, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "LONGEST_SIDE", 9)  # 24×20 by 3: 8×7, the last row twice
    case = build_site(tmp_path / "boards", data=tiny.root).parent / "tiny/five/cases/a-1"
    text = re.sub(r"\s+", " ", (case / "index.html").read_text())
    assert "the mean of 3 × 3 of the file&#39;s (24 × 20 became 8 × 7)" in text
    shown = read_image(case / "reference.png").array
    assert shown.shape == (7, 8, 3)
    block = tiny.references["a-1"][3:6, 6:9].astype(float).mean(axis=(0, 1))
    assert shown[1, 2] == pytest.approx(block, abs=0.51)


def test_floats_are_said_to_be_shown_as_8_bit(known_task: Tiny, tmp_path: Path) -> None:
    folder = known_task.outputs("team")
    for path in folder.glob("*.png"):
        np.save(path.with_suffix(".npy"), read_image(path).array.astype(np.float32) / 255)
        path.unlink()
    outcomes = score([folder, known_task.outputs("ints")], known_task.split, leaderboards=tmp_path / "boards")
    assert all(outcome.card for outcome in outcomes)
    case = build_site(tmp_path / "boards", data=known_task.root).parent / "tiny/five/cases/a-1"
    assert "Some of the files hold float32 values; all pictures have 8 bit" in (case / "index.html").read_text()
    assert encode_png(read_image(case / "team.png").array) == (case / "team.png").read_bytes()
