"""The pages in a real browser, from `file://`, with no network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page


def first_column(page: Page) -> list[str]:
    return [name.strip() for name in page.locator("table.sortable tbody th a").all_inner_texts()]


def test_from_the_index_to_a_case(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="SIDD").click()
    page.get_by_role("link", name="Bilateral filter").click()
    assert "Bilateral filter" in page.title()
    assert page.get_by_text("Rank 1 of 3").is_visible()
    pictures = page.locator("figure img")
    assert pictures.count() == 18
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") == 256


def test_sorting_by_mouse_and_keyboard_keeps_rows_without_numbers_last(site: Path, page: Page) -> None:
    page.goto((site / "sidd" / "mini" / "index.html").as_uri())
    names = first_column(page)
    assert names[:3] == ["Bilateral filter", "Total variation", "Identity (the input)"]
    assert names[3] == "<img src=x onerror=alert(1)>"
    head = page.get_by_role("button", name="mae")
    head.click()
    assert first_column(page) == names, "the first press puts the best first, the lowest error here"
    head.focus()
    page.keyboard.press("Enter")
    assert first_column(page) == [*reversed(names[:3]), names[3]]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="psnr.f64").click()
    assert first_column(page) == names


def test_an_incomplete_submission_says_why_it_has_no_rank(site: Path, page: Page) -> None:
    page.goto((site / "sidd" / "mini" / "index.html").as_uri())
    assert page.get_by_text("no rank: 1 of 16 cases have no score").is_visible()
    page.goto((site / "sidd" / "mini" / "broken" / "index.html").as_uri())
    assert page.get_by_text("missing-output").is_visible()
    assert page.locator("table.cases tr", has_text="coffee-0").get_by_text("missing").first.is_visible()


def test_markup_in_names_is_text(site: Path, page: Page) -> None:
    page.goto((site / "sidd" / "mini" / "broken" / "index.html").as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "<img src=x onerror=alert(1)>"
    assert page.get_by_text("<script>document.title = 1</script>").is_visible()
    assert page.title() != "1"


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_page(site: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in (
        "index.html",
        "published.html",
        "sidd/mini/index.html",
        "sidd/mini/tv/index.html",
        "sidd/mini/broken/index.html",
    ):
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plots_of_costs_are_switched_without_a_script(site: Path, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto((site / "sidd" / "mini" / "index.html").as_uri())
    plots = page.locator("svg.tradeoff")
    assert [plot.is_visible() for plot in plots.all()] == [True, False, False]
    page.get_by_role("radio", name="MACs, G").focus()
    page.keyboard.press("ArrowRight")
    assert [plot.is_visible() for plot in plots.all()] == [False, True, False]
    page.get_by_text("runtime, ms", exact=True).last.click()
    assert [plot.is_visible() for plot in plots.all()] == [False, False, True]
    assert page.get_by_role("img", name="psnr.f64 against runtime, ms").is_visible()
    name = plots.last.locator("g text").first
    ink, paper = (name.evaluate(f"t => getComputedStyle(t).{of}") for of in ("fill", "stroke"))
    assert ink != paper
    assert plots.last.locator("circle").first.evaluate("c => getComputedStyle(c).fill") != "rgb(0, 0, 0)"


def test_reported_and_measured_numbers_are_told_apart(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_role("main").get_by_role("link", name="Reported against measured").click()
    assert page.get_by_role("heading", level=3).count() == 16
    assert page.locator("h3 .badge.reported").count() == 16
    noisy = page.locator("table.beside tr", has_text="Noisy").first
    assert "23.70" in noisy.inner_text()
    assert "Other images: measured on sidd/mini" in noisy.inner_text()
    frames = page.locator("table.reported").first.evaluate("t => getComputedStyle(t).borderLeftStyle")
    assert frames == "dashed"
    assert page.locator("table.beside").first.evaluate("t => getComputedStyle(t).borderLeftStyle") == "none"
    noisy.get_by_role("link").first.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Identity")
