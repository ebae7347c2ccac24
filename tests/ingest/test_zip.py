"""Zip archives that mean two things at once, or far more than they weigh, are refused before they are read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.findings import EvaluatorError, Severity
from evaluator.ingest import ZipSource, open_submission
from evaluator.ingest.sources import open_source


def findings(path: Path, budget: int | None = None) -> list[tuple[str, str]]:
    _, found = ZipSource(path, budget).scan()
    assert all(f.severity is Severity.ERROR and f.line().isprintable() for f in found)
    return [(f.code, f.file) for f in found]


def overlapping(path: Path, count: int, kernel: bytes) -> Path:
    """Write an archive whose members are all the same bytes, as zip bombs are built (CVE-2024-0450)."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = stream.compress(kernel) + stream.flush()
    sizes = struct.pack("<III", zlib.crc32(kernel), len(packed), len(kernel))
    local = b"PK\x03\x04" + struct.pack("<5H", 20, 0, 8, 0, 33) + sizes + struct.pack("<2H", 5, 0) + b"0.png" + packed
    directory = b""
    for number in range(count):
        name = f"{number}.png".encode()
        head = struct.pack("<6H", 20, 20, 0, 8, 0, 33) + sizes + struct.pack("<5HII", len(name), 0, 0, 0, 0, 0, 0)
        directory += b"PK\x01\x02" + head + name
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, count, count, len(directory), len(local), 0)
    path.write_bytes(local + directory + end)
    return path


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = overlapping(tmp_path / "x.zip", 9, bytes(range(256)) * 40)
    with zipfile.ZipFile(path) as plain:
        assert len(plain.read("0.png")) == 256 * 40, "a plain reader takes the first"
    found = findings(path)
    assert {code for code, _ in found} == {"archive"}
    assert len(found) == 9


def test_members_inside_of_another_are_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as out:
        out.writestr("b.png", b"B" * 50)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("a.png", inner.getvalue()[:-22])
        info = zipfile.ZipInfo("b.png")
        info.file_size = info.compress_size = 50
        info.CRC = zlib.crc32(b"B" * 50)
        info.header_offset = 30 + len("a.png")
        out.filelist.append(info)
        out.NameToInfo["b.png"] = info
    with zipfile.ZipFile(tmp_path / "x.zip") as plain:
        assert plain.read("b.png") == b"B" * 50
    assert ("archive", "'a.png'") in findings(tmp_path / "x.zip")


def test_flat_bomb_is_refused_unread(archive: Any) -> None:
    bomb = archive("bomb", {"a.png": bytes(2**24), "b.png": b"x"})
    names, found = ZipSource(bomb).scan()
    assert (set(names), [f.code for f in found]) == ({"b.png"}, ["archive-bomb"])
    # Small files that compress well are no bombs.
    assert findings(archive("fine", {"a.png": bytes(2**20)})) == []


def test_archive_of_many_small_bombs_is_refused(archive: Any) -> None:
    path = archive("bomb", {f"{n}.npy": bytes(10**6) for n in range(40)})
    assert findings(path) == [("archive-bomb", "bomb.zip")]


def test_budget_is_of_all_files_together(archive: Any) -> None:
    path = archive("x", {"a.png": b"1" * 600, "b.png": b"2" * 600})
    assert findings(path, 1200) == []
    assert findings(path, 1199) == [("archive-bomb", "x.zip")]
    assert [f.code for f in open_source(path, budget=1199).scan()[1]] == ["archive-bomb"]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (30, b"b"),  # name
        (8, b"\x00\x00"),  # compression
        (6, b"\x01\x00"),  # encryption
        (0, b"PK\x07\x08"),  # no header at all
    ],
)
def test_local_header_that_says_something_else_is_refused(archive: Any, at: int, value: bytes) -> None:
    path = archive("x", {"a.png": b"A" * 100})
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)
    assert findings(path) == [("archive", "'a.png'")]


def test_zip64_sizes_that_lie_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("a.png", b"A" * 100)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    start = data.index(b"PK\x01\x02")
    extra = struct.pack("<HHQQ", 1, 16, 2**50, 100)
    data[start + 20 : start + 28] = b"\xff" * 8
    data[start + 30 : start + 32] = struct.pack("<H", len(extra))
    name_end = start + 46 + len("a.png")
    data[name_end:name_end] = extra
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", end - start)
    (tmp_path / "x.zip").write_bytes(data)
    assert zipfile.ZipFile(tmp_path / "x.zip").infolist()[0].file_size == 2**50
    assert {code for code, _ in findings(tmp_path / "x.zip")} <= {"archive", "archive-bomb"}
    assert findings(tmp_path / "x.zip") != []


def test_directory_of_gigabytes_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.ingest.sources.zip._DIRECTORY_LIMIT", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        for number in range(30):
            out.writestr(f"{number}.png", b"")
    with pytest.raises(EvaluatorError, match="cannot be opened") as caught:
        ZipSource(tmp_path / "x.zip").scan()
    assert "a directory of" in caught.value.findings[0].got


def test_accents_written_in_two_ways_are_one_name(archive: Any) -> None:
    _, (finding,) = ZipSource(archive("x", {"é.png": b"1", "e\u0301.png": b"2"})).scan()
    assert (finding.code, finding.file) == ("duplicate-name", "e\u0301.png")
    assert "é.png" in finding.got


def test_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("a.pngX../b", b"1")
    data = (tmp_path / "x.zip").read_bytes().replace(b"a.pngX../b", b"a.png\0../b")
    (tmp_path / "x.zip").write_bytes(data)
    assert [code for code, _ in findings(tmp_path / "x.zip")] == ["unsafe-name"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_one_array_a_case_is_a_submission(tmp_path: Path, save: Any) -> None:
    arrays = {"1": np.zeros((4, 6, 3)), "scene/1": np.ones((4, 6, 3), np.uint8)}
    save(tmp_path / "mine.npz", **arrays)
    submission = open_submission(tmp_path / "mine.npz", list(arrays))
    assert dict(submission.files) == {"1": "1.npy", "scene/1": "scene/1.npy"}
    assert (submission.findings, submission.id) == ((), "mine")
    read = np.load(io.BytesIO(submission.source.read("scene/1.npy", 10_000)))
    assert np.array_equal(read, arrays["scene/1"])
