"""Pictures: the pixels that were scored, encoded anew, or a sentence on why there are none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from evaluator.images import Pixels, encode_png, read_image
from evaluator.ingest import baselines_folder
from evaluator.scoring import score
from evaluator.site import build_site
from evaluator.site.pictures import to_display

if TYPE_CHECKING:
    from support import Tiny

Page = Callable[[Path, str], str]


@pytest.fixture
def boards(known_task: Tiny, tmp_path: Path) -> Path:
    """Results of one submission and one baseline."""
    folder = known_task.outputs("team")
    score([folder, baselines_folder() / "identity"], known_task.split, leaderboards=tmp_path / "boards")
    return tmp_path / "boards"


def test_pictures_have_the_pixels_of_input_output_and_reference(boards: Path, tiny: Tiny) -> None:
    site = build_site(boards, data=tiny.root).parent / "tiny/five"
    output = tiny.root / "submissions/team/a-1.png"
    for shown, wanted in (
        (site / "cases/a-1/input.png", tiny.inputs["a-1"]),
        (site / "cases/a-1/reference.png", tiny.references["a-1"]),
        (site / "cases/a-1/team.png", read_image(output).array),
        (site / "cases/a-1/identity.png", tiny.inputs["a-1"]),
    ):
        assert np.array_equal(read_image(shown).array, wanted), shown


def test_no_submitted_file_is_copied(known_task: Tiny, tmp_path: Path) -> None:
    folder = known_task.outputs("team")
    # A PNG with text after its end, as a page's visitor must not be served.
    content = (folder / "a-1.png").read_bytes() + b"<script>alert(1)</script>"
    (folder / "a-1.png").write_bytes(content)
    score([folder], known_task.split, leaderboards=tmp_path / "boards")
    site = build_site(tmp_path / "boards", data=known_task.root).parent
    assert not any(b"alert(1)" in p.read_bytes() for p in site.rglob("*.png"))


def test_without_the_data_the_pages_say_why_there_are_no_pictures(
    boards: Path, tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALUATOR_DATA", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    index = build_site(boards, data=empty)
    assert "No pictures: the data set was not at hand" in page(index, "team")
    assert not list(index.parent.rglob("*.png"))
    assert str(tmp_path) not in page(index, "team"), "a path of this machine is told"


def test_outputs_that_are_gone_are_said_to_be_gone(boards: Path, tiny: Tiny, page: Page) -> None:
    (tiny.root / "submissions/team").rename(tiny.root / "submissions/moved")
    index = build_site(boards, data=tiny.root)
    assert "No pictures: its outputs are not at hand" in page(index, "team")
    assert "<img" not in page(index, "team")
    assert "<img" in page(index, "identity")


def test_an_output_that_is_not_the_one_scored_is_not_shown(boards: Path, tiny: Tiny, page: Page) -> None:
    (tiny.root / "submissions/team/a-1.png").write_bytes(encode_png(tiny.inputs["a-1"]))
    index = build_site(boards, data=tiny.root)
    text = page(index, "team")
    assert 'alt="output for case a-1"' not in text
    assert text.count('alt="output for case') == 4
    assert not (index.parent / "tiny/five/cases/a-1/team.png").exists()


def shown_cases(text: str) -> set[str]:
    return set(re.findall(r'alt="output for case ([^"]+)"', text))


@pytest.mark.parametrize("change", ["renamed", "damaged input", "replaced reference"])
def test_pictures_of_other_data_than_was_scored_on_are_not_shown(
    boards: Path, tiny: Tiny, page: Page, change: str
) -> None:
    data = tiny.root / "tiny"
    if change == "renamed":
        for folder in ("in", "ref"):
            (data / folder / "a-1.png").rename(data / folder / "z-1.png")
    elif change == "damaged input":
        (data / "in" / "a-1.png").write_bytes(b"")
    else:
        (data / "ref" / "a-1.png").write_bytes((data / "ref" / "a-2.png").read_bytes())
    text = page(build_site(boards, data=tiny.root), "team")
    assert shown_cases(text) == set()
    assert "not the one that it was scored on" in text
    assert ">a-1</th>" in text


@pytest.mark.parametrize("name", ["a#1", "a?1", "a%231", "ä 1", "A-2", "b 1", "x" * 200])
def test_pictures_of_cases_with_signs_of_a_url_in_their_names_are_linked(
    known_task: Tiny, tmp_path: Path, page: Page, name: str
) -> None:
    tiny, outputs = known_task, known_task.outputs("team")
    for folder in (tiny.root / "tiny/in", tiny.root / "tiny/ref", outputs):
        (folder / "a-1.png").rename(folder / f"{name}.png")
    score([outputs], tiny.split, leaderboards=tmp_path / "boards")
    index = build_site(tmp_path / "boards", data=tiny.root)
    sources = re.findall(r'src="([^"]+\.png[^"]*)"', page(index, "team"))
    found = [index.parent / "tiny/five/team" / unquote(urlsplit(source).path) for source in sources]
    assert len(found) == 15
    assert all(path.is_file() for path in found)
    shown = {read_image(path).array.tobytes() for path in found if path.name == "reference.png"}
    assert shown == {image.tobytes() for image in tiny.references.values()}


@pytest.mark.parametrize(
    ("values", "peak", "wanted"),
    [
        (np.array([[[0, 128, 255]]], np.uint8), 255.0, [0, 128, 255]),
        (np.array([[[0, 32768, 65535]]], np.uint16), 65535.0, [0, 128, 255]),
        (np.array([[[-1.0, 0.5, 2.0]]]), 1.0, [0, 128, 255]),
        (np.array([[[0.0, 1.0, 0.002]]], np.float16), 1.0, [0, 255, 1]),
    ],
)
def test_pixels_of_any_kind_become_8_bit_by_their_peak(values: np.ndarray, peak: float, wanted: list[int]) -> None:
    shown = to_display(Pixels(values, peak))
    assert shown.dtype == np.uint8
    assert shown.ravel().tolist() == wanted
