"""Files behind URLs: what an object store or a server holds, and copies of it on this machine, by fsspec."""

from __future__ import annotations

import contextvars
import errno
import fnmatch
import logging
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from evaluator.extras import install
from evaluator.findings import EvaluatorError
from evaluator.patience import patiently

T = TypeVar("T")
LOG = logging.getLogger(__name__)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_CHAIN = re.compile(r"::(?:[A-Za-z0-9+.-]+::)*[A-Za-z][A-Za-z0-9+.-]+://")
_LOCAL = ("file", "local")
_WEB = ("http", "https")
_AT_A_TIME = 16
_SILENCE_S = 60
"""Seconds without a byte after which a server is given up."""
_HERE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE)
"""Errors of this machine's disk, which another try does not mend."""
_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    TypeError,
    ValueError,
    NotImplementedError,
)
_AGAIN = (408, 425, 429)
"""Answers of a server below 500 that may be others soon."""
_STAMPS = frozenset(
    [
        "etag",
        "md5hash",
        "contentmd5",
        "crc32c",
        "digest",
        "generation",
        "versionid",
        "lastmodified",
        "modified",
        "mtime",
        "modify",
        "updated",
        "created",
        "modificationtime",
        "lastwritetime",
    ]
)
"""What stores say of a file that changes when its bytes do, in small letters and without dashes."""


class Missing(EvaluatorError):
    """There is nothing behind a URL."""


@dataclass(frozen=True, repr=False)
class Url:
    """A URL of a file or a folder. As text it is shown without what may be secret."""

    text: str

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    def __str__(self) -> str:
        """Return the URL without password and query; on the web and by FTP without user, too."""
        parts = urlsplit(self.text)
        user, _, host = parts.netloc.rpartition("@")
        shown = f"{user}@{host}" if user and not self._hides_user() else host
        return f"{self.scheme}://{shown}{parts.path}".rstrip("/")

    @property
    def scheme(self) -> str:
        """What is before `://`, in small letters."""
        return self.text.partition("://")[0].lower()

    @property
    def name(self) -> str:
        """The last part of its path; a bucket's name where there is none."""
        name = str(self).rpartition("/")[2]
        return unquote(name) if self.scheme in _WEB else name

    def child(self, name: str) -> Url:
        """Return the URL of what lies below this folder.

        Raises:
            EvaluatorError: a query would be in the way.
        """
        if self.scheme in _WEB and "?" in self.text:
            raise EvaluatorError(f"{self} is named with a query (?…), which only a single file may be.")
        below = quote(name) if self.scheme in _WEB else name
        return self if name == "." else Url(f"{self.text.rstrip('/')}/{below}")

    def scrubbed(self, text: object) -> str:
        """Return what somebody says of this URL without what may be secret."""
        said, parts = str(text).replace(self.text, str(self)), urlsplit(self.text)
        secrets = {parts.query, parts.password or ""} | {v for _, v in parse_qsl(parts.query) if len(v) > 5}
        if self._hides_user():
            secrets |= {parts.netloc.rpartition("@")[0], parts.username or ""}
        for secret in sorted(secrets | {unquote(secret) for secret in secrets}, key=len, reverse=True):
            said = said.replace(secret, "…") if secret else said
        # Libraries quote addresses anew, and servers send on to others, with signatures of their own.
        said = re.sub(r"(\w+://[^\s'\"?]*)\?[^\s'\"]*", r"\1?…", said)
        return re.sub(r"(\w+://)[^\s'\"/@]*:[^\s'\"/@]*@", r"\1…@", said)

    def _hides_user(self) -> bool:
        # Of some stores it is the name of a container; on the web it may be a token.
        return ":" in urlsplit(self.text).netloc.rpartition("@")[0] or self.scheme in (*_WEB, "ftp", "ftps")


def location(given: str | Path | Url) -> Path | Url:
    """Return what a path or a URL names; `file://` is a path, with all that is checked of local files.

    Raises:
        EvaluatorError: it is a URL that cannot be used, or was made a `Path`, which loses one of its slashes.
    """
    if isinstance(given, Url):
        return given
    text = str(given)
    if isinstance(given, Path):
        if re.match(r"[a-z][a-z0-9+.-]+:/", text) and not given.exists():
            raise EvaluatorError(f"{text} is no path: name a URL as text, for a Path loses one of its slashes.")
        return given
    if _CHAIN.search(text):
        raise EvaluatorError(f"{text.partition(':')[0]}:…::… is a chain of URLs: name one plain URL.")
    found = _URL.match(text)
    if found is None:
        return Path(text)
    try:
        urlsplit(text)
    except ValueError as error:
        raise EvaluatorError(f"This is no URL ({error}): {text.partition('?')[0].rpartition('@')[2]}") from None
    if found[1].lower() in _LOCAL:
        return Path(unquote(text[found.end() :].removeprefix("localhost")))
    if text[found.end() :].strip("/") == "":
        raise EvaluatorError(f"{text} names no place: add a bucket or a server, and a path.")
    return Url(text)


def expand(url: Url) -> list[Url]:
    """Return what a URL whose last part has a `*` stands for, by name, as a shell does for a path; else the URL.

    Raises:
        EvaluatorError: nothing has such a name, or the store cannot be asked.
    """
    folder, _, pattern = url.text.rstrip("/").rpartition("/")
    if "*" not in pattern or "?" in url.text:
        return [url]
    entries = Remote(Url(folder)).entries()
    names = [e.name for e in entries if e.kind != "other" and fnmatch.fnmatchcase(e.name, pattern)]
    if not names:
        raise EvaluatorError(f"Nothing at {Url(folder)} has a name like {pattern}.")
    return [Url(folder).child(name) for name in names]


@dataclass(frozen=True)
class Entry:
    """One thing that a store holds."""

    name: str
    """Below the URL, with slashes."""
    path: str
    """As the store names it."""
    kind: Literal["file", "folder", "other"]
    """`other`: a link, a device, or a name that leads elsewhere."""
    size: int | None = None
    """Bytes; None where the store does not say."""
    stamp: str = ""
    """What the store says that changes when the bytes do; empty where it says nothing."""


class Remote:
    """What lies behind a URL. Each folder is listed once."""

    def __init__(self, url: Url) -> None:
        """Open the store; what it holds is asked for anew.

        Raises:
            EvaluatorError: a package is missing, or no store has such URLs.
        """
        self.url = url
        self._fs, self._root = _open(url)
        self._fs.invalidate_cache()
        self._fs.dircache.clear()  # which that of the web leaves as it is
        self._listed: dict[str, list[Entry]] = {}

    def entry(self) -> Entry:
        """Return what the URL itself is.

        Raises:
            Missing: there is nothing.
            EvaluatorError: the store cannot be asked.
        """
        if self.url.scheme in _WEB and self.url.text.endswith("/"):
            return Entry("", self._root, "folder")
        return _entry("", self._call(lambda: self._fs.info(self._root), ""))

    def entries(self, folder: Entry | None = None) -> list[Entry]:
        """Return what lies in a folder itself, sorted by name; of the URL if none is given.

        Raises:
            Missing: there is no such folder.
            EvaluatorError: the store cannot be asked.
        """
        place, prefix = (folder.path, f"{folder.name}/") if folder else (self._root, "")
        if place not in self._listed:
            listed = self._call(lambda: self._fs.ls(place, detail=True), prefix.rstrip("/"))
            self._listed[place] = sorted(self._below(listed, place.rstrip("/") + "/", prefix), key=lambda e: e.name)
        return self._listed[place]

    def _below(self, listed: list[dict[str, Any]], place: str, prefix: str) -> Iterator[Entry]:
        web = self.url.scheme in _WEB
        for info in listed:
            path = str(info["name"])
            # Some stores name things from their root with a slash, some without.
            below = path.lstrip("/").removeprefix(place.lstrip("/"))
            if web and (below == path or "?" in below or "#" in below):
                continue  # a link on the page that leads elsewhere, or sorts the list
            # S3 has keys such as a//b; to s3fs, what is between the slashes is a folder of the same name again.
            nameless = path.endswith("/") and str(info.get("StorageClass")) == "DIRECTORY"
            if path.strip("/") == place.strip("/") and not nameless and not info.get("size"):
                continue  # the folder itself: some stores keep an empty file for it
            name = unquote(below.rstrip("/")) if web else below.removesuffix("/")
            found = _entry(prefix + name, info)
            odd = below == path or name in ("", ".", "..") or "/" in name
            yield replace(found, kind="other", name=f"/{path.lstrip('/')}") if odd else found

    def walk(self, depth: int) -> Iterator[Entry]:
        """Yield all files, and what else is no folder, so many levels deep; a folder deeper than that as it is.

        Raises:
            Missing: there is no such folder.
            EvaluatorError: the store cannot be asked.
        """
        folders: list[Entry | None] = [None]
        while folders:
            for entry in self.entries(folders.pop()):
                if entry.kind == "folder" and entry.name.count("/") + 1 < depth:
                    folders.append(entry)
                else:
                    yield entry

    def stat(self, entries: list[Entry]) -> list[Entry]:
        """Return files with size and stamp, asking for each of which the listing told none.

        Raises:
            EvaluatorError: the store cannot be asked, or one of them is gone.
        """

        def asked(entry: Entry) -> Entry:
            if entry.size is not None and entry.stamp:
                return entry
            info = self._call(lambda: self._fs.info(entry.path), entry.name)
            return replace(_entry(entry.name, info), path=entry.path)

        return self._each(asked, entries)

    def copy(self, wanted: Mapping[Path, Entry]) -> None:
        """Copy files, each whole or not at all.

        Args:
            wanted: what each copy is of; the folders of the copies are made.

        Raises:
            EvaluatorError: a file cannot be read to its end, or its copy cannot be written.
        """

        def copied(item: tuple[Path, Entry]) -> None:
            target, entry = item
            target.parent.mkdir(parents=True, exist_ok=True)
            self._call(lambda: self._copy_one(entry, target), entry.name)

        self._each(copied, list(wanted.items()))

    def _copy_one(self, entry: Entry, target: Path) -> None:
        part = target.parent / f".{uuid.uuid4().hex}.fetched"
        try:
            self._fs.get_file(entry.path, str(part))
            size = part.stat().st_size
            if entry.size is not None and size != entry.size:
                raise OSError(errno.EIO, f"{size} bytes came of {entry.size}")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _each(self, function: Callable[[Any], T], items: list[Any]) -> list[T]:
        # Other stores than those made for it may have one connection, which threads must not share.
        if not self._fs.async_impl or len(items) < 2:
            return [function(item) for item in items]
        pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="fetch")
        try:
            # In a context of the caller's, so that it is noted there what was read again.
            begun: list[Future[T]] = [pool.submit(contextvars.copy_context().run, function, item) for item in items]
            return [future.result() for future in begun]
        finally:
            pool.shutdown(cancel_futures=True)

    def _call(self, ask: Callable[[], T], name: str) -> T:
        """Return what a store answers, asked up to three times.

        Raises:
            EvaluatorError: it does not, or this machine's disk is full.
        """

        def attempt() -> T:
            try:
                return ask()
            except Exception as problem:  # each store has its own kinds of exceptions
                # To fsspec, a file of a web server that cannot be reached does not exist.
                cause = problem.__cause__ if isinstance(problem, FileNotFoundError) else None
                error = cause if isinstance(cause, Exception) and self.url.scheme in _WEB else problem
                if _passes(error):
                    raise OSError(errno.EIO, self._said(error)) from None
                raise error from None

        try:
            return patiently(attempt, name or str(self.url))
        except Exception as error:
            place, status = f"{name} at {self.url}" if name else str(self.url), getattr(error, "status", None)
            if isinstance(error, FileNotFoundError) or status in (404, 410):
                raise Missing(f"There is no {place}; or it is hidden without the right credentials.") from None
            if isinstance(error, OSError) and error.errno in _HERE:
                raise EvaluatorError(f"{self.url} cannot be copied to this machine ({error.strerror}).") from None
            denied = isinstance(error, PermissionError) or status in (401, 403)
            fix = (
                "Give the credentials that its store asks for, as its own tools take them from the environment."
                if denied
                else "Look whether the address is right and the network is up, and run again."
            )
            raise EvaluatorError(f"{place} cannot be read ({self._said(error)}). {fix}") from None

    def _said(self, error: Exception) -> str:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return self.url.scrubbed(text).rstrip(".")


def room(folder: Path, entries: list[Entry], url: Url) -> None:
    """Say that files are fetched, and check that there is room for them.

    Raises:
        EvaluatorError: there is not.
    """
    size, free = sum(entry.size or 0 for entry in entries), shutil.disk_usage(folder).free
    if size > free:
        raise EvaluatorError(
            f"{url} holds {_human(size)} to be copied to {folder}, which has room for {_human(free)}. Make room, or "
            "name another folder: EVALUATOR_CACHE for data sets, TMPDIR for submissions."
        )
    LOG.info("Fetching %d file%s, %s, from %s.", len(entries), "" if len(entries) == 1 else "s", _human(size), url)


def _human(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _open(url: Url) -> tuple[Any, str]:
    try:
        from fsspec.config import conf
        from fsspec.core import url_to_fs
    except ImportError:
        raise EvaluatorError(f"{url} needs the package fsspec: {install('remote')}.") from None
    options: dict[str, Any] = {}
    try:
        if url.scheme in _WEB:
            import aiohttp

            # Its own limit is five minutes for a whole file, however well it comes.
            patience = aiohttp.ClientTimeout(total=None, sock_connect=_SILENCE_S, sock_read=_SILENCE_S)
            options["client_kwargs"] = {"timeout": patience} | conf.get(url.scheme, {}).get("client_kwargs", {})
        fs, root = url_to_fs(url.text, **options)  # type: ignore[no-untyped-call]
    except ImportError as error:
        why = str(error) if url.scheme not in _WEB else "Install aiohttp to access the web"
        raise EvaluatorError(f"{url} needs a package that is not installed here: {why}.") from None
    except Exception as error:  # each store has its own kinds of exceptions
        raise EvaluatorError(f"{url} cannot be opened ({url.scrubbed(error)}).") from None
    return fs, str(root)


def _entry(name: str, info: Mapping[str, Any]) -> Entry:
    kinds: dict[Any, Literal["file", "folder"]] = {"file": "file", "directory": "folder"}
    kind: Literal["file", "folder", "other"] = "other" if info.get("islink") else kinds.get(info["type"], "other")
    said = {key: re.sub(r"[-_]", "", str(key)).lower() for key in info}
    stamp = ", ".join(sorted(f"{k}={info[key]}" for key, k in said.items() if k in _STAMPS and info[key] is not None))
    size = info.get("size")
    return Entry(name, str(info["name"]), kind, None if size is None else int(size), stamp if kind == "file" else "")


def _passes(error: Exception) -> bool:
    """Tell whether an error may be over soon."""
    status = getattr(error, "status", None)
    lasting = isinstance(status, int) and 400 <= status < 500 and status not in _AGAIN
    return not lasting and not isinstance(error, _LASTING) and getattr(error, "errno", None) not in _HERE
