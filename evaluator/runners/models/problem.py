"""What can be wrong with a submitted model, and the words for it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from evaluator.extras import install

_SHOWN = 200
_BACKEND = "KERAS_BACKEND"

Foreign: TypeAlias = Any
"""An object of a framework, of a file format, or of a submission: none of them brings types."""


class ModelProblem(Exception):
    """A model that cannot be loaded or run as its manifest says; becomes a finding where the file's name is known."""

    def __init__(self, code: str, *, expected: str, got: str, fix: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.code = code
        self.expected = expected
        self.got = got
        self.fix = fix


def one_line(error: BaseException) -> str:
    """Return an exception as one short line without characters that a terminal would obey."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TorchScript says first that something failed, then where, and at the end what.
    told = lines[-1] if lines and "TorchScript interpreter" in lines[0] else "".join(lines[:1])
    text = f"{type(error).__name__}: {told}" if told else type(error).__name__
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= _SHOWN else plain[: _SHOWN - 1] + "…"


def runtime(module: str, extra: str) -> Foreign:
    """Import a framework's module.

    Raises:
        ModelProblem: it is not installed; the fix is the line to type.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelProblem(
            "model-missing-runtime",
            expected=f"{module.partition('.')[0]} on this machine",
            got=one_line(error),
            fix=install(extra),
        ) from None


@contextmanager
def loading(
    what: str,
    *,
    code: str = "model-load",
    fix: str = "Load the file yourself with the versions that `evaluate doctor` lists; export it again.",
) -> Iterator[None]:
    """Turn whatever a framework raises while it loads or looks at a file into a problem.

    Args:
        what: what was expected.
        code: of the problem.
        fix: what to do about it.

    Raises:
        ModelProblem: anything was raised inside.
    """
    try:
        yield
    except ModelProblem:
        raise
    except Exception as error:
        raise ModelProblem(code, expected=what, got=one_line(error), fix=fix) from error


@contextmanager
def keras_on(backend: str, *, always: bool = False) -> Iterator[None]:
    """Have Keras take a backend where it is first imported inside; processes started later do not inherit the choice.

    Not for two threads at once.

    Args:
        backend: `tensorflow` or `torch`.
        always: also where KERAS_BACKEND names another.
    """
    before = os.environ.get(_BACKEND)
    if before is None or always:
        os.environ[_BACKEND] = backend
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_BACKEND, None)
        else:
            os.environ[_BACKEND] = before
