"""Which folders of the host a child may read."""

from __future__ import annotations

import os
import site
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import evaluator
from evaluator.findings import EvaluatorError

SYSTEM = tuple(Path(f"/{name}") for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"))
"""Programs and libraries of the system, which every child reads."""


def python_roots() -> tuple[Path, ...]:
    """Return what a Python child reads: interpreter, packages, and this package without the folder around it."""
    prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    packages = [*site.getsitepackages(), site.getusersitepackages()]
    packages += [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    links = [Path(sys.executable)]
    while links[-1].is_symlink() and len(links) < 40:
        links.append(links[-1].parent / links[-1].readlink())
    paths = [*map(Path, prefixes), *map(Path, packages), *links, Path(evaluator.__file__).parent]
    return covering(p for path in paths if path.exists() for p in (Path(os.path.abspath(path)), path.resolve()))  # noqa: PTH100


def covering(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths without those that lie in another of them or in the system's folders, sorted."""
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda p: len(p.parts)):
        if not any(path.is_relative_to(root) for root in (*SYSTEM, *kept)):
            kept.append(path)
    return tuple(sorted(kept))


def refuse_hidden(roots: Iterable[Path], hidden: Sequence[Path]) -> None:
    """Raise if a child that reads the roots would also read a hidden folder.

    Raises:
        EvaluatorError: a root is one of the hidden folders, or lies around one.
    """
    for root in roots:
        for folder in hidden:
            if folder.resolve().is_relative_to(root.resolve()):
                raise EvaluatorError(
                    f"{folder} must stay hidden from submissions, but lies in {root}, which they have to read. "
                    "Move it out of there."
                )


def open_to_others(path: Path) -> bool:
    """Tell whether a user who owns nothing can read the file or folder itself, whatever lies around it."""
    mode = path.stat().st_mode
    return bool(mode & stat.S_IROTH and (mode & stat.S_IXOTH or not stat.S_ISDIR(mode)))


def reached_by_others(path: Path) -> bool:
    """Tell whether a user who owns nothing can get to the path and read it."""
    real = path.resolve()
    return open_to_others(real) and all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
