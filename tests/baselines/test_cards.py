"""Every baseline has a card, and what it expects is what the document's table says."""

from __future__ import annotations

import re

import pytest
from baseline_document import documented

from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder, code_folder

NETWORKS = [n for n in baseline_names() if baseline_manifest(n).kind == "network"]


def card(name: str) -> str:
    return (baselines_folder() / name / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", baseline_names())
def test_every_baseline_has_a_card_that_says_what_it_stands_for(name: str) -> None:
    text = card(name)
    assert text.startswith("# ")
    assert re.search(r"stands? for", text, re.IGNORECASE)
    manifest = baseline_manifest(name)
    assert manifest.method is not None
    assert manifest.description


@pytest.mark.parametrize("name", [n for n in baseline_names() if baseline_manifest(n).kind == "python"])
def test_what_a_card_expects_is_what_the_table_says(name: str) -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| \S+ \| (\d+\.\d+) ± ", card(name), re.MULTILINE)
    assert rows, "a card names expected scores with their tolerance"
    for task, score in rows:
        decimals = len(score.partition(".")[2])
        assert float(documented()[name][task]) == pytest.approx(float(score), abs=0.5 * 10**-decimals + 1e-9), task


@pytest.mark.parametrize("name", [n for n in NETWORKS if code_folder(n).name == n])
def test_the_card_of_a_networks_code_says_where_weights_are(name: str) -> None:
    text = card(name)
    ships = [n for n in NETWORKS if code_folder(n).name == name and baseline_manifest(n).has_weights]
    assert ("No trained weights ship" in " ".join(text.split())) == (not ships)
    for trained in ships:
        assert f"`{trained}`" in text
