"""A folder of results of the tiny task, which the harness takes for one of its own tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator.ingest import baselines_folder
from evaluator.scoring import score

if TYPE_CHECKING:
    from support import Tiny

MARKUP = '<script>alert("x")</script>'


@pytest.fixture
def known_task(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The tiny task, loaded by its id: pages know tasks by id only."""
    monkeypatch.setattr("evaluator.tasks.task.DEFINITIONS", tiny.toml.parent)
    return tiny


@pytest.fixture
def results(known_task: Tiny, tmp_path: Path) -> Path:
    """Results of: a good submission, one with markup in its texts, one with identical cases, one with a lost case, and
    a baseline."""
    tiny = known_task
    good, marked, same, lost = (
        tiny.outputs(n, error=e) for n, e in (("good", 2), ("marked", 6), ("same", 3), ("lost", 1))
    )
    fields = "\n".join(f"{key} = '{MARKUP}'" for key in ("team", "method", "description", "affiliation"))
    (marked / "submission.toml").write_text(
        f"{fields}\nauthors = ['{MARKUP}']\n[links]\ncode = 'https://x.org/\">{MARKUP}'"
    )
    for case in ("a-1", "b-9"):
        (same / f"{case}.png").write_bytes((tiny.root / "tiny/ref" / f"{case}.png").read_bytes())
    (lost / "a-2.png").unlink()
    (lost / "a-1.png").write_bytes(b"<b>no image</b>")
    paths = [good, marked, same, lost, baselines_folder() / "identity"]
    score(paths, tiny.split, leaderboards=tmp_path / "boards")
    return tmp_path / "boards"


@pytest.fixture
def page() -> Callable[[Path, str], str]:
    """Return the text of a page of a site: of a submission, or with an empty name the board's."""

    def read(index: Path, submission: str) -> str:
        return (index.parent / "tiny" / "five" / submission / "index.html").read_text(encoding="utf-8")

    return read
