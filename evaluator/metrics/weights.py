"""Weights and parameters that metrics need: found by name and sha256 in a folder; never downloaded while scoring."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from evaluator.metrics.contract import Unavailable


@dataclass(frozen=True)
class Weights:
    """One file that a metric needs."""

    name: str
    """Its name for `evaluate weights`, and the stem of its file."""
    files: tuple[tuple[str, str], ...]
    """(file name, sha256) of every form in which it is taken: any of them will do. Of a file whose maker publishes
    only the start of its sha256 (torchvision's), that start."""
    url: str
    """Where `evaluate weights fetch` gets the first form; empty if it cannot be fetched."""
    licence: str
    used_by: str
    """Ids of the metrics, or what their ids begin with, separated by commas."""
    how: str = ""
    """What to do where it cannot be fetched."""
    package: str = ""
    """Path inside an installed distribution that carries it: `module/path/in/it`."""

    def serves(self, metric_id: str) -> bool:
        """Tell whether a metric needs these weights."""
        return any(metric_id.startswith(name) for name in self.used_by.split(", "))


KNOWN: dict[str, Weights] = {}
"""All weights by name; metrics register theirs with `register`."""


def register(weights: Weights) -> Weights:
    """Make weights known to `evaluate weights`."""
    KNOWN[weights.name] = weights
    return weights


def weights_folder() -> Path:
    """Return the folder of weights: EVALUATOR_WEIGHTS (which `--weights` sets), or the user's cache folder."""
    from platformdirs import user_cache_path

    named = os.environ.get("EVALUATOR_WEIGHTS")
    return Path(named) if named else user_cache_path("evaluator") / "weights"


def locate(weights: Weights) -> Path | None:
    """Return the path of a file of known digest for `weights`, or None.

    The folder of weights is looked at first (also one level of subfolders), then the installed package.
    """
    folder = weights_folder()
    for name, digest in weights.files:
        for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if path.is_file() and digest_of_file(path).startswith(digest):
                return path
    return _in_package(weights)


def digest_of(weights: Weights) -> str | None:
    """Return the sha256 of the file that is used for `weights`, or None if there is none."""
    path = locate(weights)
    return None if path is None else digest_of_file(path)


def need(weights: Weights) -> Path:
    """Return the path of a file for `weights`.

    Raises:
        Unavailable: there is none; the message has the line to type.
    """
    path = locate(weights)
    if path is None:
        line = f"evaluate weights fetch {weights.name}"
        raise Unavailable(f"needs the weights {weights.name}, which are not in {weights_folder()}: {line}")
    return path


def digest_of_file(path: Path) -> str:
    """Return the sha256 of a file; read again only where it was changed since."""
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def misfits(weights: Weights) -> list[tuple[Path, str]]:
    """Return files in the folder of weights that have a name of `weights` and another sha256, with that sha256."""
    found = []
    folder = weights_folder()
    for name, digest in weights.files:
        for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if path.is_file() and not (got := digest_of_file(path)).startswith(digest):
                found.append((path, got))
    return found


def fetch(weights: Weights) -> Path:
    """Download `weights` into the folder of weights, if its sha256 is right; return the file's path.

    Raises:
        Unavailable: it has no address, cannot be had, or is another file than it should be.
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    name, digest = weights.files[0]
    target = weights_folder() / name
    by_hand = f"put a file {' or '.join(n for n, _ in weights.files)} into {weights_folder()}"
    if not weights.url:
        raise Unavailable(f"cannot be fetched; {weights.how or by_hand}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{name}.part")
    try:
        with urlopen(weights.url, timeout=60) as answer, part.open("wb") as file:  # noqa: S310 - https, from our own table
            shutil.copyfileobj(answer, file)
        got = hashlib.sha256(part.read_bytes()).hexdigest()
        if not got.startswith(digest):
            raise Unavailable(f"{weights.url} gave another file (sha256 {got}, expected {digest}…); {by_hand}")
        part.replace(target)
    except (URLError, OSError, TimeoutError) as error:
        raise Unavailable(f"{weights.url} cannot be had ({error}); {by_hand}") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _in_package(weights: Weights) -> Path | None:
    if not weights.package:
        return None
    module, _, inside = weights.package.partition("/")
    found = find_spec(module)  # finds the folder without importing the package
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(next(iter(found.submodule_search_locations))) / inside
    known = tuple(digest for _, digest in weights.files)
    return path if path.is_file() and digest_of_file(path).startswith(known) else None
