"""Tar archives give the bytes that tarfile put in, and nothing else: no links, no escapes, no bombs."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.findings import EvaluatorError, Severity
from evaluator.ingest import TarSource, open_submission
from evaluator.ingest.sources import DEPTH_LIMIT, NAME_LIMIT, TooLarge

FILES: Mapping[str, bytes] = {"a.png": b"AAA", "sub/b.png": bytes(range(256)) * 30, "submission.toml": b""}
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz"}
Make = Callable[..., Path]


@pytest.fixture
def tar(tmp_path: Path) -> Make:
    """Write an archive by tarfile: `tar({"a.png": data}, ".tar.gz", tarfile.GNU_FORMAT)`."""

    def make(files: Mapping[str, bytes], suffix: str = ".tar", form: int = tarfile.PAX_FORMAT) -> Path:
        path = tmp_path / f"mine{suffix}"
        with tarfile.open(path, MODES[suffix], format=form) as out:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
        return path

    return make


def member(name: str = "a.png", data: bytes = b"", kind: bytes = b"0", **fields: Any) -> bytes:
    """A member as bytes; `fields` are those of its header that are to be other than they should be."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, fields.pop("size", len(data))
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def raw(tmp_path: Path, *members: bytes) -> TarSource:
    path = tmp_path / "raw.tar"
    path.write_bytes(b"".join(members) + bytes(1024))
    return TarSource(path)


def pax(**records: str) -> bytes:
    body = b""
    for key, value in records.items():
        tail = f" {key.replace('_', '.')}={value}\n".encode()
        length = len(tail) + 1
        while len(str(length)) + len(tail) > length:
            length += 1
        body += str(length).encode() + tail
    return member("pax", body, b"x")


def refusal(path: Path) -> EvaluatorError:
    with pytest.raises(EvaluatorError) as caught:
        TarSource(path).scan()
    assert caught.value.findings[0].line().isprintable()
    return caught.value


def codes(source: TarSource) -> list[str]:
    _, findings = source.scan()
    assert all(f.severity is Severity.ERROR for f in findings)
    assert all(f.line().isprintable() for f in findings)
    return [f.code for f in findings]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("suffix", MODES)
def test_archive_holds_what_was_put_in(tar: Make, suffix: str, form: int) -> None:
    source = TarSource(tar(FILES, suffix, form))
    assert source.scan() == ({n: len(d) for n, d in FILES.items()}, [])
    for name, data in reversed(FILES.items()):
        assert source.read(name, 10_000) == data
    with pytest.raises(TooLarge):
        source.read("a.png", 2)
    with pytest.raises(OSError, match="no-such"):
        source.read("no-such.png", 2)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["d/" + "x" * 90 + ".png", "y" * 120 + "/" + "x" * 90 + ".png", "ü/日本.png"])
def test_long_and_foreign_names_are_kept(tar: Make, name: str, form: int) -> None:
    assert TarSource(tar({name: b"1"}, ".tar", form)).scan() == ({name: 1}, [])


def test_archive_of_a_whole_folder_is_looked_into(tmp_path: Path, png: bytes) -> None:
    # `tar czf ../x.tar.gz .` puts "./" before each name, and the folders in too.
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "1.png").write_bytes(png)
    (root / "sub" / "2.png").write_bytes(png)
    with tarfile.open(tmp_path / "My Team.tar.gz", "w:gz") as out:
        out.add(root, ".")
    submission = open_submission(tmp_path / "My Team.tar.gz", ["1", "sub/2"])
    assert dict(submission.files) == {"1": "1.png", "sub/2": "sub/2.png"}
    assert (submission.findings, submission.rejected, submission.id) == ((), "", "my-team")


def test_source_travels_to_other_processes_after_use(tar: Make) -> None:
    source = TarSource(tar(FILES, ".tar.xz"))
    source.scan()
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    assert copy.read("a.png", 10) == b"AAA"


def test_nothing_is_left_beside_an_archive_nor_among_temporary_files(
    tar: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = tar(FILES, ".tar.gz")
    TarSource(path).scan()
    assert list(scratch.iterdir()) == []
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "scratch"}


def test_changed_archive_is_read_anew(tar: Make) -> None:
    for data in (b"1", b"22"):
        path = tar({"a.png": data}, ".tar.gz")
        assert TarSource(path).read("a.png", 10) == data


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "x/../../a.png",
        "/etc/a.png",
        "x//a.png",
        "c:\\a.png",
        "x\\a.png",
        "a\n.png",
        "a\x1b[31m.png",
        "a\u202eb.png",
        "./../a.png",
        "d/" * DEPTH_LIMIT + "a.png",
        "x" * (NAME_LIMIT + 1),
    ],
)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_unsafe_name_is_refused(tar: Make, name: str, form: int) -> None:
    source = TarSource(tar({name: b"x", "ok.png": b"y"}, ".tar", form))
    assert codes(source) == ["unsafe-name"]
    assert set(source.scan()[0]) == {"ok.png"}


def test_name_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    source = raw(tmp_path, member("a\udcff.png", b"x"), pax(path="\u202e.png"), member(data=b"x"))
    assert codes(source) == ["unsafe-name", "unsafe-name"]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"7", b"V", b"Z"])
def test_links_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    source = raw(tmp_path, member(kind=kind, linkname=str(secret), devmajor=1, devminor=5), member("b.png", b"x"))
    names, findings = source.scan()
    assert (set(names), [(f.code, f.file) for f in findings]) == ({"b.png"}, [("not-a-file", "a.png")])
    with pytest.raises(OSError, match=r"a\.png"):
        source.read("a.png", 10)


def test_link_does_not_become_a_folder_for_the_next_member(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    source = raw(tmp_path, member("x", kind=b"2", linkname=str(outside)), member("x/a.png", b"canary"))
    assert source.read("x/a.png", 10) == b"canary"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.png", "a.png"), ("a.png", "A.png"), ("a.png", "./a.png"), ("é.png", "e\u0301.png"), ("straße", "STRASSE")],
)
def test_names_that_collide_are_refused_and_both_named(tar: Make, first: str, second: str) -> None:
    source = TarSource(tar({first: b"1", second: b"2"}) if first != second else tar({first: b"1"}))
    if first == second:
        source = raw(source.path.parent, member(first, b"1"), member(second, b"2"))
    names, (finding,) = source.scan()
    assert (finding.code, finding.file) == ("duplicate-name", second.removeprefix("./"))
    assert first in finding.got
    assert names == {first: 1}


def test_sparse_members_are_refused(tmp_path: Path) -> None:
    old = raw(tmp_path, member(kind=b"S", size=0, data=b""))
    assert codes(old) == ["archive"]
    for records in ({"GNU_sparse_map": "0,1"}, {"GNU_sparse_major": "1", "GNU_sparse_realsize": str(2**34)}):
        source = raw(tmp_path, pax(**records), member(data=b"x"), member("b.png", b"y"))
        assert codes(source) == ["archive"]
        assert source.scan()[0] == {"b.png": 1}, "what the header says is for one member alone"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 100,
        b"x" * 512,
        bytes(511),
        member(data=b"x")[:512],
        member(data=b"x" * 600)[:1024] + bytes(100),
        member(data=b"x"),
        member(size=2**60) + bytes(1024),
        member(kind=b"L", size=2**40) + bytes(1024),
        member(kind=b"x", data=b"9999999 path=x\n") + bytes(1024),
        member(kind=b"x", data=b"0 =\n") + bytes(1024),
        member(kind=b"x", data=b"11 size=-1\n") + member() + bytes(1024),
        member(kind=b"x", data=b"5016 size=" + b"9" * 5005 + b"\n") + member() + bytes(1024),
        member(kind=b"g", data=b"14 path=a.png\n") + member() + bytes(1024),
        member().replace(b"ustar", b"xstar") + bytes(1024),
    ],
)
def test_damaged_archive_is_said_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    assert [f.code for f in refusal(path).findings] == ["archive"]


def test_negative_size_does_not_send_the_reader_back(tmp_path: Path) -> None:
    # The archive that made Python's own reader loop for ever.
    header = bytearray(member("a.png", b"x")[:512])
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "x.tar"
    path.write_bytes(bytes(header) + bytes(1024))
    assert "negative size" in refusal(path).findings[0].got


@pytest.mark.parametrize("suffix", MODES)
def test_cut_archive_is_said_so(tar: Make, suffix: str) -> None:
    path = tar({"a.png": os.urandom(3000), "b.png": os.urandom(700)}, suffix)
    data = path.read_bytes()
    whole = len(data.rstrip(b"\0")) if suffix == ".tar" else len(data)
    for length in range(0, whole, 61):
        path.write_bytes(data[:length])
        assert refusal(path).findings[0].code == "archive"


@pytest.mark.parametrize(("suffix", "pack"), [(".tar.gz", gzip.compress), (".tar.xz", lzma.compress)])
def test_bomb_stops_long_before_its_end(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(pack(member(data=bytes(2**26)) + bytes(1024)))
    finding = refusal(path).findings[0]
    assert finding.code == "archive-bomb"
    unpacked = int(finding.got.split()[2])
    assert unpacked <= max(200 * path.stat().st_size, 2**20) + 2**20


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz"])
def test_budget_is_of_bytes_that_really_come_out(tar: Make, suffix: str) -> None:
    path = tar({"a.png": os.urandom(100_000)}, suffix)
    assert codes(TarSource(path, budget=120_000)) == []
    with pytest.raises(EvaluatorError, match="too much") as caught:
        TarSource(path, budget=90_000).scan()
    assert caught.value.findings[0].code == "archive-bomb"


def test_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    data = bytearray(lzma.compress(b"x" * 100, lzma.FORMAT_XZ))
    # The block header's filter flags: dictionary size 40 is 4 GiB; the header's own checksum follows.
    at = 12
    size = (data[at] + 1) * 4
    flags = data.index(b"\x21\x01", at)
    data[flags + 2] = 40
    data[at + size - 4 : at + size] = struct.pack("<I", zlib.crc32(bytes(data[at : at + size - 4])))
    path = tmp_path / "x.tar.xz"
    path.write_bytes(data)
    assert "emory" in refusal(path).findings[0].got


def test_streams_one_after_the_other_are_one_archive(tmp_path: Path) -> None:
    data = member("a.png", b"x" * 5000) + member("b.png", b"y") + bytes(1024)
    for suffix, pack in ((".tar.gz", gzip.compress), (".tar.xz", lzma.compress)):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(pack(data[:3000]) + pack(data[3000:]))
        assert TarSource(path).scan()[0] == {"a.png": 5000, "b.png": 1}


def test_many_members_are_listed_and_too_many_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("base", "tar"):
        monkeypatch.setattr(f"evaluator.ingest.sources.{module}.ENTRY_LIMIT", 3)
    assert len(raw(tmp_path, *(member(f"{n}.png") for n in range(3))).scan()[0]) == 3
    time.sleep(0.01)  # the file's time of change tells it from the one before
    path = raw(tmp_path, *(member(f"{n}.png") for n in range(4))).path
    assert "at most 3 files" in refusal(path).findings[0].expected


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text("abcä/.", min_size=1, max_size=150).filter(
            lambda n: all(part not in ("", ".", "..") for part in n.split("/")) and n.count("/") < DEPTH_LIMIT
        ),
        st.binary(max_size=1200),
        max_size=5,
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.sampled_from(sorted(MODES)),
)
def test_what_tarfile_writes_is_read(tar: Make, files: dict[str, bytes], form: int, suffix: str) -> None:
    source = TarSource(tar(files, suffix, form))
    names, findings = source.scan()
    assert {f.code for f in findings} <= {"duplicate-name", "unsafe-name"}
    for name in names:
        assert source.read(name, 2000) == files[name]
