"""Generated cases: made once, the same everywhere, mended when the cache is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import encode_png, pixels_digest
from evaluator.tasks.mini import GENERATORS
from evaluator.tasks.mini.made import Made
from evaluator.tasks.readers import GeneratedReader

Array = NDArray[np.uint8]


def cases() -> Iterator[tuple[str, Array, Array]]:
    for number in (1, 2, 10):
        clean = np.random.default_rng(number).integers(0, 200, (12, 10, 3), dtype=np.uint8)
        yield f"x-{number}", clean + np.uint8(number), clean


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that the generator "small" has run."""
    ran: list[str] = []

    def generate() -> Iterator[Made]:
        ran.append("small")
        yield from (Made(case, {"input": degraded}, clean) for case, degraded, clean in cases())

    monkeypatch.setitem(GENERATORS, "small", generate)
    return ran


@pytest.fixture
def manifest() -> dict[str, str]:
    degraded = {f"input/{case}": pixels_digest(array) for case, array, _ in cases()}
    return {**degraded, **{f"reference/{case}": pixels_digest(array) for case, _, array in cases()}}


@pytest.fixture
def reader(tmp_path: Path, runs: list[str], manifest: dict[str, str]) -> GeneratedReader:
    assert runs == []
    return GeneratedReader("small", tmp_path / "cache" / "small", manifest)


def test_cases_are_known_before_they_are_made(reader: GeneratedReader, runs: list[str]) -> None:
    assert reader.case_ids() == ["x-1", "x-2", "x-10"]
    assert reader.digest()
    assert runs == []


def test_cases_are_made_once_and_kept(reader: GeneratedReader, runs: list[str], manifest: dict[str, str]) -> None:
    for case, degraded, clean in cases():
        assert np.array_equal(reader.inputs(case)["input"].array, degraded)
        assert np.array_equal(reader.reference(case).array, clean)
    again = GeneratedReader("small", reader.folder, manifest)
    assert again.verify() == []
    assert runs == ["small"]
    assert list(reader.folder.parent.iterdir()) == [reader.folder], "nothing half-made is left behind"


@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "folder gone"])
def test_damaged_cache_is_mended(reader: GeneratedReader, runs: list[str], damage: str) -> None:
    before = reader.inputs("x-2")["input"].array.copy()
    file = reader.folder / "input" / "x-2.png"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        for path in [file] if damage == "gone" else list(reader.folder.glob("input/*.png")):
            path.unlink()
    assert np.array_equal(reader.inputs("x-2")["input"].array, before)
    assert reader.verify() == []
    assert runs == ["small", "small"]
    assert list(reader.folder.parent.iterdir()) == [reader.folder]


def test_other_picture_in_the_cache_is_refused(reader: GeneratedReader) -> None:
    pixels = reader.inputs("x-1")["input"].array.astype(np.uint8)
    pixels[0, 0, 0] ^= 1
    (reader.folder / "input" / "x-1.png").write_bytes(encode_png(pixels))
    with pytest.raises(EvaluatorError, match=r"not what was generated\. Remove the folder"):
        reader.inputs("x-1")["input"]
    (finding,) = reader.verify()
    assert finding.code == "data-digest"


@pytest.mark.parametrize("change", ["other digest", "one more", "one less"])
def test_set_that_is_not_the_published_one_is_refused(
    tmp_path: Path, runs: list[str], manifest: dict[str, str], change: str
) -> None:
    wanted = dict(manifest)
    if change == "other digest":
        wanted["input/x-2"] = "0" * 64
    elif change == "one more":
        wanted["input/x-3"] = "0" * 64
    else:
        del wanted["input/x-10"]
    reader = GeneratedReader("small", tmp_path / "cache" / "small", wanted)
    with pytest.raises(EvaluatorError, match=r"not the published mini split: 1 of \d images differ, first input/x-"):
        reader.inputs("x-1")["input"]
    assert [f.code for f in reader.verify()] == ["data-digest"]
    assert not reader.folder.exists(), "what is refused is not kept"
    assert list(reader.folder.parent.iterdir()) == []
    assert runs
