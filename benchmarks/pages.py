"""What the pages of a large task cost: time to write the site, size of the task's page, processor time to open it.

    python benchmarks/pages.py --submissions 50 --cases 1280

The numbers are drawn, not scored. The page is opened in Chromium from the disk; `TaskDuration` is the processor time of
its main thread until it is idle: parsing, style, layout, script. CHROMIUM names the browser.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from evaluator.site import build_site
from evaluator.tasks import load_task

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
BUDGET = {"bytes": 1_500_000, "task_s": 1.0, "build_s": 60.0}


def opened(page: Path) -> dict[str, float]:
    """Return what Chromium counts while it opens a page."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})  # not the clock: other work delays it
        tab.goto(page.as_uri(), wait_until="networkidle")
        found = {m["name"]: float(m["value"]) for m in session.send("Performance.getMetrics")["metrics"]}
        browser.close()
    return found


def main() -> None:
    """Print the three numbers and the share of its budget that each takes."""
    from board_support import put_board

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=50)
    parser.add_argument("--cases", type=int, default=1280)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        put_board(root, load_task("sidd"), "validation", given.submissions, [f"{i:04d}" for i in range(given.cases)])
        wall, cpu = time.perf_counter(), time.process_time()
        page = build_site(root).parent / "sidd" / "validation" / "index.html"
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size, counted = page.stat().st_size, opened(page)
    parts = ", ".join(f"{k} {counted[k]:.3f} s" for k in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration"))
    print(f"site written in {wall:.1f} s, {cpu:.1f} s of one processor: {cpu / BUDGET['build_s']:.0%} of the budget")
    print(f"task page {size:,} bytes: {size / BUDGET['bytes']:.0%} of the budget")
    print(f"opened in {counted['TaskDuration']:.3f} s of processor time ({parts}): budget {BUDGET['task_s']:g} s")


if __name__ == "__main__":
    main()
