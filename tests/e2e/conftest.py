"""A browser, and pages for it, shared by all tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import evaluator
from browser_support import QUIET
from evaluator.ingest import baselines_folder
from support import make_cost, make_counts, make_phone_run, make_timing


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Any Chrome or Chromium that is installed; CHROMIUM names another."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chrome or Chromium is installed: the pages are not tried in a browser")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of three submissions to sidd/mini, one of them incomplete, with markup in its names."""
    work = tmp_path_factory.mktemp("site")
    broken = work / "broken"
    shutil.copytree(Path(__file__).parents[2] / "submissions" / "example", broken)
    (broken / "coffee-0.png").unlink()
    (broken / "submission.toml").write_text(
        'team = "<script>document.title = 1</script>"\nmethod = "<img src=x onerror=alert(1)>"\n', encoding="utf-8"
    )
    split = evaluator.load_task("sidd").split("mini")
    paths = [baselines_folder() / "identity", baselines_folder() / "bilateral", baselines_folder() / "tv", broken]
    evaluator.score(paths, split, leaderboards=work / "boards", workers=2)
    store = evaluator.Store(work / "boards")
    for name, macs in (("bilateral", 10**9), ("tv", 10**8)):
        counts = (make_counts(macs, input=(256, 256)),)
        timings = (make_timing(input=(256, 256)),)
        run = make_phone_run(input=(256, 256))
        store.write_cost(
            make_cost(name, task="sidd", version="", parameters=macs, counts=counts, timings=timings, phones=(run,))
        )
    return evaluator.build_site(work / "boards").parent


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test on any console message, script error or request off the disk."""
    tab = browser.new_page()
    trouble: list[str] = []
    tab.on("console", lambda message: trouble.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: trouble.append(f"script: {error}"))
    # A request that the next navigation cuts off is aborted, not failed.
    tab.on(
        "requestfailed",
        lambda r: None if r.failure == "net::ERR_ABORTED" else trouble.append(f"failed: {r.url} {r.failure}"),
    )
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else trouble.append(f"network: {r.url}"))
    yield tab
    tab.close()
    assert not trouble
