"""Read once more what a network file system or a tired disk did not give at the first time."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
TRIES = 3
_FIRST_WAIT_S = 0.1
_PASSING = frozenset(
    {errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ENOTCONN, errno.EHOSTDOWN}
)
"""What may be over soon. A file that is not there, or that may not be read, is no such thing."""
_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)


def patiently(read: Callable[[], T], name: str) -> T:
    """Return what `read` returns, tried up to three times where the system reports an error that may pass.

    Args:
        read: reads a file; its last OSError is raised.
        name: what is said of a second try.
    """
    for number in range(1, TRIES):
        try:
            return read()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            noted = _noted.get()
            if noted is not None:
                noted.append(f"{name}: read again after {error.strerror}")
            time.sleep(_FIRST_WAIT_S * 2**number)
    return read()


@contextmanager
def noting() -> Iterator[list[str]]:
    """Collect what is read again inside, a line each."""
    lines: list[str] = []
    token = _noted.set(lines)
    try:
        yield lines
    finally:
        _noted.reset(token)
