"""A data set is whole and the published one, or it is said what is not."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import encode_png
from evaluator.tasks.readers import BlocksReader, FilesReader, natural_key
from evaluator.tasks.spec import BlocksSplit
from support import Tiny

IN_ORDER = ["a-1", "a-2", "b-1", "b-9", "b-10"]


def findings_of(reader: Any) -> list[Finding]:
    """Return what opening the set raises; verify() must say the same."""
    with pytest.raises(EvaluatorError) as caught:
        reader.case_ids()
    assert reader.verify() == list(caught.value.findings)
    return list(caught.value.findings)


def pinned(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("*/*.png"))
    return {f.relative_to(folder).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@given(st.lists(st.tuples(st.sampled_from(["a", "b-", "scene "]), st.integers(0, 10**6)), unique=True))
def test_numbers_in_names_sort_as_numbers(parts: list[tuple[str, int]]) -> None:
    names = [f"{word}{number}" for word, number in parts]
    assert sorted(names, key=natural_key) == [f"{word}{number}" for word, number in sorted(parts)]


@given(st.lists(st.text("a9-. 10", max_size=6)))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


@pytest.mark.parametrize(
    "names", [["²", "2²", "10²"], ["٢", "10"], ["x2½", "x10½"]], ids=["superscripts", "arabic", "fractions"]
)
def test_digits_of_all_scripts_can_be_sorted(names: list[str]) -> None:
    # Some characters count as digits and yet are no number to int().
    assert sorted(reversed(names), key=natural_key) == names


def test_pairs_are_matched_by_name_in_natural_order(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    reader = FilesReader(pairs_spec(size=[24, 20]), folder, pinned(folder))
    assert reader.case_ids() == IN_ORDER
    for case in IN_ORDER:
        assert np.array_equal(reader.inputs(case)["input"].array, tiny.inputs[case])
        assert np.array_equal(reader.reference(case).array, tiny.references[case])
    assert reader.verify() == []


@pytest.mark.parametrize(("gone", "partner"), [("in", "ref"), ("ref", "in")])
def test_missing_partner_is_named(tiny: Tiny, pairs_spec: Any, gone: str, partner: str) -> None:
    (tiny.root / "tiny" / gone / "b-9.png").unlink()
    (finding,) = findings_of(FilesReader(pairs_spec(), tiny.root / "tiny", None))
    assert (finding.code, finding.file) == ("data-missing", f"{gone}/b-9.png")
    assert f"{partner}/b-9.png" in finding.expected


def test_every_missing_partner_is_named_at_once(tiny: Tiny, pairs_spec: Any) -> None:
    for file in ("in/a-1.png", "ref/b-1.png", "ref/b-10.png"):
        (tiny.root / "tiny" / file).unlink()
    found = findings_of(FilesReader(pairs_spec(), tiny.root / "tiny", None))
    assert {f.file for f in found} == {"in/a-1.png", "ref/b-1.png", "ref/b-10.png"}


def test_missing_pair_is_counted_and_named_from_the_manifest(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    manifest = pinned(folder)
    for role in ("in", "ref"):
        (folder / role / "b-9.png").unlink()
    for known, words in ((None, "4"), (manifest, "missing: in/b-9.png, ref/b-9.png")):
        (finding,) = findings_of(FilesReader(pairs_spec(), folder, known))
        assert (finding.code, finding.expected) == ("data-count", "5 pairs")
        assert finding.got.startswith("4")
        assert words in finding.got


def test_file_managers_leftovers_are_no_cases(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    for name in (".DS_Store", "._a-1.png", "Thumbs.db", "notes.txt"):
        (folder / "in" / name).write_bytes(b"junk")
    assert FilesReader(pairs_spec(), folder, None).case_ids() == IN_ORDER


@pytest.mark.parametrize("name", ["b\udcff-9", "b\n9"])
def test_names_that_cannot_be_printed_are_refused(tiny: Tiny, pairs_spec: Any, name: str) -> None:
    for role in ("in", "ref"):
        (tiny.root / "tiny" / role / "b-9.png").rename(tiny.root / "tiny" / role / f"{name}.png")
    found = findings_of(FilesReader(pairs_spec(), tiny.root / "tiny", None))
    assert {(f.code, f.file) for f in found} == {("data-name", repr(f"{role}/{name}.png")) for role in ("in", "ref")}


@pytest.mark.parametrize("role", ["in", "ref"])
def test_case_with_two_files_is_refused(tiny: Tiny, pairs_spec: Any, role: str) -> None:
    (tiny.root / "tiny" / role / "b-9.jpg").write_bytes(b"which of them?")
    spec = pairs_spec(inputs="in/*", references="ref/*")
    (finding,) = findings_of(FilesReader(spec, tiny.root / "tiny", None))
    assert (finding.code, finding.file, finding.got) == ("data-twice", f"{role}/b-9.png", f"also {role}/b-9.jpg")


def test_pair_that_the_manifest_lacks_is_refused(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    manifest = pinned(folder)
    for role in ("in", "ref"):
        (folder / role / "b-9.png").rename(folder / role / "b-8.png")
    reader = FilesReader(pairs_spec(), folder, manifest)
    found = [(f.code, f.file, f.expected) for f in reader.verify()]
    assert found == [("data-digest", f"{role}/b-8.png", "a file of the published set") for role in ("in", "ref")]
    with pytest.raises(EvaluatorError, match=r"b-8\.png is not the file that belongs"):
        reader.inputs("b-8")["input"]


def test_file_that_is_not_the_published_one_is_refused(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    manifest = pinned(folder)
    (folder / "ref" / "b-1.png").write_bytes(encode_png(tiny.inputs["b-1"]))
    reader = FilesReader(pairs_spec(), folder, manifest)
    with pytest.raises(EvaluatorError, match="is not the file that belongs") as caught:
        reader.reference("b-1")
    (finding,) = caught.value.findings
    assert (finding.code, finding.file) == ("data-digest", "ref/b-1.png")
    assert manifest["ref/b-1.png"] in finding.expected
    assert reader.verify() == [finding]
    assert np.array_equal(reader.inputs("b-1")["input"].array, tiny.inputs["b-1"]), "its partner is the published one"


def test_cut_file_is_found_without_a_manifest(tiny: Tiny, pairs_spec: Any) -> None:
    file = tiny.root / "tiny" / "in" / "a-2.png"
    file.write_bytes(file.read_bytes()[:-30])
    reader = FilesReader(pairs_spec(), tiny.root / "tiny", None)
    with pytest.raises(EvaluatorError, match=r"a-2\.png cannot be used"):
        reader.inputs("a-2")["input"]
    assert [(f.code, f.file) for f in reader.verify()] == [("data-unreadable", "in/a-2.png")]


def test_file_that_vanished_is_an_error_with_its_name(tiny: Tiny, pairs_spec: Any) -> None:
    reader = FilesReader(pairs_spec(), tiny.root / "tiny", None)
    reader.case_ids()
    (tiny.root / "tiny" / "in" / "a-2.png").unlink()
    with pytest.raises(EvaluatorError, match=r"a-2\.png cannot be read"):
        reader.inputs("a-2")["input"]


@pytest.mark.parametrize(("size", "codes"), [(None, []), ([24, 20], []), ([20, 24], ["data-size"] * 5)])
def test_size_of_every_case_is_verified(tiny: Tiny, pairs_spec: Any, size: Any, codes: list[str]) -> None:
    reader = FilesReader(pairs_spec(size=size), tiny.root / "tiny", None)
    assert [f.code for f in reader.verify()] == codes


def test_pair_of_two_sizes_is_found(tiny: Tiny, pairs_spec: Any) -> None:
    (tiny.root / "tiny" / "in" / "b-9.png").write_bytes(encode_png(tiny.inputs["b-9"][:-1]))
    (finding,) = FilesReader(pairs_spec(), tiny.root / "tiny", None).verify()
    assert (finding.code, finding.file) == ("data-size", "in/b-9.png")


def test_digest_of_pairs_is_that_of_their_files(tiny: Tiny, pairs_spec: Any) -> None:
    folder = tiny.root / "tiny"
    digest = FilesReader(pairs_spec(), folder, None).digest()
    assert digest == FilesReader(pairs_spec(), folder, pinned(folder)).digest()
    (folder / "in" / "a-1.png").write_bytes(encode_png(tiny.inputs["a-2"]))
    assert FilesReader(pairs_spec(), folder, None).digest() != digest


def blocks(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (2, 3, 8, 6, 3), dtype=np.uint8)


def put_blocks(folder: Path, **arrays: Any) -> None:
    for name in ("Noisy", "Clean"):
        savemat(folder / f"{name}.mat", {name: arrays.get(name, blocks(len(name)))}, do_compression=True)


def test_blocks_are_numbered_image_by_image(tmp_path: Path, blocks_spec: BlocksSplit) -> None:
    put_blocks(tmp_path, Noisy=blocks(1), Clean=blocks(2))
    reader = BlocksReader(blocks_spec, tmp_path, None)
    assert reader.case_ids() == ["0", "1", "2", "3", "4", "5"]
    for case in range(6):
        assert np.array_equal(reader.inputs(str(case))["input"].array, blocks(1)[case // 3, case % 3])
        assert np.array_equal(reader.reference(str(case)).array, blocks(2)[case // 3, case % 3])
    assert reader.inputs("0")["input"].peak == 255
    assert reader.verify() == []


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (blocks(1).astype(np.float64), "data-unreadable"),
        (blocks(1).astype(np.uint16), "data-unreadable"),
        (blocks(1)[0], "data-unreadable"),
        (blocks(1)[..., :2], "data-unreadable"),
        ("text", "data-unreadable"),
        ({"Clean": 1}, "data-unreadable"),
        (blocks(1)[:1], "data-count"),
        (blocks(1)[:, :2], "data-count"),
        (blocks(1)[:, :, :4], "data-count"),
    ],
    ids=["double", "16 bit", "four axes", "two channels", "text", "struct", "few images", "few blocks", "smaller"],
)
@pytest.mark.parametrize("name", ["Noisy", "Clean"])
def test_array_of_another_kind_is_refused(
    tmp_path: Path, blocks_spec: BlocksSplit, name: str, array: Any, code: str
) -> None:
    put_blocks(tmp_path, **{name: array})
    (finding,) = findings_of(BlocksReader(blocks_spec, tmp_path, None))
    assert finding.code == code
    # Of two arrays that differ in block size alone, the references are taken as right.
    assert finding.file in ({f"{name}.mat"} if code == "data-unreadable" else {"Noisy.mat", "Clean.mat"})


def test_file_without_the_variable_is_refused(tmp_path: Path, blocks_spec: BlocksSplit) -> None:
    put_blocks(tmp_path)
    savemat(tmp_path / "Clean.mat", {"Other": blocks(1)})
    (finding,) = findings_of(BlocksReader(blocks_spec, tmp_path, None))
    assert (finding.code, finding.file, finding.got) == ("data-unreadable", "Clean.mat", "no such array")
    assert "an array Clean of shape" in finding.expected


@pytest.mark.parametrize("name", ["Noisy.mat", "Clean.mat"])
@pytest.mark.parametrize("length", [0, 50, 128, -300])
def test_mat_file_that_is_cut_is_refused(tmp_path: Path, blocks_spec: BlocksSplit, length: int, name: str) -> None:
    put_blocks(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:length])
    (finding,) = findings_of(BlocksReader(blocks_spec, tmp_path, None))
    assert (finding.code, finding.file) == ("data-unreadable", name)


def test_file_that_is_no_mat_file_is_refused(tmp_path: Path, blocks_spec: BlocksSplit) -> None:
    put_blocks(tmp_path)
    (tmp_path / "Noisy.mat").write_bytes(b"not a mat file" * 20)
    (finding,) = findings_of(BlocksReader(blocks_spec, tmp_path, None))
    assert (finding.code, finding.file) == ("data-unreadable", "Noisy.mat")


@pytest.mark.parametrize("name", ["Noisy.mat", "Clean.mat"])
def test_mat_file_that_is_missing_is_named(tmp_path: Path, blocks_spec: BlocksSplit, name: str) -> None:
    put_blocks(tmp_path)
    (tmp_path / name).unlink()
    reader = BlocksReader(blocks_spec, tmp_path, None)
    with pytest.raises(EvaluatorError, match=f"{name} cannot be read"):
        reader.case_ids()
    assert [(f.code, f.file) for f in reader.verify()] == [("data-missing", name)]


def test_blocks_that_changed_on_disk_are_read_again(tmp_path: Path, blocks_spec: BlocksSplit) -> None:
    put_blocks(tmp_path, Noisy=blocks(1))
    before = BlocksReader(blocks_spec, tmp_path, None).inputs("0")["input"].array.copy()
    put_blocks(tmp_path, Noisy=blocks(9))
    os.utime(tmp_path / "Noisy.mat", ns=(1, 1))  # whatever the clock's resolution
    assert not np.array_equal(BlocksReader(blocks_spec, tmp_path, None).inputs("0")["input"].array, before)


def test_blocks_are_compared_with_their_manifest(tmp_path: Path, blocks_spec: BlocksSplit) -> None:
    put_blocks(tmp_path)
    manifest = {n: hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in ("Noisy.mat", "Clean.mat")}
    digest = BlocksReader(blocks_spec, tmp_path, manifest).digest()
    assert digest == BlocksReader(blocks_spec, tmp_path, None).digest()
    savemat(tmp_path / "Clean.mat", {"Clean": blocks(7)})
    assert [f.code for f in BlocksReader(blocks_spec, tmp_path, manifest).verify()] == ["data-digest"]
    assert BlocksReader(blocks_spec, tmp_path, None).digest() != digest


def test_wildcards_make_the_id_and_pair_files_whatever_surrounds_them(tmp_path: Path, pairs_spec: Any) -> None:
    for name in ("s1/blur/01.png", "s1/sharp/01.png", "s2/blur/01.png", "s2/sharp/01.png", "s2/blur/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode_png(np.zeros((4, 5, 3), np.uint8)))
    spec = pairs_spec(count=2, inputs="*/blur/*.png", references="*/sharp/*.png")
    assert FilesReader(spec, tmp_path, None).case_ids() == ["s1/01", "s2/01"]
    some = spec.model_copy(update={"inputs": ("{s2,s3}/blur/*.png",), "references": None, "count": 1})
    assert FilesReader(some, tmp_path, None).case_ids() == ["s2/01"]
    assert FilesReader(some, tmp_path, None).reference("s2/01") is None


def test_roles_masks_and_groups(tmp_path: Path, pairs_spec: Any) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    for role, array in (("l", image), ("r", image + 2), ("m", np.full((4, 5), 255, np.uint8))):
        for case in ("1", "2"):
            (tmp_path / role).mkdir(exist_ok=True)
            (tmp_path / role / f"{case}.png").write_bytes(encode_png(array))
    (tmp_path / "indoor.txt").write_text("2\n")
    roles = {"inputs": {"left": "l/*.png", "right": "r/*.png"}, "masks": "m/*.png", "groups": {"indoor": "indoor.txt"}}
    reader = FilesReader(pairs_spec(count=2, references=None, **roles), tmp_path, None)
    assert list(reader.inputs("1")) == ["left", "right"]
    mask = reader.mask("1")
    assert mask is not None
    assert mask.all()
    assert (reader.group("1"), reader.group("2")) == ("", "indoor")
    (tmp_path / "indoor.txt").write_text("3")
    broken = FilesReader(pairs_spec(count=2, references=None, **roles), tmp_path, None)
    assert [f.code for f in broken.verify()] == ["data-groups"]
