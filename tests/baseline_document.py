"""What docs/pages/baselines.md says, for tests that hold it against other things."""

from __future__ import annotations

from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "pages" / "baselines.md"


def documented() -> dict[str, dict[str, str]]:
    """Return the document's scores as they are printed, by baseline and task."""
    found: dict[str, dict[str, str]] = {}
    for group in section("Scores").split("### ")[1:]:
        head, _, *rows = table(group)
        tasks = [cell.partition("<br>")[0] for cell in head[2:]]
        for row in rows:
            found.setdefault(row[0].strip("`"), {}).update(zip(tasks, row[2:], strict=True))
    return found


def section(title: str) -> str:
    """Return what stands below a heading."""
    return DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {title}")[2].partition("\n## ")[0]


def table(text: str) -> list[list[str]]:
    """Return the cells of a Markdown table, its rule included."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
