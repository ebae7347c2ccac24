"""Files of a submission are read under limits, from a folder or an archive alike; nothing is ever extracted."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from evaluator.findings import EvaluatorError, Finding, Severity
from evaluator.ingest import FolderSource, Source, ZipSource, open_source
from evaluator.ingest.sources import DEPTH_LIMIT, NAME_LIMIT, TooLarge

FILES: Mapping[str, bytes] = {"a.png": b"AAA", "sub/b.png": b"B" * 1000, "submission.toml": b""}


def codes(source: Source) -> list[str]:
    _, findings = source.scan()
    assert all(f.severity is Severity.ERROR for f in findings)
    return [f.code for f in findings]


def special_member(path: Path, mode: int) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        info = zipfile.ZipInfo("a.png")
        info.create_system = 3
        info.external_attr = (mode | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    return path


def patched(path: Path, local: int, central: int, value: bytes) -> Path:
    """Overwrite a field of the first member in both of its headers."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + central
    data[at : at + len(value)] = value
    data[local : local + len(value)] = value
    path.write_bytes(data)
    return path


def test_folder_and_archive_hold_the_same(folder: Any, archive: Any) -> None:
    from_folder, from_archive = FolderSource(folder("x", FILES)), ZipSource(archive("x", FILES))
    assert from_folder.scan() == from_archive.scan() == ({n: len(d) for n, d in FILES.items()}, [])
    for name, data in FILES.items():
        assert from_folder.read(name, 1000) == from_archive.read(name, 1000) == data


def test_source_travels_to_other_processes_after_use(folder: Any, archive: Any) -> None:
    for source in (FolderSource(folder("x", FILES)), ZipSource(archive("x", FILES))):
        source.scan()
        copy = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
        assert copy.read("a.png", 10) == b"AAA"


def test_limit_is_exact(folder: Any, archive: Any) -> None:
    for source in (FolderSource(folder("x", FILES)), ZipSource(archive("x", FILES))):
        assert len(source.read("sub/b.png", 1000)) == 1000
        with pytest.raises(TooLarge):
            source.read("sub/b.png", 999)


def test_name_that_is_not_there_cannot_be_read(folder: Any, archive: Any) -> None:
    for source in (FolderSource(folder("x", FILES)), ZipSource(archive("x", FILES))):
        with pytest.raises(OSError, match="no-such"):
            source.read("no-such.png", 10)


def test_bomb_stops_at_the_limit(archive: Any) -> None:
    # 50 MB of zeros in 50 kB: what comes out is counted, not what the directory claims.
    bomb = archive("bomb", {"a.png": bytes(50_000_000)})
    with pytest.raises(TooLarge):
        ZipSource(bomb).read("a.png", 1000)


def test_directory_that_lies_about_sizes_does_not_lift_the_limit(archive: Any) -> None:
    lying = patched(archive("liar", {"a.png": bytes(100_000)}), 22, 24, struct.pack("<I", 10))
    assert ZipSource(lying).scan()[0] == {"a.png": 10}
    with pytest.raises((TooLarge, OSError)):
        ZipSource(lying).read("a.png", 1000)


def test_links_are_refused_and_not_followed(folder: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    root = folder("x", FILES)
    (root / "link.png").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path, target_is_directory=True)
    (root / "dangling.png").symlink_to("nowhere")
    source = FolderSource(root)
    names, findings = source.scan()
    assert set(names) == set(FILES)
    assert {(f.code, f.file, f.got) for f in findings} == {
        ("not-a-file", name, "a link") for name in ("link.png", "linked", "dangling.png")
    }
    with pytest.raises(OSError, match="symbolic link"):
        source.read("link.png", 10)


def test_pipe_is_refused_and_does_not_hang(folder: Any) -> None:
    root = folder("x", FILES)
    os.mkfifo(root / "pipe.png")
    source = FolderSource(root)
    _, (finding,) = source.scan()
    assert (finding.code, finding.file, finding.got) == ("not-a-file", "pipe.png", "a special file")
    with pytest.raises(OSError, match="not a regular file"):
        source.read("pipe.png", 10)


def test_a_file_with_a_second_name_is_refused_but_of_a_baseline(
    folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder("x", FILES)
    (tmp_path / "reference.png").hardlink_to(root / "a.png")
    names, (finding,) = FolderSource(root).scan()
    assert set(names) == set(FILES) - {"a.png"}
    assert (finding.code, finding.file) == ("not-a-file", "a.png")
    assert "second name" in finding.got
    monkeypatch.setattr("evaluator.ingest.baselines.is_baseline", lambda path: path == root)
    assert FolderSource(root).scan()[1] == []


def test_a_folder_without_a_bottom_is_looked_into_only_so_far(folder: Any) -> None:
    root = folder("x", FILES)
    deep = "/".join("d" * (DEPTH_LIMIT + 1))
    (root / deep).mkdir(parents=True)
    names, (finding,) = FolderSource(root).scan()
    assert set(names) == set(FILES)
    assert (finding.code, finding.file) == ("unsafe-name", deep)
    (root / deep).rmdir()
    assert FolderSource(root).scan()[1] == []


def test_a_file_that_is_a_folder_too_is_refused(archive: Any) -> None:
    for files in ({"net": b"1", "net/a.png": b"2"}, {"NET/a.png": b"2", "net": b"1"}):
        source = ZipSource(archive("x", files))
        assert codes(source) == ["duplicate-name"]


def test_file_that_became_a_pipe_since_the_scan_does_not_hang(folder: Any) -> None:
    root = folder("x", FILES)
    source = FolderSource(root)
    source.scan()
    (root / "a.png").unlink()
    os.mkfifo(root / "a.png")
    with pytest.raises(OSError, match="not a regular file"):
        source.read("a.png", 10)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "x/./a.png",
        "x//a.png",
        "../a.png",
        "x/../../a.png",
        "/etc/a.png",
        "C:a.png",
        "c:\\a.png",
        "..\\a.png",
        "x\\a.png",
        "a\n.png",
        "a\x1b[31m.png",
        "a\u202eb.png",
        "x" * (NAME_LIMIT + 1),
        "é" * (NAME_LIMIT // 2 + 1),
        "d/" * DEPTH_LIMIT + "a.png",
    ],
)
def test_unsafe_name_is_refused(archive: Any, name: str) -> None:
    source = ZipSource(archive("x", {name: b"x", "ok.png": b"y"}))
    names, (finding,) = source.scan()
    assert finding.code == "unsafe-name"
    assert set(names) == {"ok.png"}
    assert finding.line().isprintable(), "the message itself must be harmless"


@pytest.mark.parametrize(
    "name", ["a..b.png", "...png", "x" * NAME_LIMIT, "d/" * (DEPTH_LIMIT - 1) + "a.png", "ü/ñ.png"]
)
def test_unusual_and_safe_name_is_kept(archive: Any, name: str) -> None:
    assert ZipSource(archive("x", {name: b"x"})).scan() == ({name: 1}, [])


@pytest.mark.parametrize("name", [b"\xff.png", b"a\n.png", b"a\x1b[31m.png", "a\u202eb.png".encode()])
def test_name_in_a_folder_that_cannot_be_shown_is_refused(folder: Any, name: bytes) -> None:
    root = folder("x", FILES)
    with open(os.fsencode(root) + b"/" + name, "wb"):  # noqa: PTH123 - the name is no text
        pass
    names, (finding,) = FolderSource(root).scan()
    assert finding.code == "unsafe-name"
    assert set(names) == set(FILES)
    assert finding.line().isprintable(), "the message itself must be harmless"
    assert TypeAdapter(Finding).dump_json(finding), "and fit into a scorecard"


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_special_member_is_refused(tmp_path: Path, mode: int) -> None:
    assert codes(ZipSource(special_member(tmp_path / "x.zip", mode))) == ["not-a-file"]


def test_member_marked_as_plain_file_is_kept(tmp_path: Path) -> None:
    assert codes(ZipSource(special_member(tmp_path / "x.zip", stat.S_IFREG))) == []


def test_encrypted_member_is_refused(archive: Any) -> None:
    source = ZipSource(patched(archive("x", {"a.png": b"AAA"}), 6, 8, b"\x01\x00"))
    assert codes(source) == ["archive"]
    with pytest.raises(OSError, match="encrypted"):
        source.read("a.png", 10)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_slow_compression_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as out:
        out.writestr("a.png", b"AAA")
    assert codes(ZipSource(tmp_path / "x.zip")) == ["archive"]


@pytest.mark.parametrize(
    ("first", "second"), [("a.png", "A.png"), ("straße.png", "STRASSE.png"), ("x/a.png", "X/a.png")]
)
def test_names_that_collide_on_other_systems_are_refused(archive: Any, first: str, second: str) -> None:
    source = ZipSource(archive("x", {first: b"1", second: b"2"}))
    names, (finding,) = source.scan()
    assert (finding.code, finding.file) == ("duplicate-name", second)
    assert first in finding.got
    assert set(names) == {first}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("a.png", b"1")
        out.writestr("a.png", b"2")
    assert codes(ZipSource(tmp_path / "x.zip")) == ["duplicate-name"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip", b"PK\x05\x06" + b"\xff" * 18])
def test_file_that_is_no_archive_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(EvaluatorError) as caught:
        ZipSource(tmp_path / "x.zip").scan()
    assert [f.code for f in caught.value.findings] == ["archive"]


def test_archive_with_a_name_that_is_no_utf8_is_said_so(archive: Any) -> None:
    path = archive("x", {"é.png": b"x"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(EvaluatorError, match=r"x\.zip cannot be opened") as caught:
        ZipSource(path).scan()
    assert [f.code for f in caught.value.findings] == ["archive"]


def test_cut_archive_is_said_so(archive: Any) -> None:
    whole = archive("x", FILES)
    data = whole.read_bytes()
    for length in range(0, len(data), 7):
        whole.write_bytes(data[:length])
        with pytest.raises(EvaluatorError):
            ZipSource(whole).scan()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_member_is_an_error_or_the_right_bytes(archive: Any, data: st.DataObject) -> None:
    content = bytes(range(256)) * 3
    path = archive("x", {"a.png": content})
    file = bytearray(path.read_bytes())
    # Between the local header's name and the directory: only compressed values, which a checksum protects.
    at = data.draw(st.integers(31 + len("a.png"), bytes(file).index(b"PK\x01\x02") - 1))
    file[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(file)
    try:
        read = ZipSource(path).read("a.png", 10_000)
    except (OSError, TooLarge):
        return
    assert read == content


def test_archive_that_vanished_is_an_error_of_reading(archive: Any) -> None:
    source = ZipSource(archive("x", FILES))
    source.path.unlink()
    with pytest.raises(OSError, match="No such file"):
        source.read("a.png", 10)


def test_nothing_is_written_beside_an_archive(archive: Any, tmp_path: Path) -> None:
    source = ZipSource(archive("x", FILES))
    source.scan()
    source.read("a.png", 10)
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_a_limit_beyond_all_memory_takes_none(folder: Any, tmp_path: Path, form: str) -> None:
    path = folder("team", {"a.bin": b"x" * 100})
    if form != "folder":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), form, path))
    assert open_source(path).read("a.bin", 2**50) == b"x" * 100


def test_a_file_of_many_pieces_is_read_whole_or_not_at_all(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.ingest.sources.base._PIECE", 16)
    data = bytes(range(100))
    source = open_source(folder("team", {"a.bin": data}))
    assert source.read("a.bin", 100) == source.read("a.bin", 1000) == data
    for limit in (0, 1, 16, 99):
        with pytest.raises(TooLarge):
            source.read("a.bin", limit)
