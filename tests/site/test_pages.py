"""The pages beside boards and submissions: contracts, conformance, moves, opinions."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator import metrics
from evaluator.efficiency import this_machine
from evaluator.findings import EvaluatorError
from evaluator.metrics import State
from evaluator.results import (
    Change,
    Choices,
    Conformance,
    KeptRun,
    MeanOpinion,
    Move,
    Moves,
    Opinions,
    Ratings,
    Store,
    Strength,
    environment,
)
from evaluator.results.conformance import Comparison
from evaluator.site import build_site
from evaluator.site.about import STATES

if TYPE_CHECKING:
    from support import Tiny


class Text(HTMLParser):
    """The text of a page, spaces merged."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))
        self.text = " ".join("".join(self.found).split())

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.found.append(" ")


def text_of(page: Path) -> str:
    return Text(page).text


def make_moves(tiny: Tiny, rules: str | None = None) -> Moves:
    places = {"good": ("1", "2"), "same": ("2–3", "1"), "marked": ("2–3", "3"), "lost": ("–", "–"), "gone": ("9", "10")}
    changes = {
        "psnr.f64": Change(before=30.0, after=30.25),
        "ssim.basicsr": Change(before=0.5, after=0.5 + 1e-7),
        "mae": Change(before=None, after=0.01),
    }
    return Moves(
        task="tiny",
        split="five",
        rules=rules or tiny.task.rules_digest(),
        versions={"psnr.f64": (1, 2), "mae": (None, 1)},
        moves=tuple(
            Move(submission=n, before=b, after=a, rules_before="old", digest="", metrics=changes if n == "good" else {})
            for n, (b, a) in sorted(places.items())
        ),
    )


def make_opinions() -> Opinions:
    mean = {"ratings": 10, "cases": 5}
    means = (
        MeanOpinion(submission="good", mos=3.25, low=3.0, high=3.5, raters=2, **mean),
        MeanOpinion(submission="same", mos=4.5, low=None, high=None, raters=1, **mean),
    )
    strengths = (
        Strength(submission="good", strength=-0.75, error=0.125, wins=3.5, comparisons=10),
        Strength(submission="same", strength=0.75, error=0.125, wins=6.5, comparisons=10),
    )
    return Opinions(
        task="tiny",
        split="five",
        harness="0.1.0",
        ratings=Ratings(scale=(1, 5), ratings=20, raters=2, screened=1, source_sha256="a" * 64, submissions=means),
        choices=Choices(choices=10, ties=1, raters=3, prior=1, source_sha256="b" * 64, submissions=strengths),
    )


def make_conformance(version: int = 1, verdict: str = "agrees") -> Conformance:
    compared = Comparison(
        pair="astronaut",
        metric="psnr.f64",
        version=version,
        ours=24.5,
        peer="somelib 1.0 psnr()",
        theirs=24.75,
        tolerance=0.5,
        verdict=verdict,  # type: ignore[arg-type]
        reason="float32 inside",
    )
    absent = compared.model_copy(update={"theirs": None, "verdict": "not installed", "peer": "otherlib psnr"})
    return Conformance(environment=environment(["psnr.f64"]), comparisons=(compared, absent))


def test_every_contract_of_the_boards_is_told_in_words(results: Path, tiny: Tiny) -> None:
    index = build_site(results, data=tiny.root)
    page = (index.parent / "about.html").read_text(encoding="utf-8")
    assert re.findall(r'class="contract" id="([^"]+)"', page) == [
        m for m in metrics.ids() if m in tiny.task.spec.metrics
    ]
    text = text_of(index.parent / "about.html")
    for metric in tiny.task.spec.metrics:
        for label, words in metrics.get(metric).contract.facts():
            assert f"{label} {' '.join(words.split())}" in text, (metric, label)


def test_every_state_is_explained() -> None:
    assert set(STATES) == set(State)
    assert all(means and does for means, does in STATES.values())


def test_heads_of_columns_and_footers_lead_to_the_contracts(results: Path, tiny: Tiny) -> None:
    site = build_site(results, data=tiny.root).parent
    board = (site / "tiny/five/index.html").read_text(encoding="utf-8")
    for metric in tiny.task.spec.metrics:
        assert f'href="../../about.html#{metric}"' in board
        assert f'href="../../../about.html#{metric}"' in (site / "tiny/five/good/index.html").read_text(
            encoding="utf-8"
        )
    for page in site.rglob("*.html"):
        root = "../" * (len(page.relative_to(site).parts) - 1)
        assert f'href="{root}about.html"' in page.read_text(encoding="utf-8"), page


def test_no_page_is_there_without_its_record(results: Path, tiny: Tiny) -> None:
    index = build_site(results, data=tiny.root)
    names = {p.name for p in index.parent.rglob("*.html")}
    assert names == {"index.html", "about.html", "published.html"}
    assert "conformance.html" not in index.read_text(encoding="utf-8")
    assert "Who moved" not in text_of(index.parent / "tiny/five/index.html")


def test_conformance_is_shown_from_its_record(results: Path, tiny: Tiny) -> None:
    Store(results).write_conformance(make_conformance())
    index = build_site(results, data=tiny.root)
    text = text_of(index.parent / "conformance.html")
    assert "1 agrees, 1 not installed" in text
    assert "psnr.f64 version 1 24.5000000 24.7500000 -2.5e-01 0.5 agrees somelib 1.0 psnr() float32 inside" in text
    assert "24.5000000 – – 0.5 not installed otherlib psnr" in text
    assert "Out of date" not in text
    assert 'href="conformance.html"' in index.read_text(encoding="utf-8")


def test_a_record_of_conformance_of_another_version_says_so(results: Path, tiny: Tiny) -> None:
    Store(results).write_conformance(make_conformance(version=7))
    text = text_of(build_site(results, data=tiny.root).parent / "conformance.html")
    assert "Out of date: psnr.f64 is of version 1 now" in text


def test_a_damaged_record_of_conformance_is_named(results: Path, tiny: Tiny) -> None:
    store = Store(results)
    store.write_conformance(make_conformance())
    store.conformance_file.write_text("{")
    with pytest.raises(EvaluatorError, match=r"conformance\.json is damaged.*evaluate metrics conformance --save"):
        build_site(results, data=tiny.root)


def test_who_moved_stands_on_a_page_and_on_the_board(results: Path, tiny: Tiny) -> None:
    Store(results).write_moves(make_moves(tiny))
    index = build_site(results, data=tiny.root)
    text = text_of(index.parent / "tiny/five/moves.html")
    assert "4 of 5 submissions moved" in text
    assert "psnr.f64 : version 1 before, version 2 after" in text
    assert "mae : none before, version 1 after" in text
    assert "rules have changed once more" not in text
    # By new rank; 10 after 3, none last.
    order = [text.index(f" {places} ") for places in ("2–3 1 moved", "1 2 moved", "2–3 3 moved", "9 10 moved", "– –")]
    assert order == sorted(order)
    assert "gone not on the board any more" in text
    assert "30.0000 → 30.2500 +0.2500" in text
    assert "0.5000 → 0.5000 +1.0e-07" in text, "a change below the printed digits is told"
    assert "– → 0.01000" in text
    board = text_of(index.parent / "tiny/five/index.html")
    assert "4 of 5 submissions moved: same 2–3 → 1, good 1 → 2," in board
    assert 'href="moves.html"' in (index.parent / "tiny/five/index.html").read_text(encoding="utf-8")
    assert 'href="tiny/five/moves.html"' in index.read_text(encoding="utf-8")


def test_moves_of_earlier_rules_are_said_to_be_old(results: Path, tiny: Tiny) -> None:
    Store(results).write_moves(make_moves(tiny, rules="other"))
    site = build_site(results, data=tiny.root).parent
    assert "rules have changed once more since" in text_of(site / "tiny/five/moves.html")
    assert "which are not those of this page any more" in text_of(site / "tiny/five/index.html")


def test_what_people_said_stands_on_a_page_best_first(results: Path, tiny: Tiny) -> None:
    Store(results).write_opinions(make_opinions())
    index = build_site(results, data=tiny.root)
    text = text_of(index.parent / "tiny/five/opinions.html")
    assert "20 ratings by 2 raters, from 1 to 5. 1 rater was left out" in text
    assert "same 4.5000 one rater 10 1 5 good 3.2500 3.0000 to 3.5000 10 2 5" in text
    assert "A prior of 1 imagined comparison of each two" in text
    assert "same 0.7500 0.1250 6.5 10 good -0.7500 0.1250 3.5 10" in text
    assert "a" * 64 in text
    assert "b" * 64 in text
    page = (index.parent / "tiny/five/opinions.html").read_text(encoding="utf-8")
    # 3.25 of 1 to 5 is 0.5625 of the way, from 6 to 154; 3.0 is half of it.
    assert '<line class="span" x1="80.0" x2="98.5" y1="8" y2="8"/><circle cx="89.2"' in page
    assert 'href="tiny/five/opinions.html"' in index.read_text(encoding="utf-8")
    board = (index.parent / "tiny/five/index.html").read_text(encoding="utf-8")
    assert 'href="opinions.html"' in board
    assert ">MOS " in board


def test_a_run_that_was_kept_is_named_with_the_provenance(results: Path, tiny: Tiny) -> None:
    store = Store(results)
    card = next(c for c in store.read("tiny", "five") if c.submission.id == "good")
    kept = KeptRun(
        started="2020-01-01T00:00:00+00:00",
        evaluator="0.0.9",
        hardware=this_machine(),
        outputs_sha256="c" * 64,
        rules_digest="d" * 64,
    )
    table = (store.folder("tiny", "five", "good") / "cases.csv").read_text(encoding="utf-8")
    store.write(card.model_copy(update={"kept_run": kept}), table)
    site = build_site(results, data=tiny.root).parent
    text = text_of(site / "tiny/five/good/index.html")
    assert "made by a run of 2020-01-01T00:00:00+00:00 with evaluator 0.0.9" in text
    assert "c" * 64 in text
    assert "made by a run" not in text_of(site / "tiny/five/same/index.html")
