"""Fixtures for the sandbox: each level that holds on this machine, and a way to run Python code in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox import Child, Isolation, Level, Limits, launch, python_roots
from evaluator.runners.sandbox.probing import prove

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")
Start = Callable[..., Child]


@lru_cache
def proved(level: Level) -> Isolation | str:
    try:
        return prove(level)
    except EvaluatorError as error:
        return str(error)


def available(level: Level) -> Isolation:
    if sys.platform != "linux":
        pytest.skip("isolation needs Linux")
    found = proved(level)
    if isinstance(found, str):
        pytest.skip(f"level {level} is not available here: {found}")
    return found


@pytest.fixture(params=[Level.A, Level.B, Level.C])
def isolated(request: pytest.FixtureRequest) -> Isolation:
    """Each level that isolates."""
    return available(request.param)


@pytest.fixture(params=[Level.A, Level.B, Level.C, Level.LIMITS])
def limited(request: pytest.FixtureRequest) -> Isolation:
    """Each level that limits."""
    return available(request.param)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python code in a sandbox; keyword arguments of `Limits` and of `launch`."""
    children = []

    def run(isolation: Isolation, code: str, *, limits: Limits | None = None, **options: Any) -> Child:
        options.setdefault("readable", python_roots())
        command = [sys.executable, "-I", *([] if options.pop("site", False) else ["-S"]), "-c", code]
        child = launch(command, isolation=isolation, limits=limits or Limits(), **options)
        children.append(child)
        return child

    yield run
    for child in children:
        child.close()


@pytest.fixture
def answer(start: Start) -> Callable[..., Any]:
    """Run code in a sandbox that calls `say(object)` once; return the object."""

    def run(isolation: Isolation, code: str, **options: Any) -> Any:
        intro = "import ctypes, errno, json, os, sys, time\nsay = lambda it: print(json.dumps(it), flush=True)\n"
        child = start(isolation, intro + code, **options)
        text = b""
        while piece := os.read(child.stdout.fileno(), 65536):
            text += piece
        child.wait(20)
        assert child.stopped is None, f"{child.stopped}: {child.log()}"
        return json.loads(text)

    return run


class Outside(NamedTuple):
    """What lies outside: open to every user, so that nothing but the sandbox keeps a child from it."""

    folder: Path
    file: Path
    text: str
    process: subprocess.Popen[bytes]
    port: int
    abstract: str


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A file that every user may write, listeners, and a process, outside of every sandbox."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    file, name = folder / "reference.png", uuid.uuid4().hex
    file.write_text(name)
    file.chmod(0o666)
    process = subprocess.Popen([shutil.which("sleep") or "sleep", "60"], env={"SECRET": name})
    with socket.create_server(("127.0.0.1", 0)) as loopback, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        yield Outside(folder, file, name, process, loopback.getsockname()[1], name)
    process.kill()
    process.wait()
    shutil.rmtree(folder)
