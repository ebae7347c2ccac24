"""Submissions behind URLs are copied by names that were checked before, or refused with all that is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.ingest import Expected, FolderSource
from evaluator.remote import Url
from evaluator.runners import Reception, WorkerSource, fetching, read_output
from evaluator.runners.fetching import fetch
from evaluator.tasks import Limits, Protocol
from remote_support import put, serving, store_in_memory

PNG = encode_png(np.arange(216, dtype=np.uint8).reshape(8, 9, 3))
EXPECTED = Expected.of(8, 9, Protocol())


@pytest.fixture
def memory() -> Iterator[Any]:
    with store_in_memory() as fs:
        yield fs


def copied(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def codes(url: str, folder: Path) -> list[tuple[str, str]]:
    """Return the findings for which a URL is refused; nothing may have been copied."""
    with pytest.raises(EvaluatorError) as caught:
        fetch(Url(url), folder)
    assert copied(folder) == {}
    return sorted((f.code, f.file) for f in caught.value.findings)


def test_a_folder_and_a_file_are_copied_under_their_names(memory: Any, tmp_path: Path) -> None:
    memory.pipe({"/box/team_x/a.png": b"one", "/box/team_x/in/b.png": b"two", "/box/team_x.zip": b"three"})
    for name in ("folder", "file"):
        (tmp_path / name).mkdir()
    assert fetch(Url("memory://box/team_x/"), tmp_path / "folder") == tmp_path / "folder/team_x"
    assert copied(tmp_path / "folder") == {"team_x/a.png": b"one", "team_x/in/b.png": b"two"}
    assert fetch(Url("memory://box/team_x.zip"), tmp_path / "file") == tmp_path / "file/team_x.zip"
    assert copied(tmp_path / "file") == {"team_x.zip": b"three"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["c\\d.png", "ok.png"], [("unsafe-name", repr("c\\d.png"))]),
        (["e\nf.png"], [("unsafe-name", repr("e\nf.png"))]),
        (["a.png", "A.png"], [("duplicate-name", "a.png")]),
        (["1/2/3/4/5/6/7/8/deep.png"], [("unsafe-name", "1/2/3/4/5/6/7/8")]),
        (["n" * 256 + ".png"], [("unsafe-name", repr("n" * 256 + ".png"))]),
    ],
    ids=["backslash", "newline", "twins", "deep", "long"],
)
def test_names_that_no_archive_may_have_are_refused(
    memory: Any, tmp_path: Path, names: list[str], expected: list[tuple[str, str]]
) -> None:
    memory.pipe({f"/box/team/{name}": b"x" for name in names})
    assert codes("memory://box/team", tmp_path) == expected


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ({"name": "/box/team/..", "type": "directory", "size": 0}, "unsafe-name"),
        ({"name": "/box/team/../1.png", "type": "file", "size": 1}, "unsafe-name"),
        ({"name": "/box/other/1.png", "type": "file", "size": 1}, "unsafe-name"),
        ({"name": "/etc/passwd", "type": "file", "size": 1}, "unsafe-name"),
        ({"name": "/box/team/link.png", "type": "link", "size": 1}, "not-a-file"),
        ({"name": "/box/team/link.png", "type": "file", "size": 1, "islink": True}, "not-a-file"),
        # S3 lists what lies below team// so; see s3fs.S3FileSystem._lsdir.
        ({"name": "/box/team/", "type": "directory", "size": 0, "StorageClass": "DIRECTORY"}, "unsafe-name"),
    ],
    ids=["up", "up-file", "beside", "absolute", "link", "link-flag", "nameless"],
)
def test_what_a_store_lists_that_leads_elsewhere_is_refused(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: dict[str, Any], code: str
) -> None:
    memory.pipe_file("/box/team/1.png", b"x")
    real = MemoryFileSystem.ls
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda s, p, detail=True, **_: [*real(s, p, detail), listed])
    assert [found for found, _ in codes("memory://box/team", tmp_path)] == [code]
    assert [p.name for p in tmp_path.iterdir()] == []


def test_the_empty_file_that_stands_for_a_folder_is_no_file(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/box/team/1.png", b"x")
    marker, real = {"name": "/box/team/", "type": "file", "size": 0}, MemoryFileSystem.ls
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda s, p, detail=True, **_: [marker, *real(s, p, detail)])
    assert copied(fetch(Url("memory://box/team"), tmp_path)) == {"1.png": b"x"}


def test_everything_wrong_comes_at_once(memory: Any, tmp_path: Path) -> None:
    memory.pipe({f"/box/team/{name}": b"x" for name in ("c\\d.png", "e\\f.png", "g.png", "G.png")})
    assert [code for code, _ in codes("memory://box/team", tmp_path)] == [
        "duplicate-name",
        "unsafe-name",
        "unsafe-name",
    ]


def test_too_many_files_are_refused(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ENTRY_LIMIT", 3)
    memory.pipe({f"/box/team/{n}.png": b"x" for n in range(3)})
    assert len(copied(fetch(Url("memory://box/team"), tmp_path))) == 3
    memory.pipe_file("/box/team/3.png", b"x")
    with pytest.raises(EvaluatorError, match="memory://box/team holds too many files"):
        fetch(Url("memory://box/team"), tmp_path / "again")


@pytest.mark.parametrize("url", ["memory://box/..", "memory://box/a%5Cb\\c"])
def test_a_url_without_a_name_for_a_file_is_refused(memory: Any, tmp_path: Path, url: str) -> None:
    assert [code for code, _ in codes(url, tmp_path)] == ["unsafe-name"]


def test_an_empty_folder_is_no_submission(memory: Any, tmp_path: Path) -> None:
    memory.makedirs("/box/empty")
    assert codes("memory://box/empty", tmp_path) == [("kind", "memory://box/empty")]


def test_what_was_fetched_is_received_as_what_is_here(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team/a.png").write_bytes(PNG)
    put(tmp_path / "team", "memory://box/team")
    memory.pipe_file(
        "/box/packed.zip", Path(shutil.make_archive(str(tmp_path / "p"), "zip", tmp_path / "team")).read_bytes()
    )
    with Reception(Limits()) as reception:
        kinds, places = [], []
        for name in ("team", "packed.zip"):
            copy = reception.fetch(Url(f"memory://box/{name}"))
            source, workers = reception.files(copy, ["a"])
            assert read_output(source, "a.png", EXPECTED, workers).pixels is not None
            kinds.append(type(source))
            places.append(copy)
        assert kinds == [FolderSource, WorkerSource]
        assert len(list(places[1].parent.iterdir())) == 1
    assert not any(place.exists() for place in places), "a copy was left"


def test_an_archive_on_a_web_server_is_a_file_and_another_name_a_page(tmp_path: Path) -> None:
    (tmp_path / "site/team").mkdir(parents=True)
    (tmp_path / "site/team/a.png").write_bytes(PNG)
    (tmp_path / "site/team.tar.gz").write_bytes(b"packed")
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "site") as base:
        assert copied(fetch(Url(f"{base}/team"), tmp_path / "one")) == {"a.png": PNG}
        assert fetch(Url(f"{base}/team.tar.gz?key=1"), tmp_path / "two").read_bytes() == b"packed"
        assert codes(f"{base}/team/a.png", tmp_path / "three") == [("kind", f"{base}/team/a.png")]
