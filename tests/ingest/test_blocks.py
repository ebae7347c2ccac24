"""SIDD's one-file submissions: each block reaches its own case, bit for bit; a file that is not whole is refused."""

from __future__ import annotations

import base64
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Severity
from evaluator.images import decode
from evaluator.ingest import Submission, open_submission
from evaluator.ingest.sources import TooLarge, open_source
from support import put_mat73, save_mat73

IMAGES = 2
CASES = [str(n) for n in range(32 * IMAGES)]
Blocks = NDArray[Any]
Write = Callable[[Path, Blocks], Path]


@pytest.fixture(scope="module")
def blocks() -> NDArray[np.uint8]:
    """(2, 32, 256, 256, 3): every block, row, column and channel different, so that no order can be mistaken."""
    image, block, row, column, channel = np.ogrid[0:IMAGES, 0:32, 0:256, 0:256, 0:3]
    return ((image * 97 + block * 7 + row * 3 + column * 5 + channel * 61 + (row * column) // 64) % 256).astype(
        np.uint8
    )


def cell_of(blocks: Blocks) -> NDArray[np.object_]:
    cell = np.empty(blocks.shape[:2], object)
    for at in np.ndindex(*cell.shape):
        cell[at] = blocks[at]
    return cell


def write_cell(path: Path, blocks: Blocks, **more: Any) -> Path:
    scipy.io.savemat(path, {"DenoisedBlocksSrgb": cell_of(blocks), **more})
    return path


def write_packed_cell(path: Path, blocks: Blocks) -> Path:
    scipy.io.savemat(path, {"DenoisedBlocksSrgb": cell_of(blocks)}, do_compression=True)
    return path


def write_array(path: Path, blocks: Blocks) -> Path:
    scipy.io.savemat(path, {"DenoisedBlocksSrgb": blocks})
    return path


def write_packed_array(path: Path, blocks: Blocks) -> Path:
    scipy.io.savemat(path, {"Idenoised": blocks}, do_compression=True)
    return path


def kind_of(blocks: Blocks) -> str:
    return {"float32": "single", "float64": "double"}.get(blocks.dtype.name, blocks.dtype.name)


def write_array73(path: Path, blocks: Blocks) -> Path:
    return save_mat73(path, lambda f: put_mat73(f, "DenoisedBlocksSrgb", blocks, kind_of(blocks), compression=1))


def write_cell73(path: Path, blocks: Blocks) -> Path:
    def build(file: Any) -> None:
        hidden = file.create_group("#refs#")
        references = np.empty(blocks.shape[:2], h5py.ref_dtype)
        for i, j in np.ndindex(*blocks.shape[:2]):
            references[i, j] = put_mat73(hidden, f"{i}-{j}", blocks[i, j], kind_of(blocks)).ref
        put_mat73(file, "DenoisedBlocksSrgb", references, "cell", dtype=h5py.ref_dtype)

    return save_mat73(path, build)


def csv_rows(blocks: Blocks) -> list[str]:
    flat = blocks.reshape(-1, *blocks.shape[2:])
    return [f"{n},{base64.b64encode(np.ascontiguousarray(b).tobytes()).decode()}" for n, b in enumerate(flat)]


def write_csv(path: Path, blocks: Blocks) -> Path:
    path.write_text("\n".join(["ID,BLOCK", *csv_rows(blocks), ""]))
    return path


WRITERS: dict[Write, str] = {
    write_cell: ".mat",
    write_packed_cell: ".mat",
    write_array: ".mat",
    write_packed_array: ".mat",
    write_array73: ".mat",
    write_cell73: ".mat",
    write_csv: ".csv",
}


def opened(path: Path) -> Submission:
    return open_submission(path, CASES)


def assert_holds(submission: Submission, blocks: Blocks) -> None:
    assert (submission.rejected, dict(submission.blocked)) == ("", {})
    flat = blocks.reshape(-1, *blocks.shape[2:])
    for case in CASES:
        data = submission.source.read(submission.files[case], 10**7)
        pixels = decode(data)
        assert pixels.array.dtype == blocks.dtype
        assert np.array_equal(pixels.array, flat[int(case)]), case


def refusal(path: Path) -> tuple[str, str]:
    """Return the first error's code and what was got."""
    with pytest.raises(EvaluatorError) as caught:
        opened(path)
    first = next(f for f in caught.value.findings if f.severity is Severity.ERROR)
    assert first.line().isprintable()
    return first.code, first.got


@pytest.mark.parametrize("write", WRITERS, ids=lambda w: w.__name__)
def test_each_block_reaches_its_case(tmp_path: Path, blocks: Blocks, write: Write) -> None:
    submission = opened(write(tmp_path / f"SubmitSrgb{WRITERS[write]}", blocks))
    assert (submission.findings, submission.id) == ((), "submitsrgb")
    assert_holds(submission, blocks)


@pytest.mark.parametrize(("write", "dtype"), [(write_array, "f4"), (write_cell, "f8"), (write_cell73, "f4")])
def test_values_from_0_to_1_are_kept_as_they_are(tmp_path: Path, blocks: Blocks, write: Write, dtype: str) -> None:
    floats = (blocks / 255).astype(dtype)
    assert_holds(opened(write(tmp_path / "SubmitSrgb.mat", floats)), floats)


def test_file_lies_in_a_folder_or_archive_too(tmp_path: Path, blocks: Blocks) -> None:
    root = tmp_path / "team"
    root.mkdir()
    path = write_packed_cell(root / "SubmitSrgb.mat", blocks)
    (root / "submission.toml").write_text('id = "ours"')
    with zipfile.ZipFile(tmp_path / "team.zip", "w") as packed:
        for file in root.iterdir():
            packed.write(file, f"wrapped/{file.name}")
    with tarfile.open(tmp_path / "team.tar.gz", "w:gz") as out:
        out.add(root, ".")
    for place, notes in ((root, []), (tmp_path / "team.zip", ["wrapping-folder"]), (tmp_path / "team.tar.gz", [])):
        submission = opened(place)
        assert submission.id == "ours"
        assert [f.code for f in submission.findings] == notes
        assert_holds(submission, blocks)
    assert path.is_file()


def test_source_travels_to_other_processes(tmp_path: Path, blocks: Blocks) -> None:
    source = opened(write_csv(tmp_path / "SubmitSrgb.csv", blocks)).source
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    read = np.load(io.BytesIO(copy.read("33.npy", 10**6)))
    assert np.array_equal(read, blocks[1, 1])
    with pytest.raises(TooLarge):
        copy.read("33.npy", 1000)
    for name in ("64.npy", "033.npy", "33.png", "x/33.npy"):
        with pytest.raises(OSError, match="No such file"):
            copy.read(name, 10**6)


def test_other_variables_are_named_and_left_alone(tmp_path: Path, blocks: Blocks) -> None:
    more = {"OptionalData": {"MethodName": "Ours", "Authors": "Us"}, "TimeMPSrgb": 1.5}
    submission = opened(write_cell(tmp_path / "SubmitSrgb.mat", blocks, **more))
    (note,) = submission.findings
    assert (note.code, note.severity, note.got) == ("extra-variables", Severity.NOTE, "OptionalData, TimeMPSrgb")
    assert_holds(submission, blocks)


def test_two_files_of_all_blocks_are_refused(tmp_path: Path, blocks: Blocks) -> None:
    root = tmp_path / "team"
    root.mkdir()
    write_cell(root / "SubmitSrgb.mat", blocks)
    write_csv(root / "SubmitSrgb.csv", blocks)
    assert refusal(root)[0] == "blocks"


def test_image_beside_the_file_is_a_second_output_for_its_case(tmp_path: Path, blocks: Blocks, png: bytes) -> None:
    root = tmp_path / "team"
    root.mkdir()
    write_packed_cell(root / "SubmitSrgb.mat", blocks)
    (root / "5.png").write_bytes(png)
    assert opened(root).blocked["5"].code == "duplicate-output"


def test_file_is_only_for_splits_of_blocks(tmp_path: Path, blocks: Blocks) -> None:
    path = write_packed_cell(tmp_path / "SubmitSrgb.mat", blocks)
    for cases in (["a", "b"], CASES[:-1], CASES[::-1], []):
        with pytest.raises(EvaluatorError) as caught:
            open_source(path, cases)
        assert [f.code for f in caught.value.findings] == ["kind"]


@pytest.mark.parametrize(
    ("change", "in_array", "in_cell"),
    [
        (lambda b: b[:1], "(1, 32, 256, 256, 3)", "(1, 32) cell"),
        (lambda b: np.concatenate([b, b[:1]]), "(3, 32, 256, 256, 3)", "(3, 32) cell"),
        (lambda b: np.swapaxes(b, 0, 1), "(32, 2, 256, 256, 3)", "(32, 2) cell"),
        (lambda b: b[:, :, :128], "(2, 32, 128, 256, 3)", "(128, 256, 3) uint8 in DenoisedBlocksSrgb{1,1}"),
        (
            lambda b: b.transpose(0, 1, 4, 2, 3),
            "(2, 32, 3, 256, 256)",
            "(3, 256, 256) uint8 in DenoisedBlocksSrgb{1,1}",
        ),
        (lambda b: b[..., 0], "(2, 32, 256, 256)", "(256, 256) uint8 in DenoisedBlocksSrgb{1,1}"),
        (lambda b: b.astype("i2"), "int16", "int16"),
        (lambda b: b > 100, "logical", "logical in DenoisedBlocksSrgb{1,1}"),
    ],
    ids=["too few", "too many", "turned", "half", "channels first", "gray", "int16", "logical"],
)
def test_blocks_of_another_number_shape_or_type_are_refused(
    tmp_path: Path, blocks: Blocks, change: Callable[[Blocks], Blocks], in_array: str, in_cell: str
) -> None:
    for write, wanted in ((write_array, in_array), (write_packed_cell, in_cell)):
        code, got = refusal(write(tmp_path / f"{write.__name__}.mat", change(blocks)))
        assert code in ("blocks", "pixel-type", "array-shape")
        assert wanted in got


def test_mat_without_the_variable_or_with_both_is_refused(tmp_path: Path, blocks: Blocks) -> None:
    path = tmp_path / "SubmitSrgb.mat"
    scipy.io.savemat(path, {"blocks": blocks[:, :, :1]})
    assert refusal(path) == ("blocks", "blocks")
    scipy.io.savemat(path, {"DenoisedBlocksSrgb": 1, "Idenoised": 2})
    assert refusal(path)[0] == "blocks"
    path.write_bytes(b"\x80\x04pickle")
    assert refusal(path)[0] == "unreadable"


def test_cell_that_refers_elsewhere_is_refused(tmp_path: Path, blocks: Blocks) -> None:
    secret = tmp_path / "reference.bin"
    secret.write_bytes(blocks[0, 0].tobytes())

    def build(file: Any) -> None:
        hidden = file.create_group("#refs#")
        stolen = hidden.create_dataset("a", (3, 256, 256), "u1", external=[(str(secret), 0, secret.stat().st_size)])
        stolen.attrs["MATLAB_class"] = np.bytes_("uint8")
        references = np.full((IMAGES, 32), stolen.ref, h5py.ref_dtype)
        put_mat73(file, "DenoisedBlocksSrgb", references, "cell", dtype=h5py.ref_dtype)

    path = save_mat73(tmp_path / "SubmitSrgb.mat", build)
    code, got = refusal(path)
    assert code == "hdf5"
    assert "another file" in got


def test_element_that_claims_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    def build(file: Any) -> None:
        vast = file.create_dataset("#a#", (3, 60_000, 60_000), "f8", chunks=(1, 100, 100), compression=1)
        vast.attrs["MATLAB_class"] = np.bytes_("double")
        references = np.full((IMAGES, 32), vast.ref, h5py.ref_dtype)
        put_mat73(file, "DenoisedBlocksSrgb", references, "cell", dtype=h5py.ref_dtype)

    code, got = refusal(save_mat73(tmp_path / "SubmitSrgb.mat", build))
    assert (code, got) == ("array-shape", "(60000, 60000, 3) double in DenoisedBlocksSrgb{1,1}")


def edit(rows: list[str], at: int, row: str | None) -> list[str]:
    return [*rows[:at], *([row] if row is not None else []), *rows[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda rows: edit(rows, 5, None), "no block for ID 5"),
        (lambda rows: edit(rows, 5, rows[4]), "ID 4 again"),
        (lambda rows: [*rows, rows[0].replace("0,", "64,", 1)], "the ID '64'"),
        (lambda rows: edit(rows, 5, "-" + rows[5]), "the ID '-5'"),
        (lambda rows: edit(rows, 5, "\u0665" + rows[5][1:]), "the ID"),
        (lambda rows: edit(rows, 5, rows[5][:-4]), "262140 characters for ID 5"),
        (lambda rows: edit(rows, 5, rows[5] + rows[6]), "goes on"),
        (lambda rows: edit(rows, 5, rows[5][:-1] + "!"), "line 7: ID 5"),
        (lambda rows: edit(rows, 5, "5,"), "0 characters for ID 5"),
        (lambda rows: [f"x{r}" for r in rows], "and 59 more"),
        (lambda rows: [], "no block for ID 0, 1, 2, 3, 4 and 59 more"),
    ],
)
def test_csv_that_is_not_whole_is_refused(tmp_path: Path, blocks: Blocks, change: Any, got: str) -> None:
    path = tmp_path / "SubmitSrgb.csv"
    path.write_text("\n".join(["ID,BLOCK", *change(csv_rows(blocks))]), encoding="utf-8")
    code, found = refusal(path)
    assert code == "blocks"
    assert got in found


def test_csv_with_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "SubmitSrgb.csv"
    for head in (b"", b"id;block\n", b"\x00\xff\x1b[31m\n"):
        path.write_bytes(head)
        assert refusal(path)[0] == "blocks"


def test_csv_in_any_order_and_with_other_ends_of_lines_is_the_same(tmp_path: Path, blocks: Blocks) -> None:
    path = tmp_path / "SubmitSrgb.csv"
    text = "\r\n".join(['"ID","BLOCK"', *reversed(csv_rows(blocks)), ""])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert_holds(opened(path), blocks)


def test_far_too_large_file_in_an_archive_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.ingest.sources.blocks._FILE_FREE", 0)
    monkeypatch.setattr("evaluator.ingest.sources.blocks._FILE_LIMIT", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("SubmitSrgb.csv", b"x" * 70_000)
    code, got = refusal(tmp_path / "x.zip")
    assert (code, "far more bytes" in got) == ("blocks", True)
