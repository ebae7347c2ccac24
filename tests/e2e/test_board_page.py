"""The page of a task in a real browser: filter, columns, sorting and tracks, and their state in the address."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from board_support import HOSTILE, TRACKS, put_board
from browser_support import serious_violations
from evaluator.site import build_site
from evaluator.tasks import load_task
from support import TOML


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a task with tracks, twelve submissions and names that nobody is called."""
    work = tmp_path_factory.mktemp("board")
    (work / "tiny.toml").write_text(TOML.replace("[splits.five]\n", TRACKS, 1), encoding="utf-8")
    task = load_task(work / "tiny.toml")
    put_board(work / "boards", task, "five", 12, [f"c{i}" for i in range(40)])
    return build_site(work / "boards", tasks=[task]).parent / "tiny" / "five" / "index.html"


SHOWN = """rows => rows.filter(row => !row.hidden).map(
  row => row.dataset.kinds + '|' + row.querySelector('a').getAttribute('href').split('/').at(-2)
)"""


def shown(page: Page) -> list[str]:
    """Return kinds and id of each row that is shown."""
    page.wait_for_load_state()  # after a press on a link, too
    found: list[str] = page.eval_on_selector_all("table.ranking tbody tr", SHOWN)
    return found


def names(page: Page) -> list[str]:
    return [row.rpartition("|")[2] for row in shown(page)]


def test_filtering_by_text_and_kind(board: Path, page: Page) -> None:
    page.goto(board.as_uri())
    everything = names(page)
    assert len(everything) == 12
    assert page.get_by_role("button", name="Reset").count() == 0, "nothing to reset"
    find = page.get_by_role("searchbox", name="Find")
    find.fill("TEAM-1")
    assert sorted(names(page)) == ["team-10", "team-11"]
    assert page.get_by_role("status").inner_text() == "2 of 12 rows"
    find.fill("=cmd")
    assert names(page) == ["team-01"]
    find.fill("onclick='alert")
    assert names(page) == ["team-04"]
    find.fill("nobody")
    assert page.get_by_role("status").inner_text() == "No row matches."
    page.get_by_role("button", name="Reset").click()
    assert names(page) == everything
    assert "?" not in page.url
    page.get_by_role("checkbox", name="baselines").uncheck()
    page.get_by_role("checkbox", name="without a rank").uncheck()
    assert len(names(page)) == 9
    assert not [row for row in shown(page) if "baseline" in row or "unranked" in row]
    assert "hide=baseline%2Cunranked" in page.url


def test_choosing_columns_and_sorting_by_keyboard(board: Path, page: Page) -> None:
    page.goto(board.as_uri())
    columns = page.get_by_role("columnheader")
    before = columns.count()
    page.get_by_text("Columns", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="ssim.basicsr", exact=True).focus()
    page.keyboard.press("Space")
    assert page.get_by_role("columnheader").count() == before - 1
    assert page.get_by_role("columnheader", name="ssim.basicsr").count() == 0
    ranked = names(page)
    page.get_by_role("button", name="mae").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    by_error = names(page)
    assert by_error[-1] == ranked[-1], "the row without a number stays last"
    values = page.eval_on_selector_all(
        "table.ranking tbody tr", "rows => rows.map(r => r.cells[6].dataset.value).filter(v => v).map(Number)"
    )
    assert values == sorted(values, reverse=True)
    assert page.locator("table.reordered").count() == 1
    assert page.locator("td.band").first.evaluate("c => getComputedStyle(c, '::before').content") == "none"
    page.get_by_role("button", name="rank").press("Enter")
    assert names(page) == ranked
    assert page.locator("td.band").first.evaluate("c => getComputedStyle(c, '::before').content") != "none"


def test_the_address_keeps_the_state_and_back_undoes_it(board: Path, page: Page) -> None:
    link = f"{board.as_uri()}#?sort=mae:descending&find=team-&hide=baseline&without=ssim.basicsr,team"
    page.goto(link)
    deep = names(page)
    assert len(deep) == 10
    assert page.get_by_role("searchbox").input_value() == "team-"
    assert page.locator("th[aria-sort]").inner_text().startswith("mae")
    assert page.get_by_role("columnheader", name="team").count() == 0
    page.goto(board.as_uri())
    standard = names(page)
    page.get_by_role("button", name="mae").click()
    page.get_by_role("searchbox").press_sequentially("team-0")
    page.get_by_role("checkbox", name="baselines").uncheck()
    last = names(page)
    address = page.url
    page.go_back()
    assert len(names(page)) == 10, "team-00 to team-09, with baselines"
    page.go_back()
    assert len(names(page)) == 12, "a word is undone at once"
    page.go_back()
    assert names(page) == standard
    for _ in range(3):
        page.go_forward()
    assert names(page) == last
    page.goto("about:blank")
    page.goto(address)
    assert names(page) == last
    page.goto(f"{board.as_uri()}#?sort=nothing:up&hide=x&without=y&find=")
    assert names(page) == standard, "what is not known is left alone"


def test_tracks_open_in_the_same_state(board: Path, page: Page) -> None:
    page.goto(f"{board.as_uri()}#?find=team-0")
    page.get_by_role("link", name="At least 34 dB").click()
    assert "track/gated" in page.url
    assert len(names(page)) == 10
    assert page.get_by_role("heading", level=1).inner_text() == "Tiny task · At least 34 dB"
    page.get_by_role("link", name="Both ways").click()
    assert page.get_by_role("columnheader", name="mean rank").is_visible()
    page.get_by_role("link", name="Main ranking", exact=True).click()
    assert len(names(page)) == 10
    page.get_by_role("link", name="=cmd").click()
    assert "Method" not in page.title()
    assert "=cmd" in page.title()


def test_names_that_nobody_is_called_are_text(board: Path, page: Page) -> None:
    page.goto(board.as_uri())
    texts = page.locator("table.ranking tbody th a").all_text_contents()
    assert set(HOSTILE) <= set(texts)
    assert page.title() == "Tiny task · five"
    assert page.locator("main img, main script, main b").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_nothing_sticks_out_and_axe_finds_nothing_serious(board: Path, page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name in ("index.html", "track/both/index.html"):
        page.goto((board.parent / name).as_uri())
        page.locator(".tools summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious_violations(page) == []


def test_texts_of_charts_do_not_overlap(board: Path, page: Page) -> None:
    page.goto(board.as_uri())
    overlaps = """svg => {
      const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
      const found = [];
      boxes.forEach(([a, p], i) => boxes.slice(0, i).forEach(([b, q]) => {
        const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (wide > 1 && high > 4) found.push(`${a} | ${b}`);  // lines of text touch by their line height
      }));
      return found;
    }"""
    charts = page.locator("svg.chart:visible")
    assert charts.count() == 3
    for chart in charts.all():
        assert chart.evaluate(overlaps) == []
