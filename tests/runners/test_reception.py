"""Where submissions are received: copies that only workers read, and what must stay out of their sight."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels, encode_png
from evaluator.ingest import Expected, FolderSource, open_submission
from evaluator.runners import ModelRunner, Reception, RunFailed, WorkerSource, read_output
from evaluator.tasks import Limits, Protocol

BLOCKS = [str(n) for n in range(32)]
LEVELS = ("A", "B", "C", "limits", "none")
PNG = encode_png(np.arange(216, dtype=np.uint8).reshape(8, 9, 3))
EXPECTED = Expected.of(8, 9, Protocol())


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A zip archive of one output, which its owner alone may read."""
    path = tmp_path / "team.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.png", PNG)
    path.chmod(0o600)
    return path


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    """A folder for temporary files that its owner alone may enter, under a umask that closes all that is new."""
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o700)
    return folder


def copies(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", LEVELS)
def test_an_archive_of_its_owner_alone_is_read_from_a_copy(
    team: Path, shut: Path, level: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    level(name)
    monkeypatch.setattr("tempfile.tempdir", str(shut))
    before = os.umask(0o077)
    try:
        with Reception(Limits()) as reception:
            source, workers = reception.files(team, ["a"])
            assert isinstance(source, WorkerSource)
            assert [p.name for p in copies(shut)] == ["team.zip"]
            team.write_bytes(b"changed while it is looked at")
            assert read_output(source, "a.png", EXPECTED, workers).pixels is not None
        assert copies(shut) == [], "a copy was left"
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", LEVELS)
def test_a_model_of_its_owner_alone_is_run_from_a_copy(
    put_model: Callable[..., Path], shut: Path, level: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    level(name)
    monkeypatch.setattr("tempfile.tempdir", str(shut))
    before = os.umask(0o077)
    try:
        code = "from deep.inner.helper import ONE\n\n\ndef restore(image):\n    return image * 0 + ONE\n"
        folder = put_model(code, {"deep/inner/helper.py": "ONE = 1\n"})
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        with Reception(Limits()) as reception:
            submission = open_submission(folder, ["a"])
            place, workers = reception.model(submission)
            assert place.is_relative_to(shut)
            runner = ModelRunner.of(submission, place, workers)
            shutil.rmtree(folder)
            assert runner.run({"input": Pixels(np.zeros((8, 9, 3), np.uint8), 255.0)}, limit=10**6).output.max() == 1
        assert copies(shut) == []
    finally:
        os.umask(before)


def test_a_plain_folder_is_not_copied_but_read_here(team: Path, shut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(shut))
    with Reception(Limits()) as reception:
        source, workers = reception.files(team.parent, ["a"])
        assert isinstance(source, FolderSource)
        (team.parent / "a.png").write_bytes(PNG)
        (team.parent / "a.png").chmod(0o600)
        reading = read_output(source, "a.png", EXPECTED, workers)
        assert reading.pixels is not None
        assert copies(shut) == []


@pytest.mark.parametrize("how", ["folder", "file", "zip", "tar.gz"])
def test_files_of_all_blocks_are_taken_apart_by_the_worker(tmp_path: Path, how: str) -> None:
    blocks = np.random.default_rng(2).integers(0, 256, (1, 32, 256, 256, 3), dtype=np.uint8)
    folder = tmp_path / "team"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "SubmitSrgb.mat"
    scipy.io.savemat(file, {"DenoisedBlocksSrgb": blocks})
    path = {"folder": folder, "file": file}.get(how, tmp_path / f"team.{how}")
    if how == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.write(file, "SubmitSrgb.mat")
    elif how == "tar.gz":
        with tarfile.open(path, "w:gz") as tar:
            tar.add(file, "SubmitSrgb.mat")
    with Reception(Limits()) as reception:
        source, workers = reception.files(path, BLOCKS)
        assert isinstance(source, WorkerSource)
        names, findings = source.scan()
        assert (len(names), findings) == (32, [])
        name = next(n for n in names if n.endswith("17.npy"))
        reading = read_output(source, name, Expected.of(256, 256, Protocol()), workers)
        assert reading.pixels is not None
        assert np.array_equal(reading.pixels.array, blocks[0, 17])


def test_without_blocks_among_the_cases_such_a_file_is_one_of_many(tmp_path: Path) -> None:
    (tmp_path / "SubmitSrgb.mat").write_bytes(b"x")
    with Reception(Limits()) as reception:
        assert isinstance(reception.files(tmp_path, ["a"])[0], FolderSource)


def test_data_and_results_are_out_of_sight(put_model: Callable[..., Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "reference.png").write_bytes(PNG)
    code = f"import pathlib\n\n\ndef restore(image):\n    pathlib.Path({str(data)!r}, 'reference.png').read_bytes()\n"
    with Reception(Limits(), hidden=[data, tmp_path / "not made yet"]) as reception:
        submission = open_submission(put_model(code), ["a"])
        runner = ModelRunner.of(submission, *reception.model(submission))
        with pytest.raises(RunFailed) as failed:
            runner.run({"input": Pixels(np.zeros((8, 9, 3), np.uint8), 255.0)}, limit=10**6)
    assert any(word in failed.value.finding.got for word in ("FileNotFoundError", "PermissionError"))


def test_nothing_is_run_that_would_show_what_is_hidden(
    put_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put_model("def restore(image):\n    return image\n", {"data/reference.png": "x"}, name="own/one")
    monkeypatch.setattr("evaluator.ingest.baselines.baselines_folder", lambda: folder.parent)
    with Reception(Limits(), hidden=[folder / "data"]) as reception:
        submission = open_submission(folder, ["a"])
        assert submission.is_baseline  # its own folder is mounted, not a copy
        runner = ModelRunner.of(submission, *reception.model(submission))
        with pytest.raises(EvaluatorError, match="must stay hidden"):
            runner.load()


@pytest.mark.parametrize("kind", ["missing", "fifo"])
def test_what_is_neither_a_folder_nor_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "team.zip"
    if kind == "fifo":
        os.mkfifo(path)
    with Reception(Limits()) as reception, pytest.raises(EvaluatorError) as refused:
        reception.files(path, ["a"])
    assert [f.code for f in refused.value.findings] == ["kind"]


def test_the_name_of_a_baseline_is_no_path() -> None:
    with Reception(Limits()) as reception, pytest.raises(EvaluatorError) as refused:
        reception.files(Path("nlm"), ["a"])
    assert "`evaluate baseline run nlm --task TASK`" in refused.value.findings[0].fix


def test_the_file_of_a_model_alone(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"x")
    with Reception(Limits()) as reception, pytest.raises(EvaluatorError) as refused:
        reception.files(tmp_path / "net.onnx", ["a"])
    (finding,) = refused.value.findings
    assert (finding.code, finding.got) == ("kind", "a file .onnx")
    assert "`evaluate init --kind model FOLDER`" in finding.fix


def test_an_archive_that_cannot_be_opened_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "torn.zip").write_bytes(b"PK")
    with Reception(Limits()) as reception, pytest.raises(EvaluatorError) as refused:
        reception.files(tmp_path / "torn.zip", ["a"])[0].scan()
    assert str(refused.value) == f"{tmp_path / 'torn.zip'} cannot be opened."


def test_an_archive_for_whose_copy_there_is_no_room(team: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with Reception(Limits()) as reception, pytest.raises(EvaluatorError) as refused:
        reception.files(team, ["a"])
    assert [(f.code, f.got) for f in refused.value.findings] == [("unreadable", os.strerror(errno.ENOSPC))]


def test_closing_ends_all_workers(team: Path, processes: Callable[[], int]) -> None:
    before = processes()
    reception = Reception(Limits())
    for _ in range(2):
        source, _workers = reception.files(team, ["a"])
        source.scan()
    assert processes() > before
    reception.close()
    assert processes() == before
