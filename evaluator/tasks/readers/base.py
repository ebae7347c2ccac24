"""What all readers share: the interface, natural order, pinned files."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import ImageProblem, Pixels, decode
from evaluator.patience import patiently
from evaluator.remote import LOG


class Reader(Protocol):
    """What a split needs of its data."""

    @property
    def folder(self) -> Path:
        """The folder that the files lie in."""
        ...

    def case_ids(self) -> Sequence[str]:
        """Return the ids of all cases, in the split's order; raise EvaluatorError where files are missing."""
        ...

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """Return what a method is given, by role: `input`, or `left` and `right`, and so on."""
        ...

    def reference(self, case_id: str) -> Pixels | None:
        """Return what its output is compared with; None where there is nothing."""
        ...

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """Return where the input is in focus, `(H, W)`; None where that is not known."""
        ...

    def group(self, case_id: str) -> str:
        """Return the group whose mean is published beside that of all; empty if there are none."""
        ...

    def digest(self) -> str:
        """Return the data set's digest."""
        ...

    def verify(self) -> list[Finding]:
        """Read everything and return what is wrong."""
        ...

    def files(self) -> list[str]:
        """Return the names of all files that the split is read from, below its folder."""
        ...


_NUMBER = re.compile(r"(\d+)")


def natural_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key by which `9` stands before `10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBER.split(text) if part]


def read_pinned(folder: Path, name: str, manifest: Mapping[str, str] | None) -> bytes:
    """Read a file of the data set and compare it with its sha256.

    Raises:
        EvaluatorError: it is missing, unreadable, or another file than the published one.
    """
    try:
        data = patiently((folder / name).read_bytes, name)
    except OSError as error:
        finding = Finding.error(
            "data-missing", name, "a readable file", str(error.strerror), "Get the data set again; see `tasks show`."
        )
        raise EvaluatorError(f"{folder / name} cannot be read.", [finding]) from None
    if manifest is not None:
        got = hashlib.sha256(data).hexdigest()
        if got != manifest.get(name):
            finding = Finding.error(
                "data-digest",
                name,
                f"sha256 {manifest[name]}" if name in manifest else "a file of the published set",
                got,
                "Get the published file, or run again if it was changed meanwhile; scores would not be comparable.",
            )
            raise EvaluatorError(f"{folder / name} is not the file that belongs to the data set.", [finding])
    return data


def read_pixels(folder: Path, name: str, manifest: Mapping[str, str] | None) -> Pixels:
    """Read an image of the data set.

    Raises:
        EvaluatorError: it is missing, another file than the published one, or no whole image.
    """
    try:
        return decode(read_pinned(folder, name, manifest))
    except ImageProblem as problem:
        finding = Finding.error(f"data-{problem.code}", name, problem.expected, problem.got, "Get the file again.")
        raise EvaluatorError(f"{folder / name} cannot be used.", [finding]) from None


def as_mask(pixels: Pixels, name: str) -> NDArray[np.bool_]:
    """Return a gray image of 0 and 255 as a mask.

    Raises:
        EvaluatorError: it is none.
    """
    array = pixels.array
    if array.shape[2] != 1 or array.dtype != np.uint8 or not set(np.unique(array).tolist()) <= {0, 255}:
        got = f"{array.dtype} with {array.shape[2]} channels"
        finding = Finding.error("data-mask", name, "8-bit gray of 0 and 255", got, "Get the file again.")
        raise EvaluatorError(f"{name} is no mask.", [finding])
    return np.asarray(array[:, :, 0] == 255)


_one_thread = threading.Lock()


@contextmanager
def alone(place: Path, waiting: str = "") -> Iterator[None]:
    """Let no other thread or process be at a file or folder; one that is killed is at it no more.

    Args:
        place: what is locked; it must exist.
        waiting: what is said where somebody else is at it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock; there two processes may meet
        with _one_thread:
            yield
        return
    lock = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                LOG.info(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
