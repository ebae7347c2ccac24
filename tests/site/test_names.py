"""Names of files: safe everywhere, none twice, the same each time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.site.names import file_names


@given(st.sets(st.text(max_size=90), max_size=12))
def test_names_are_safe_and_differ_on_any_file_system(ids: set[str]) -> None:
    names = file_names(ids, taken=("input", "reference"))
    assert set(names) == ids
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,84}", name) for name in names.values())
    assert len({name.lower() for name in names.values()}) == len(ids)
    assert not {"input", "reference", "con", "nul", "aux"} & {name.lower() for name in names.values()}
    assert file_names(sorted(ids, reverse=True), taken=("input", "reference")) == names


@pytest.mark.parametrize("name", ["a-1", "Canon_0042", "7", "coffee-0", "x" * 60])
def test_a_plain_id_keeps_its_name(name: str) -> None:
    assert file_names([name, "other"])[name] == name


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a/b", "a\\b", ".", "..", "", "a b", "a.png", "ä", "图", "\u202eabc", "con", "LPT1", "x" * 61],
)
def test_any_other_id_gets_a_part_of_its_digest(name: str) -> None:
    found = file_names([name])[name]
    assert re.fullmatch("([A-Za-z0-9_-]+-)?[0-9a-f]{8}", found)
    assert found != name


def test_ids_that_differ_in_case_or_in_signs_only_are_told_apart() -> None:
    names = file_names(["Scene-1", "scene-1", "scene/1", "scene.1", "scene-2"])
    assert len({name.lower() for name in names.values()}) == 5
    assert names["scene-2"] == "scene-2"


def test_an_id_made_to_look_like_anothers_name_does_not_get_it() -> None:
    (made,) = file_names(["a/b"]).values()
    names = file_names(["a/b", made])
    assert names[made] == made
    assert names["a/b"] not in ("a/b", made)
