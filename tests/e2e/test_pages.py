"""The pages beside the boards, and a page as a single file, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page

from browser_support import serious_violations

if TYPE_CHECKING:
    from support import Run


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "about", "published"])
def test_pages_can_be_read_by_all(site: Path, page: Page, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert serious_violations(page) == []


def test_a_head_of_a_column_leads_to_its_contract(site: Path, page: Page) -> None:
    page.goto((site / "sidd" / "mini" / "index.html").as_uri())
    page.get_by_role("link", name="About ssim.matlab3d").click()
    assert page.url.endswith("about.html#ssim.matlab3d")
    assert page.get_by_role("heading", name="ssim.matlab3d").is_visible()


def test_published_rows_are_filtered_without_a_script(site: Path, page: Page) -> None:
    page.goto((site / "published.html").as_uri())
    rows, tables = page.locator("table.reported tbody tr:visible"), page.locator("table.reported:visible")
    everything = rows.count()
    assert tables.count() == 16
    page.get_by_role("radio", name="rows that contradict").check()
    shown = rows.all_inner_texts()
    assert 0 < len(shown) < everything
    assert all("contradicts" in text for text in shown)
    page.get_by_role("radio", name="what was measured here").check()
    assert tables.count() == 0
    assert page.locator("table.beside:visible").count() == 1
    assert page.get_by_role("heading", level=3).count() == 1
    page.get_by_role("radio", name="everything").check()
    assert rows.count() == everything


def test_a_single_file_works_alone(site: Path, page: Page, evaluate: Run, tmp_path: Path) -> None:
    out = tmp_path / "alone" / "sidd.html"
    out.parent.mkdir()
    done = evaluate(*("site", "--leaderboards", site.parent, "--single-file", out, "--task", "sidd", "--split", "mini"))
    assert (done.returncode, done.stdout.strip()) == (0, str(out)), done.stderr
    requests: list[str] = []
    page.on("request", lambda r: requests.append(r.url))
    page.goto(out.as_uri())
    assert page.locator("h1").evaluate("h => getComputedStyle(h).fontSize") == "27.2px", "the style is not applied"
    rows = page.locator("table.ranking tbody th[scope='row']")
    before = rows.all_inner_texts()
    assert before[0].startswith("Bilateral filter")
    head = page.get_by_role("button", name="mae")
    head.click()
    head.click()
    assert rows.all_inner_texts() == [*reversed(before[:3]), before[3]]
    assert [url for url in requests if not url.startswith("data:")] == [out.as_uri()]
    assert serious_violations(page) == []


def test_a_single_file_is_of_one_task(site: Path, evaluate: Run, tmp_path: Path) -> None:
    done = evaluate("site", "--leaderboards", site.parent, "--single-file", tmp_path / "x.html")
    assert done.returncode == 2
    assert "--task TASK" in done.stderr
    done = evaluate("site", "--leaderboards", site.parent, "--split", "mini")
    assert done.returncode == 2
    assert "--split is for --single-file" in done.stderr
    assert not (tmp_path / "x.html").exists()
