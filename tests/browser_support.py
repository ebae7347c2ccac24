"""What tests of pages in a browser share beside the fixtures of `tests/e2e/conftest.py`."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def serious_violations(page: Page) -> list[str]:
    """Return what axe-core finds on a page that is serious or critical: rule and element, one line each."""
    options = {"preload": False}  # it would fetch style sheets, which the pages' policy forbids
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
