"""The viewer of a case, and the page of a submission, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser_support import serious_violations

CASE = "sidd/mini/cases/astronaut-0/index.html"


def open_case(page: Page, site: Path, fragment: str = "") -> None:
    page.goto("about:blank")  # else another fragment of the same page would be no navigation
    page.goto((site / CASE).as_uri() + (f"#{fragment}" if fragment else ""))
    for picture in page.locator(".frame img").all():
        picture.evaluate("image => image.decode()")


def transforms(page: Page) -> list[str]:
    return page.locator(".frame img").evaluate_all("images => images.map(i => getComputedStyle(i).transform)")


def cut(page: Page) -> float:
    """Where the right picture begins, in percent of the frame."""
    clip = page.locator(".layer").nth(1).evaluate("l => l.style.clipPath")
    return float(re.findall(r"[\d.]+(?=%)", clip)[-1])


def fragment(page: Page, *wanted: str) -> None:
    """Wait until the address says what is seen."""
    for part in wanted:
        page.wait_for_function("part => location.hash.slice(1).split('&').includes(part)", arg=part)


def pixel(page: Page, x: float, y: float) -> tuple[int, ...]:
    """The colour on the screen at a point of the frame, given as a share of its width and height."""
    import cv2
    import numpy as np

    shot = page.locator(".frame").first.screenshot()
    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return tuple(int(v) for v in image[int(y * image.shape[0]), int(x * image.shape[1]), ::-1])


def test_the_slider_follows_mouse_and_keyboard(site: Path, page: Page) -> None:
    open_case(page, site)
    assert cut(page) == 50
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert cut(page) == 50.5
    page.keyboard.press("Home")
    assert cut(page) == 0
    box = page.locator(".frame").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    page.mouse.down()
    assert cut(page) == pytest.approx(60, abs=0.5)
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    assert cut(page) == pytest.approx(25, abs=0.5)
    assert float(slider.input_value()) == pytest.approx(25, abs=0.5)
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    assert cut(page) == pytest.approx(25, abs=0.5), "it moves while the button is not pressed"


def test_each_side_of_the_divider_shows_its_own_picture(site: Path, page: Page) -> None:
    sides = {}
    for left, right in (("input", "tv"), ("tv", "input")):
        open_case(page, site, f"left={left}&right={right}&split=50&zoom=16&x=128&y=128")
        sides[left] = [pixel(page, x, 0.8) for x in (0.2, 0.8)]
    assert sides["input"][0] != sides["tv"][0]
    assert sides["input"][1] != sides["tv"][1]
    open_case(page, site, "left=tv&right=tv&split=50&zoom=16&x=128&y=128")
    assert [pixel(page, x, 0.8) for x in (0.2, 0.8)] == [sides["tv"][0], sides["input"][1]]


def test_flicker_shows_one_picture_at_a_time(site: Path, page: Page) -> None:
    open_case(page, site)
    page.get_by_text("Flicker", exact=True).click()

    def seen() -> list[str]:
        return page.locator(".layer").evaluate_all("l => l.map(one => getComputedStyle(one).visibility)")

    assert seen() == ["visible", "hidden"]
    page.get_by_role("button", name="Show the other").click()
    assert seen() == ["hidden", "visible"]
    assert page.locator(".tag").inner_text() == "Bilateral filter"
    page.locator("#stage").focus()
    place = page.evaluate("scrollY")
    page.keyboard.press(" ")
    assert seen() == ["visible", "hidden"]
    assert page.evaluate("scrollY") == place, "space scrolled the page, too"
    page.get_by_label("by itself, twice a second").check()
    page.wait_for_function("() => getComputedStyle(document.querySelector('.layer')).visibility === 'hidden'")
    page.wait_for_function("() => getComputedStyle(document.querySelector('.layer')).visibility === 'visible'")
    page.emulate_media(reduced_motion="reduce")
    box = page.get_by_label("by itself, twice a second")
    expect(box).to_be_disabled()
    expect(box).not_to_be_checked()
    expect(page.get_by_text("your system asks for less motion")).to_be_visible()


@pytest.mark.parametrize(("view", "frames"), [("Side by side", 2), ("All", 6)])
def test_zoom_and_place_are_the_same_in_all_frames(site: Path, page: Page, view: str, frames: int) -> None:
    open_case(page, site)
    page.get_by_text(view, exact=True).click()
    assert page.locator(".frame").count() == frames
    fitted = transforms(page)
    assert len(set(fitted)) == 1
    stage = page.locator("#stage")
    page.get_by_role("button", name="Zoom in").click()
    stage.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    moved = transforms(page)
    assert len(set(moved)) == 1
    assert moved != fitted
    box = page.locator(".frame").last.bounding_box()
    assert box
    page.mouse.move(box["x"] + 30, box["y"] + 40)
    page.mouse.wheel(0, -200)
    page.wait_for_function(
        "before => getComputedStyle(document.querySelector('.frame img')).transform !== before", arg=moved[0]
    )
    assert len(set(transforms(page))) == 1
    before = transforms(page)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 60, steps=3)
    page.mouse.up()
    assert len(set(transforms(page))) == 1
    assert transforms(page) != before
    stage.focus()
    page.keyboard.press("0")
    assert transforms(page) == fitted


def test_the_wheel_zooms_at_the_pointer_and_only_once_the_pictures_are_chosen(site: Path, page: Page) -> None:
    open_case(page, site, "left=input&right=tv&view=side")
    frame = page.locator(".frame").first
    box = frame.bounding_box()
    assert box
    before = transforms(page)
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, 120)
    page.wait_for_function("() => scrollY > 0")
    assert transforms(page) == before, "a reader who only scrolls by is caught"
    page.evaluate("scrollTo(0, 0)")
    page.locator("#stage").focus()
    box = frame.bounding_box()
    assert box
    point = """p => { const m = new DOMMatrix(getComputedStyle(document.querySelector('.frame img')).transform);
        return [(p[0] - m.e) / m.a, (p[1] - m.f) / m.a]; }"""
    place = page.evaluate(point, [50, 50])
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, -500)
    page.wait_for_function("() => document.getElementById('stage').classList.contains('zoomed')")
    assert page.evaluate(point, [50, 50]) == pytest.approx(place, abs=1)


def test_one_hundred_percent_is_one_pixel_for_one_and_enlarged_pixels_stay_square(site: Path, page: Page) -> None:
    open_case(page, site)
    page.get_by_role("button", name="100 %").click()
    image = page.locator(".frame img").first
    assert image.evaluate("i => i.getBoundingClientRect().width") == 256
    assert page.locator("#zoom").inner_text() == "100 %"
    page.locator("#stage").focus()
    for _ in range(6):
        page.keyboard.press("+")
    assert page.locator("#zoom").inner_text() == "800 %"
    assert image.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"


def test_two_fingers_zoom(site: Path, browser: Browser) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    open_case(page, site, "view=side")
    before = float(page.locator("#zoom").inner_text().split()[0])
    page.evaluate(
        """() => {
          const frame = document.querySelector('.frame');
          frame.setPointerCapture = () => {};  // made-up pointers cannot be captured
          const box = frame.getBoundingClientRect();
          const send = (name, id, x, y) => frame.dispatchEvent(new PointerEvent(name, {
            pointerId: id, pointerType: 'touch', clientX: box.x + x, clientY: box.y + y, bubbles: true, button: 0 }));
          send('pointerdown', 1, 60, 60); send('pointerdown', 2, 80, 60);
          send('pointermove', 2, 100, 60); send('pointerup', 1, 60, 60); send('pointerup', 2, 100, 60);
        }"""
    )
    assert float(page.locator("#zoom").inner_text().split()[0]) == pytest.approx(2 * before, abs=2)
    assert len(set(transforms(page))) == 1
    context.close()


def test_a_link_leads_to_what_was_seen(site: Path, page: Page) -> None:
    open_case(page, site)
    page.get_by_label("Left", exact=True).select_option("reference")
    page.get_by_label("Right", exact=True).select_option("tv")
    page.get_by_text("Difference", exact=True).click()
    page.get_by_text("×16", exact=True).click()
    page.locator("#stage").focus()
    for key in "+++":
        page.keyboard.press(key)
    page.keyboard.press("ArrowDown")
    fragment(page, "left=reference", "right=tv", "view=difference", "amplify=16")
    page.wait_for_function("() => location.hash.includes('zoom=')")
    there, seen = page.url.partition("#")[2], transforms(page)
    open_case(page, site, there)
    assert transforms(page) == seen
    assert page.get_by_label("Left", exact=True).input_value() == "reference"
    assert page.get_by_role("radio", name="×16").is_checked()
    page.get_by_role("link", name="astronaut-1").click()
    page.wait_for_url("**/astronaut-1/index.html#*")
    assert page.get_by_role("radio", name="Difference").is_checked()
    assert page.get_by_label("Right", exact=True).input_value() == "tv"
    page.get_by_role("link", name="astronaut-0").click()
    page.wait_for_url("**/astronaut-0/index.html#*")


@pytest.mark.parametrize(
    "there", ["left=nobody&right=%00&view=x&zoom=NaN&x=-1e9", "zoom=1e99&amplify=7&split=abc", "%"]
)
def test_a_senseless_link_shows_the_usual_view(site: Path, page: Page, there: str) -> None:
    open_case(page, site, there)
    assert page.locator(".frame img").count() == 2
    assert page.get_by_label("Left", exact=True).input_value() == "input"
    assert page.get_by_label("Right", exact=True).input_value() == "bilateral"
    assert cut(page) == 50


def test_the_difference_is_black_where_nothing_differs_and_amplified_where_something_does(
    site: Path, page: Page
) -> None:
    def darkest_and_lightest(there: str) -> tuple[int, int]:
        import cv2
        import numpy as np

        open_case(page, site, f"{there}&view=difference&zoom=2&x=128&y=128")
        page.locator(".tag").evaluate("t => { t.hidden = true; }")
        shot = page.locator(".frame").screenshot()
        image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        inner = image[60:-20, 20:-20]
        return int(inner.min()), int(inner.max())

    assert darkest_and_lightest("left=tv&right=tv&amplify=16") == (0, 0)
    plain = darkest_and_lightest("left=input&right=reference&amplify=1")[1]
    assert 0 < plain < 255 / 2
    assert darkest_and_lightest("left=input&right=reference&amplify=4")[1] == pytest.approx(min(255, 4 * plain), abs=4)
    assert "×4" in page.locator(".tag").text_content(), "how much it is amplified is not said"


def test_scores_of_both_sides_stand_beside_each_other_with_the_better_in_bold(site: Path, page: Page) -> None:
    open_case(page, site, "left=tv&right=bilateral")
    pair = page.locator("table.pair tbody tr", has_text="psnr.f64")
    numbers = [float(text) for text in pair.locator("td").all_inner_texts()]
    assert numbers[0] < numbers[1]
    assert [("best" in (c.get_attribute("class") or "")) for c in pair.locator("td").all()] == [False, True]
    own = page.locator("table.scores tr", has_text="Total variation").locator("td").nth(1)
    assert float(own.inner_text()) == numbers[0]
    page.get_by_role("button", name="Swap left and right").click()
    assert page.locator("#pair-left").inner_text() == "Bilateral filter"
    page.get_by_label("Left", exact=True).select_option("reference")
    assert pair.locator("td").first.inner_text() == "–"


def test_the_table_of_a_case_can_be_sorted_and_leads_to_the_submissions(site: Path, page: Page) -> None:
    open_case(page, site)
    names = page.locator("table.scores tbody th a")
    assert names.first.inner_text() == "Bilateral filter"
    head = page.locator("table.scores").get_by_role("button", name="psnr.f64")
    head.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert names.last.inner_text() == "Bilateral filter"
    names.last.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Bilateral filter")
    page.locator(".triples a").first.click()
    page.wait_for_url("**/cases/*/index.html#left=reference&right=bilateral*")
    assert page.get_by_label("Right", exact=True).input_value() == "bilateral"


def test_everything_is_reached_with_the_keyboard_alone_and_is_seen_to_be(site: Path, page: Page) -> None:
    open_case(page, site)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => { const a = document.activeElement;
            const shown = a.type === 'radio' ? document.querySelector(`label[for="${a.id}"]`) : a;
            const name = a === document.body ? '' : a.id || a.textContent.trim();
            return [name, getComputedStyle(shown).outlineStyle]; }""")
        if not here[0] or here[0] in [name for name, _ in reached]:
            break
        reached.append(here)
    assert [name for name, outline in reached if outline == "none"] == []
    wanted = ["left", "swap", "right", "view-slider", "zoom-out", "zoom-in", "fit", "actual", "stage", "divider"]
    assert [name for name, _ in reached if name in wanted] == wanted


def test_without_scripts_the_pictures_stand_below_one_another(site: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / CASE).as_uri())
    assert not page.locator(".viewer").is_visible()
    figures = page.locator(".pictures figure")
    assert figures.count() == 6
    boxes = [box for figure in figures.all() if (box := figure.bounding_box())]
    assert len(boxes) == 6
    assert len({box["x"] for box in boxes}) == 1
    assert [box["y"] for box in boxes] == sorted(box["y"] for box in boxes)
    assert figures.first.locator("figcaption").inner_text() == "Input"
    context.close()


def test_printed_pictures_stand_side_by_side(site: Path, page: Page) -> None:
    open_case(page, site)
    page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dpi
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    assert not page.locator(".viewer").is_visible()
    boxes = [box for figure in page.locator(".pictures figure").all()[:3] if (box := figure.bounding_box())]
    assert len({box["y"] for box in boxes}) == 1


PAGES = (CASE, "sidd/mini/cases/index.html", "sidd/mini/tv/index.html", "sidd/mini/broken/index.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(site: Path, page: Page, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto((site / name).as_uri())
    assert serious_violations(page) == []
    for view in ("flicker", "side", "all", "difference") if name == CASE else ():
        page.goto(f"{(site / name).as_uri()}#view={view}")
        assert serious_violations(page) == [], view


def test_axe_is_heard(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<!doctype html><html><title>x</title><button></button>", encoding="utf-8")
    page.goto((tmp_path / "bad.html").as_uri())
    assert any(line.startswith("button-name") for line in serious_violations(page))


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_of_the_viewer(site: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for view in ("slider", "flicker", "side", "all", "difference"):
        open_case(page, site, f"view={view}&zoom=4")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        for box in (frame.bounding_box() for frame in page.locator(".frame").all()):
            assert box
            assert box["width"] > 100
            assert box["x"] + box["width"] <= width
