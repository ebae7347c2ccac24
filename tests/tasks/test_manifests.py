"""Manifests pin data sets: read strictly, written in one way only."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.findings import EvaluatorError
from evaluator.tasks import load_task
from evaluator.tasks.manifests import format_manifest, manifest_digest, parse_manifest

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
PATHS = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=9).map(lambda s: f"in/{s}.png")
ENTRIES = st.dictionaries(PATHS, DIGESTS, max_size=6)
ONE = "a" * 64


@given(ENTRIES)
def test_what_is_written_reads_back(entries: dict[str, str]) -> None:
    assert parse_manifest(format_manifest(entries), "m") == entries


@given(ENTRIES, st.randoms())
def test_digest_is_independent_of_order(entries: dict[str, str], random: Random) -> None:
    items = list(entries.items())
    random.shuffle(items)
    assert manifest_digest(dict(items)) == manifest_digest(entries)


def test_digest_changes_with_path_and_content() -> None:
    entries = [{"a": ONE}, {"b": ONE}, {"a": "b" * 64}, {"a": ONE, "b": ONE}, {}]
    assert len({manifest_digest(e) for e in entries}) == len(entries)


def test_output_of_sha256sum_is_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"A")
    (tmp_path / "b c.png").write_bytes(b"B")
    printed = subprocess.run(
        ["sha256sum", "a.png", "b c.png"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    expected = {"a.png": hashlib.sha256(b"A").hexdigest(), "b c.png": hashlib.sha256(b"B").hexdigest()}
    assert parse_manifest(printed, "m") == expected
    assert format_manifest(expected) == printed


@pytest.mark.parametrize(
    "line",
    [
        "",
        "abc  a.png",
        ONE,
        f"{ONE} a.png",
        f"{ONE}  ",
        f"{ONE}0  a.png",
        f"a.png  {ONE}",
        f"{ONE}  first",
        f"{'z' * 64}  a.png",
        f"{'A' * 64}  a.png",
    ],
)
def test_other_lines_are_refused_by_number(line: str) -> None:
    with pytest.raises(EvaluatorError, match=r"some\.sha256, line 2:"):
        parse_manifest(f"{ONE}  first\n{line}\n", "some.sha256")


@pytest.mark.parametrize(
    ("task", "split", "entries", "digest"),
    [
        ("sidd", "mini", 32, "326261011975443ced7b2e5ced50c87befd2e9a0b6cf0d51745bd8a1abd7c8c1"),
        ("dped", "pirm2018", 800, "97a7bad127a8fb748755be41e85495617b2a9df36b13d2a9610503332da243ca"),
    ],
)
def test_shipped_manifests_are_pinned(task: str, split: str, entries: int, digest: str) -> None:
    # Published scores name these digests: another one means that scores cannot be compared any more.
    manifest = load_task(task).manifest(load_task(task).split_spec(split))
    assert manifest is not None
    assert (len(manifest), manifest_digest(manifest)) == (entries, digest)
