"""Stores for the tests of URLs: one in memory, and a web server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

SECRET = "s3cr3t-t0ken"  # noqa: S105 - looked for in what is shown


def put(folder: Path, url: str) -> Any:
    """Put a folder into the store in memory; return its file system."""
    fs = fsspec.filesystem("memory")
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        fs.pipe_file(f"{url.removeprefix('memory:/')}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return fs


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def store_in_memory() -> Iterator[Any]:
    """Yield the store in memory, empty at the start and at the end."""
    fs = fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield fs
    MemoryFileSystem.store.clear()
