"""The pages: whole, the same each time, safe to open, and frank about what is missing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from evaluator.findings import EvaluatorError
from evaluator.scoring import score
from evaluator.site import build_site

if TYPE_CHECKING:
    from support import Tiny

Page = Callable[[Path, str], str]


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(index: Path) -> Iterator[tuple[Path, Elements]]:
    for path in sorted(index.parent.rglob("*.html")):
        yield path, Elements(path.read_text(encoding="utf-8"))


def tree(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_two_builds_give_the_same_bytes(results: Path, tiny: Tiny) -> None:
    first = tree(build_site(results, data=tiny.root).parent)
    assert tree(build_site(results, data=tiny.root).parent) == first
    assert "tiny/five/good/index.html" in first


def test_every_page_picture_and_style_that_is_linked_exists(results: Path, tiny: Tiny) -> None:
    index = build_site(results, data=tiny.root)
    seen = set()
    for path, elements in pages(index):
        for _, attributes in elements.found:
            for name in ("href", "src"):
                target = attributes.get(name)
                if target is None or urlsplit(target).scheme in ("http", "https"):
                    continue
                found = (path.parent / unquote(urlsplit(target).path)).resolve()
                if target.startswith("#"):
                    found = path.resolve()
                assert found.is_file(), f"{path.name}: {target}"
                place = urlsplit(target).fragment
                # `#left=…` is a state of the viewer, not a place.
                assert not place or "=" in place or f'id="{place}"' in found.read_text(encoding="utf-8"), target
                assert found.is_relative_to(index.parent.resolve()), target
                seen.add(found)
    written = {p.resolve() for p in index.parent.rglob("*") if p.is_file()}
    assert written - seen <= {index.resolve()}, "a file that no page leads to"


def test_nothing_is_loaded_from_elsewhere_and_no_path_of_the_machine_is_told(results: Path, tiny: Tiny) -> None:
    index = build_site(results, data=tiny.root)
    for path, elements in pages(index):
        for tag, attributes in elements.found:
            if tag != "a":  # a link loads nothing by itself
                for name in ("src", "href", "data", "srcset", "action"):
                    assert not re.match(r"\s*(\w+:|//|/)", attributes.get(name) or ""), (path, tag, attributes)
            assert not [name for name in attributes if name.startswith("on")], "code in an attribute"
            assert tag not in ("iframe", "object", "embed", "form", "base")
        text = path.read_text(encoding="utf-8")
        assert str(tiny.root) not in text
        assert str(Path.home()) + "/" not in text
    assert "http" not in (index.parent / "static/site.css").read_text()


def test_texts_of_a_team_are_shown_as_text(results: Path, tiny: Tiny, page: Page) -> None:
    index = build_site(results, data=tiny.root)
    for path, elements in pages(index):
        scripts = [attributes for tag, attributes in elements.found if tag == "script"]
        wanted = ["table.js", "viewer.js"] if path.parent.parent.name == "cases" else ["table.js"]
        assert [(script["src"] or "").rpartition("static/")[2] for script in scripts] == wanted, path
    own = Elements(page(index, "marked"))
    assert own.text.count('<script>alert("x")</script>') >= 4  # method, team, description, affiliation, author
    assert '<script>alert("x")</script>' in Elements(page(index, "")).text


def test_a_row_without_a_rank_shows_why(results: Path, tiny: Tiny, page: Page) -> None:
    index = build_site(results, data=tiny.root)
    assert "2 of 5 cases have no score" in Elements(page(index, "")).text
    own = Elements(page(index, "lost")).text
    assert "No rank: 2 of 5 cases have no score" in own
    assert "missing-output" in own
    assert "a-2.png" in own
    assert "incomplete" in own


def test_identical_cases_are_counted_on_both_pages(results: Path, tiny: Tiny, page: Page) -> None:
    index = build_site(results, data=tiny.root)
    assert "same 2 of 5" in Elements(page(index, "")).text
    own = Elements(page(index, "same")).text
    assert "2 of 5 cases left out: identical to their reference" in own
    assert "∞" in own


def test_ranks_and_numbers_are_those_of_the_board(results: Path, tiny: Tiny, page: Page) -> None:
    from evaluator.ranking import rank
    from evaluator.results import Store

    board = rank(tiny.task, "five", Store(results).read("tiny", "five"))
    elements = Elements(page(build_site(results, data=tiny.root), ""))
    links = [attributes.get("href") or "" for tag, attributes in elements.found if tag == "a"]
    shown = [link for link in links if link.endswith("/index.html") and not link.startswith("..")]
    assert shown == [*(f"{row.submission}/index.html" for row in board.rows), "cases/index.html"]
    for row in board.rows:
        for column in board.columns:
            assert row.cells[column.id].text(column) in elements.text


def test_cases_are_listed_in_natural_order_with_pictures_of_the_worst_and_best(
    results: Path, tiny: Tiny, page: Page
) -> None:
    index = build_site(results, data=tiny.root)
    text = page(index, "good")
    table = text[text.index("All cases") :]
    places = [table.index(f">{case}</a></th>") for case in ("a-1", "a-2", "b-1", "b-9", "b-10")]
    assert places == sorted(places)
    captions = re.findall(r"Case (\S+) ", Elements(text).text)
    assert sorted(captions) == sorted(tiny.references), "each of the five cases once: three worst, two best"


def test_a_new_build_replaces_the_old_pages(results: Path, tiny: Tiny) -> None:
    index = build_site(results, data=tiny.root)
    (index.parent / "stray.html").write_text("old")
    for file in (results / "tiny/five/good").iterdir():
        file.unlink()
    (results / "tiny/five/good").rmdir()
    build_site(results, data=tiny.root)
    assert not (index.parent / "stray.html").exists()
    assert not (index.parent / "tiny/five/good").exists()
    assert "good/index.html" not in (index.parent / "tiny/five/index.html").read_text()
    assert not list(results.glob(".*")), "work was left beside the site"


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("scorecard.json", "{", r"scorecard\.json is damaged"),
        ("cases.csv", "case,output,output_sha256,psnr.f64\na-1,x,y,abc\n", r"cases\.csv cannot be used"),
        ("cases.csv", None, r"cases\.csv cannot be used"),
    ],
)
def test_the_old_pages_stay_if_a_build_fails(
    results: Path, tiny: Tiny, file: str, content: str | None, said: str
) -> None:
    index = build_site(results, data=tiny.root)
    before = tree(index.parent)
    damaged = results / "tiny/five/good" / file
    if content is None:
        damaged.unlink()
    else:
        damaged.write_text(content)
    with pytest.raises(EvaluatorError, match=said):
        build_site(results, data=tiny.root)
    assert tree(index.parent) == before
    assert not list(results.glob(".*"))


def test_no_scorecards_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="Score something first"):
        build_site(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_row_scored_by_other_rules_has_a_page_without_a_rank(results: Path, tiny: Tiny, page: Page) -> None:
    tiny.toml.write_text(tiny.toml.read_text().replace("clip = true", "clip = false"))
    index = build_site(results, data=tiny.root)
    assert "scored by another protocol" in Elements(page(index, "good")).text
    text = Elements(page(index, "")).text
    assert text.count("score it again with evaluate rescore --task tiny") == 5


def test_a_row_whose_table_lacks_the_metric_that_leads_now_has_a_page_that_says_so(
    results: Path, tiny: Tiny, page: Page
) -> None:
    tiny.toml.write_text(tiny.toml.read_text().replace('"psnr.f64"', '"psnr.pirm"'))
    index = build_site(results, data=tiny.root)
    own = Elements(page(index, "good")).text
    assert "No rank: scored by another protocol" in own
    assert "No scores of cases: scored by another protocol" in own
    assert not re.search(r"\d\d\.\d{4}", own), "numbers by other rules stand nowhere on it"
    assert "<img" not in page(index, "good"), "no case is the best or worst by a metric that none has"


def test_a_task_of_ones_own_is_shown_if_it_is_given(tiny: Tiny, tmp_path: Path, page: Page) -> None:
    boards = tmp_path / "boards"
    score([tiny.outputs("team")], tiny.split, leaderboards=boards)
    with pytest.raises(EvaluatorError, match=r"'tiny'.*evaluate site --task FILE\.toml"):
        build_site(boards, data=tiny.root)
    assert not (boards / "site").exists()
    index = build_site(boards, data=tiny.root, tasks=[tiny.task])
    assert "Tiny task" in Elements(page(index, "")).text
    assert "<img" in page(index, "team")


def test_means_of_groups_stand_on_the_submissions_page(known_task: Tiny, tmp_path: Path, page: Page) -> None:
    tiny = known_task
    split_of = tiny.toml.read_text(encoding="utf-8")
    tiny.toml.write_text(split_of + 'groups = { indoor = "indoor.txt", outdoor = "outdoor.txt" }\n', encoding="utf-8")
    (tiny.root / "tiny" / "indoor.txt").write_text("a-1 a-2", encoding="utf-8")
    (tiny.root / "tiny" / "outdoor.txt").write_text("3 4 5", encoding="utf-8")  # places in the natural order
    (outcome,) = score([tiny.outputs("team")], tiny.split, leaderboards=tmp_path / "boards")
    assert outcome.card
    groups = outcome.card.groups
    assert {name: next(iter(means.values())).cases for name, means in groups.items()} == {"indoor": 2, "outdoor": 3}
    text = page(build_site(tmp_path / "boards", data=tiny.root), "team")
    assert f"{groups['indoor']['psnr.f64'].value:.4f}" in text
    assert f"{groups['outdoor']['mae'].value:.5f}" in text
    whole = outcome.card.metrics["mae"].value
    assert whole == pytest.approx((2 * groups["indoor"]["mae"].value + 3 * groups["outdoor"]["mae"].value) / 5)  # type: ignore[operator]
