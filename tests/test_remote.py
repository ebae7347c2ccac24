"""URLs: what they name, what is shown of them, and copies that are whole or not there."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.config import conf
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from evaluator.findings import EvaluatorError
from evaluator.patience import noting
from evaluator.remote import Missing, Remote, Url, expand, location, room
from remote_support import SECRET, serving, store_in_memory


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The store in memory, empty; its waits between tries take no time."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    with store_in_memory() as fs:
        yield fs


def failing(*errors: Exception) -> Callable[[Any, str, str], None]:
    """Return a `get_file` that raises each error once, then does what it should."""
    left, real = list(errors), MemoryFileSystem.get_file

    def get_file(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        if left:
            raise left.pop(0)
        real(self, rpath, lpath, **options)

    return get_file


@pytest.mark.parametrize(
    ("text", "shown", "name"),
    [
        ("s3://bucket/teams/team_x/", "s3://bucket/teams/team_x", "team_x"),
        ("gs://bucket", "gs://bucket", "bucket"),
        (f"https://u:{SECRET}@host:81/a/team.zip", "https://host:81/a/team.zip", "team.zip"),
        (f"https://{SECRET}@host/a/my%20team.zip", "https://host/a/my%20team.zip", "my team.zip"),
        (f"https://host/team.zip?X-Amz-Signature={SECRET}#x", "https://host/team.zip", "team.zip"),
        (f"sftp://me:{SECRET}@host/a", "sftp://host/a", "a"),
        (f"ftp://{SECRET}@host/a", "ftp://host/a", "a"),
        ("sftp://me@host/a", "sftp://me@host/a", "a"),
        ("http://[::1]:80/a", "http://[::1]:80/a", "a"),
        ("abfss://box@account.dfs.core.windows.net/a", "abfss://box@account.dfs.core.windows.net/a", "a"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(text: str, shown: str, name: str) -> None:
    url = location(text)
    assert isinstance(url, Url)
    assert (str(url), url.name, url.text) == (shown, name, text)
    assert SECRET not in f"{url} {url!r}"
    told = url.scrubbed(f"GET {text} failed: {SECRET if SECRET in text else 'it'} was refused")
    assert SECRET not in told
    assert told.startswith(f"GET {shown} failed")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("teams/a", "teams/a"),
        ("/data", "/data"),
        ("file:///data/my%20set", "/data/my set"),
        ("file://localhost/data", "/data"),
        ("local:///data", "/data"),
        ("C:/data", "C:/data"),
        ("a::b", "a::b"),
        ("s3:bucket", "s3:bucket"),
        (Path("teams/a"), "teams/a"),
    ],
)
def test_what_is_on_this_machine_is_a_path(given: str | Path, path: str) -> None:
    assert location(given) == Path(path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("simplecache::s3://bucket/a", "chain"),
        (f"zip://a.png::sftp://u:{SECRET}@host/a.zip", "chain"),
        ("s3://", "names no place"),
        (f"http://u:{SECRET}@[::/a?{SECRET}", "no URL"),
        (Path("s3://bucket/a"), "as text"),
    ],
)
def test_what_is_no_plain_url_is_refused(given: str | Path, said: str) -> None:
    with pytest.raises(EvaluatorError, match=said) as caught:
        location(given)
    assert SECRET not in str(caught.value)


def test_a_folder_is_listed_and_copied(memory: Any, tmp_path: Path) -> None:
    memory.pipe({"/box/team/a.png": b"one", "/box/team/deep/er/b.png": b"two", "/box/teams/c.png": b"three"})
    remote = Remote(Url("memory://box/team"))
    found = {entry.name: entry for entry in remote.walk(8)}
    assert {name: (e.kind, e.size) for name, e in found.items()} == {"a.png": ("file", 3), "deep/er/b.png": ("file", 3)}
    remote.copy({tmp_path / "copy" / name: entry for name, entry in found.items()})
    copies = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert copies == {"copy/a.png": b"one", "copy/deep/er/b.png": b"two"}


def test_a_folder_deeper_than_asked_for_is_told_not_entered(memory: Any) -> None:
    memory.pipe({"/box/1/2/3/a.png": b"x", "/box/1/b.png": b"x"})
    assert {(e.name, e.kind) for e in Remote(Url("memory://box")).walk(2)} == {("1/2", "folder"), ("1/b.png", "file")}


def test_a_stamp_changes_with_the_bytes(memory: Any) -> None:
    stamps = []
    for data in (b"one", b"two"):
        memory.pipe_file("/box/a", data)
        (entry,) = Remote(Url("memory://box")).stat(Remote(Url("memory://box")).entries())
        stamps.append(entry.stamp)
    assert all(stamps)
    assert stamps[0] != stamps[1]


PASSING = [ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("slow"), RuntimeError("throttled")]


@pytest.mark.parametrize("error", PASSING, ids=lambda e: type(e).__name__)
def test_an_error_that_may_pass_is_tried_again_and_noted(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    memory.pipe_file("/box/a.png", b"one")
    monkeypatch.setattr(MemoryFileSystem, "get_file", failing(error, error))
    remote = Remote(Url("memory://box"))
    with noting() as lines:
        remote.copy({tmp_path / "a.png": remote.entries()[0]})
    assert (tmp_path / "a.png").read_bytes() == b"one"
    assert [line.partition(":")[0] for line in lines] == ["a.png", "a.png"]


def test_an_error_that_stays_is_told_without_secrets_and_leaves_nothing(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/box/a.png", b"one")
    url = Url(f"memory://box?token={SECRET}")
    remote = Remote(Url("memory://box"))
    remote.url = url
    monkeypatch.setattr(MemoryFileSystem, "get_file", failing(*[RuntimeError(f"GET {url.text}: 503")] * 3))
    with noting() as lines, pytest.raises(EvaluatorError, match=r"a\.png at memory://box cannot be read") as caught:
        remote.copy({tmp_path / "a.png": remote.entries()[0]})
    assert "503" in str(caught.value)
    assert SECRET not in f"{caught.value} {lines}"
    assert list(tmp_path.iterdir()) == []


LASTING = [
    (FileNotFoundError("a.png"), Missing, "There is no a.png"),
    (PermissionError("denied"), EvaluatorError, "credentials"),
    (OSError(errno.ENOSPC, "No space left on device"), EvaluatorError, "No space left"),
]


@pytest.mark.parametrize("case", LASTING, ids=["gone", "denied", "full"])
def test_an_error_that_does_not_pass_is_told_at_once(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[Exception, type[Exception], str]
) -> None:
    error, kind, said = case
    memory.pipe_file("/box/a.png", b"one")
    remote = Remote(Url("memory://box"))
    monkeypatch.setattr(MemoryFileSystem, "get_file", failing(error))
    with pytest.raises(kind, match=said):  # at a second try it would have been copied
        remote.copy({tmp_path / "a.png": remote.entries()[0]})


def test_a_file_that_comes_short_is_no_copy(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe_file("/box/a.png", b"0123456789")
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda _self, _r, lpath, **_: Path(lpath).write_bytes(b"01234"))
    remote = Remote(Url("memory://box"))
    with pytest.raises(EvaluatorError, match="5 bytes came of 10"):
        remote.copy({tmp_path / "a.png": remote.entries()[0]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["memory://nowhere", "memory://box/nothing"])
def test_what_is_not_there_is_missing(memory: Any, url: str) -> None:
    memory.pipe_file("/box/a.png", b"one")
    with pytest.raises(Missing, match=url):
        Remote(Url(url)).entries()
    with pytest.raises(Missing, match=url):
        Remote(Url(url)).entry()


def test_no_room_is_said_before_anything_is_fetched(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/box/a.png", b"one")
    entries = Remote(Url("memory://box")).entries()
    room(tmp_path, entries, Url("memory://box"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2}))
    with pytest.raises(EvaluatorError, match="has room for"):
        room(tmp_path, entries, Url("memory://box"))


def test_a_star_stands_for_what_is_there(memory: Any) -> None:
    memory.pipe({"/box/teams/a/1.png": b"", "/box/teams/b.zip": b"", "/box/teams/c.txt": b""})
    assert [str(u) for u in expand(Url("memory://box/teams/*"))] == [
        f"memory://box/teams/{name}" for name in ("a", "b.zip", "c.txt")
    ]
    assert [u.name for u in expand(Url("memory://box/teams/*.zip"))] == ["b.zip"]
    assert expand(Url("memory://box/teams/a")) == [Url("memory://box/teams/a")]
    with pytest.raises(EvaluatorError, match=r"Nothing at memory://box/teams has a name like x\*"):
        expand(Url("memory://box/teams/x*"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = {"class": "no_such_package.FileSystem", "err": "Install no_such_package to access NoStore"}
    monkeypatch.setitem(known_implementations, "nostore", unknown)
    with pytest.raises(EvaluatorError, match="Install no_such_package to access NoStore"):
        Remote(Url("nostore://bucket/a"))
    with pytest.raises(EvaluatorError, match="nosuchthing"):
        Remote(Url("nosuchthing://bucket/a"))
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(EvaluatorError, match="aiohttp"):
        Remote(Url("http://host/a"))
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(EvaluatorError, match=r"pip install 'restoration-evaluator\[remote\]'"):
        Remote(Url("memory://box"))


def test_a_page_of_links_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "site" / "my team" / "in").mkdir(parents=True)
    (tmp_path / "site" / "my team" / "in" / "a b.png").write_bytes(b"one")
    (tmp_path / "site" / "other").mkdir()
    with serving(tmp_path / "site") as base:
        remote = Remote(Url(f"{base}/my%20team/"))
        (entry,) = remote.walk(8)
        (known,) = remote.stat([entry])
        assert (entry.name, entry.kind, known.size) == ("in/a b.png", "file", 3)
        assert known.stamp
        remote.copy({tmp_path / "copy.png": known})
        with pytest.raises(Missing):
            Remote(Url(f"{base}/none.zip")).entry()
    assert (tmp_path / "copy.png").read_bytes() == b"one"


def test_a_store_is_asked_anew_even_if_fsspec_keeps_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf, "http", {"use_listings_cache": True})
    (tmp_path / "a.png").write_bytes(b"one")
    with serving(tmp_path) as base:
        assert [e.name for e in Remote(Url(base)).entries()] == ["a.png"]
        (tmp_path / "b.png").write_bytes(b"two")
        assert [e.name for e in Remote(Url(base)).entries()] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "link",
    ["/elsewhere/x.png", "http://other.example/x.png", "?C=N;O=D", "../../x.png", "%2e%2e/x.png", "..%2f..%2fx.png"],
)
def test_a_link_that_leads_elsewhere_is_never_a_file_of_the_folder(tmp_path: Path, link: str) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(f'<a href="{link}">x</a> <a href="a.png">a</a>', encoding="utf-8")
    with serving(tmp_path) as base:
        found = Remote(Url(f"{base}/page")).entries()
    assert [e.name for e in found if e.kind != "other"] == ["a.png"]


def test_a_server_that_is_not_there_is_no_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    for ask in (Remote.entry, Remote.entries):
        with pytest.raises(EvaluatorError, match="cannot be read") as caught:
            ask(Remote(Url(f"http://u:{SECRET}@127.0.0.1:1/a.zip?sig={SECRET}")))
        assert not isinstance(caught.value, Missing)
        assert SECRET not in str(caught.value)
