"""The page of a task: intervals, bands, charts, tracks, what papers report; its size; the same bytes each time."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from board_support import HOSTILE, TRACKS, put_board
from evaluator.ranking import Board, rank, uncertainty
from evaluator.ranking.percase import per_case
from evaluator.results import CaseRow
from evaluator.site import build_site
from evaluator.site.boards import board_view, tracks
from evaluator.site.matrix import significance_map
from evaluator.site.reported import reported
from evaluator.site.strips import strips
from evaluator.site.tradeoff import planes, shortened, text_width
from evaluator.tasks import Task, load_task
from support import TOML

if TYPE_CHECKING:
    from support import Tiny

CASES = [f"c{i}" for i in range(40)]
Cases = dict[str, list[CaseRow]]


@pytest.fixture
def tracked(tiny: Tiny) -> Task:
    """The tiny task with a gate in one track and a mean of ranks in another."""
    tiny.toml.write_text(TOML.replace("[splits.five]\n", TRACKS, 1), encoding="utf-8")
    return tiny.task


def board_of(root: Path, task: Task, split: str, submissions: int) -> tuple[Board, Cases]:
    store = put_board(root, task, split, submissions, CASES)
    board = rank(task, split, store.read(task.id, split), store.read_costs(task.id))
    return board, {row.submission: store.read_cases(row.card) for row in board.rows}


def tree(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_rows_have_intervals_and_bands_and_two_builds_are_the_same(tracked: Task, tmp_path: Path) -> None:
    root = tmp_path / "boards"
    board, cases = board_of(root, tracked, "five", 8)
    index = build_site(root, tasks=[tracked])
    first = tree(index.parent)
    text = (index.parent / "tiny/five/index.html").read_text(encoding="utf-8")
    sure = uncertainty(board, cases)
    for row in sure.rows:
        assert f"[{row.rank_text}]" in text
        span = row.spans["psnr.f64"]
        assert f'<span class="span">[{span.low:.4f}, {span.high:.4f}]</span>' in text
        assert f'title="95 %: [{row.spans["mae"].low:.5f}, ' in text
    assert (text.count("band top"), text.count("band bottom")) == (2 + 1, 2), "two threes are each alike, and the key"
    assert tree(build_site(root, tasks=[tracked]).parent) == first


def test_tracks_have_pages_of_their_own_with_ways_between(tracked: Task, tmp_path: Path) -> None:
    root = tmp_path / "boards"
    put_board(root, tracked, "five", 8, CASES)
    folder = build_site(root, tasks=[tracked]).parent / "tiny/five"
    pages = {name: (folder / name).read_text(encoding="utf-8") for name in ("index.html", "track/gated/index.html")}
    assert "At least 34 dB" in pages["index.html"]
    assert 'href="track/both/index.html"' in pages["index.html"]
    assert (
        "Only those with psnr.f64 of at least 34 dB" in pages["track/gated/index.html"]
        or "34 dB" in pages["track/gated/index.html"].partition("<table")[0]
    )
    assert 'href="../both/index.html"' in pages["track/gated/index.html"]
    for name, text in pages.items():
        assert text.count('aria-current="page"') == 2, "the trail and the list of rankings"
        for href in re.findall(r'href="([^"#]+)"', text):
            if not href.startswith("http"):
                assert ((folder / name).parent / href).resolve().is_file(), href
    assert "Scores of the cases" in pages["index.html"]
    assert "Scores of the cases" not in pages["track/gated/index.html"], "led by the same metric: shown once"
    assert "Significant differences" in pages["track/gated/index.html"]


def test_a_track_ranks_by_its_own_rule(tracked: Task, tmp_path: Path) -> None:
    from evaluator.results import Store

    root = tmp_path / "boards"
    board, cases = board_of(root, tracked, "five", 6)
    gated, both = tracks(Store(root), board)
    assert (gated.track, both.track) == ("gated", "both")
    view = board_view(both, cases, board)
    assert view.up == "../../"
    assert [place.current for place in view.places] == [False, False, True]
    assert view.sure.tested == "mean_rank"
    assert view.strips is None
    assert view.kinds == {"baseline": 1, "unranked": 1}


def test_strips_show_quantiles_of_the_cases(tracked: Task, tmp_path: Path) -> None:
    board, cases = board_of(tmp_path, tracked, "five", 5)
    joined = per_case(board, cases)
    chart = strips(joined)
    assert chart is not None
    assert len(chart.rows) == 4, "the row without a rank is left out"
    values = [s.value for c in cases[board.rows[0].submission] if (s := c.scores["psnr.f64"]).value is not None]
    wanted = [f"{q:.4f}" for q in np.percentile(values, (0, 5, 25, 50, 75, 95, 100))]
    assert list(chart.rows[0].texts) == wanted
    for row in chart.rows:
        assert list(row.places) == sorted(row.places)
        assert chart.left <= row.places[0] < row.places[-1] <= chart.right


def test_the_map_is_that_of_the_tests_and_stops_at_thirty(tracked: Task, tmp_path: Path) -> None:
    board, cases = board_of(tmp_path, tracked, "five", 33)
    sure = uncertainty(board, cases, resamples=10)
    chart = significance_map(board, sure)
    assert chart is not None
    assert sure.pairs is not None
    assert (len(chart.rows), chart.left_out) == (30, 2)
    for i, row in enumerate(chart.rows):
        verdicts = sure.pairs.better[i][:30]
        assert (row.better, row.worse) == (verdicts.count(1), verdicts.count(-1))
        assert row.better + row.worse + len(row.alike) == 29
    assert chart.better.count("M") == sum(row.better for row in chart.rows) == chart.worse.count("M")
    assert chart.alike.count("M") == sum(len(row.alike) for row in chart.rows)


def test_the_plane_of_perception_and_distortion(tmp_path: Path) -> None:
    board, _ = board_of(tmp_path, load_task("dpd-blur"), "test", 7)
    (plane,) = planes(board)
    assert (plane.x.id, plane.y.id) == ("psnr.dpd", "lpips.alex.v0.1")
    values = {row.card.submission.method: row.cells for row in board.rows}
    for p in plane.points:
        dominated = any(
            (values[q.name]["psnr.dpd"].value or 0) > (values[p.name]["psnr.dpd"].value or 0)
            and (values[q.name]["lpips.alex.v0.1"].value or 0) < (values[p.name]["lpips.alex.v0.1"].value or 0)
            for q in plane.points
        )
        assert (p.kind == "best") is not dominated
    assert plane.divide is None
    assert plane.left_out == 1


def test_labels_do_not_overlap(tmp_path: Path) -> None:
    board, _ = board_of(tmp_path, load_task("dpd-blur"), "test", 40)
    (plane,) = planes(board)
    boxes = []
    for p in plane.points:
        if p.label:
            wide = text_width(p.label)
            left = {"start": p.label_x, "middle": p.label_x - wide / 2, "end": p.label_x - wide}[p.anchor]
            boxes.append((left, p.label_y - 12, left + wide, p.label_y + 3))
    assert 2 < len(boxes) < len(plane.points)
    assert plane.unnamed == len(plane.points) - len(boxes)
    for i, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= plane.width
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_names_are_cut_where_there_is_no_room() -> None:
    assert shortened("short") == "short"
    for name in HOSTILE:
        cut = shortened(name)
        assert text_width(cut) <= 170 + 13
        assert cut == name or (cut.endswith("…") and name.startswith(cut[:-1]))


def test_nothing_to_show_is_left_out(tracked: Task, tmp_path: Path) -> None:
    root = tmp_path / "boards"
    put_board(root, tracked, "five", 1, CASES)
    text = (build_site(root, tasks=[tracked]).parent / "tiny/five/index.html").read_text(encoding="utf-8")
    for words in (
        "<svg",
        "Significant differences",
        "Would another",
        "In brackets",
        "Reported by papers",
        "<h2>Scores",
    ):
        assert words not in text
    assert "no rank: 1 of 40 cases have no score" in text


def test_what_papers_report_stands_apart(tmp_path: Path) -> None:
    """Restormer's numbers on SIDD's validation blocks are 40.02 and 0.960 in Table 2 of LPIENet's paper."""
    found = reported("sidd", "validation")
    assert found is not None
    row = next(row for row in found.rows if row.name.startswith("Restormer"))
    assert (row.split, row.table) == ("validation", "lpienet/2")
    assert {column.head: text for column, text in row.cells.items()} == {"psnr.f64": "40.02", "ssim.matlab3d": "0.960"}
    assert [row.split == "validation" for row in found.rows] == sorted(
        (row.split == "validation" for row in found.rows), reverse=True
    )
    assert reported("tiny", "five") is None
    settings = reported("dped", "pirm2018")
    assert settings is not None
    assert {row.table for row in settings.rows} == {"fast-dped/3"}, "settings of one network are no entries"
    root = tmp_path / "boards"
    put_board(root, load_task("sidd"), "validation", 3, CASES)
    text = (build_site(root).parent / "sidd/validation/index.html").read_text(encoding="utf-8")
    ranking, _, papers = text.partition('<table class="reported">')
    assert "Restormer" not in ranking
    assert "Restormer" in papers


def test_names_are_text_in_tables_and_pictures(tracked: Task, tmp_path: Path) -> None:
    root = tmp_path / "boards"
    put_board(root, tracked, "five", 8, CASES)
    text = (build_site(root, tasks=[tracked]).parent / "tiny/five/index.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("<script") == 1
    assert "<b>" not in text
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(pictures) >= 3
    for picture in pictures:
        root_element = ElementTree.fromstring(picture)  # noqa: S314 - the harness wrote it
        assert root_element.attrib["role"] == "img"
        title, description = root_element.find("title"), root_element.find("desc")
        assert title is not None
        assert description is not None
        assert root_element.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        assert not [e for e in root_element.iter() if "style" in e.attrib or e.tag in ("style", "script")]
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_a_board_of_fifty_submissions_is_under_a_megabyte_and_a_half(tmp_path: Path) -> None:
    root = tmp_path / "boards"
    put_board(root, load_task("sidd"), "validation", 50, CASES)
    page = build_site(root).parent / "sidd/validation/index.html"
    text = page.read_text(encoding="utf-8")
    assert text.count("<tr data-kinds") == 50
    assert page.stat().st_size < 1_500_000
