"""Readers: one for each shape in which data sets keep their cases."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import ImageProblem, Pixels, decode, encode_png, pixels_digest
from evaluator.tasks.manifests import format_manifest, manifest_digest
from evaluator.tasks.spec import BlocksSplit, PairsSplit


class Reader(Protocol):
    """What a split needs of its data."""

    folder: Path

    def case_ids(self) -> Sequence[str]:
        """Return the ids of all cases, in the split's order; raise EvaluatorError where files are missing."""
        ...

    def input(self, case_id: str) -> Pixels:
        """Return what a method is given."""
        ...

    def reference(self, case_id: str) -> Pixels:
        """Return what its output is compared with."""
        ...

    def digest(self) -> str:
        """Return the data set's digest."""
        ...

    def verify(self) -> list[Finding]:
        """Read everything and return what is wrong."""
        ...


def natural_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key by which `9` stands before `10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text) if part]


def read_pinned(folder: Path, name: str, manifest: Mapping[str, str] | None) -> bytes:
    """Read a file of the data set and compare it with its sha256.

    Raises:
        EvaluatorError: it is missing, unreadable, or another file than the published one.
    """
    try:
        data = (folder / name).read_bytes()
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
                "Get the published file; scores would not be comparable.",
            )
            raise EvaluatorError(f"{folder / name} is not the published file.", [finding])
    return data


class PairsReader:
    """Input and reference images in two folders, paired by file name without its suffix."""

    def __init__(self, spec: PairsSplit, folder: Path, manifest: Mapping[str, str] | None) -> None:
        self.spec = spec
        self.folder = folder
        self.manifest = manifest

    @cached_property
    def _names(self) -> dict[str, tuple[str, str]]:
        inputs, references = self._listing(self.spec.inputs), self._listing(self.spec.references)
        findings = []
        for here, there, pattern in (
            (inputs, references, self.spec.references),
            (references, inputs, self.spec.inputs),
        ):
            for case in sorted(set(here) - set(there), key=natural_key):
                wanted = pattern.replace("*", case)
                findings.append(
                    Finding.error(
                        "data-missing",
                        wanted,
                        f"the partner of {here[case]}",
                        "no such file",
                        "Get the data set again.",
                    )
                )
        if not findings and len(inputs) != self.spec.count:
            missing = sorted(set(self.manifest or ()) - {*inputs.values(), *references.values()}, key=natural_key)
            listed = f"; missing: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}" if missing else ""
            findings.append(
                Finding.error(
                    "data-count",
                    f"{self.folder}/{self.spec.inputs}",
                    f"{self.spec.count} pairs",
                    f"{len(inputs)}{listed}",
                    "Get the data set again.",
                )
            )
        if findings:
            raise EvaluatorError(f"The data set in {self.folder} is not whole.", findings)
        return {case: (inputs[case], references[case]) for case in sorted(inputs, key=natural_key)}

    def _listing(self, pattern: str) -> dict[str, str]:
        folder = Path(pattern).parent
        hidden = (".", "Thumbs.db")  # what file managers leave behind is no case
        files = [p for p in self.folder.glob(pattern) if not p.name.startswith(hidden)]
        found: dict[str, str] = {}
        for path in sorted(files):
            if path.stem in found:
                finding = Finding.error(
                    "data-twice", f"{folder / path.name}", "one file a case", f"also {found[path.stem]}", "Remove one."
                )
                raise EvaluatorError(f"The data set in {self.folder} has a case twice.", [finding])
            found[path.stem] = (folder / path.name).as_posix()
        return found

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        return list(self._names)

    def _read(self, name: str) -> Pixels:
        try:
            return decode(read_pinned(self.folder, name, self.manifest))
        except ImageProblem as problem:
            finding = Finding.error(f"data-{problem.code}", name, problem.expected, problem.got, "Get the file again.")
            raise EvaluatorError(f"{self.folder / name} cannot be used.", [finding]) from None

    def input(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return self._read(self._names[case_id][0])

    def reference(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return self._read(self._names[case_id][1])

    def digest(self) -> str:
        """See `Reader`: of the manifest where there is one, else of all files, which are read for it."""
        if self.manifest is not None:
            return manifest_digest(self.manifest)
        names = [name for pair in self._names.values() for name in pair]
        return manifest_digest({n: hashlib.sha256((self.folder / n).read_bytes()).hexdigest() for n in names})

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        findings: list[Finding] = []
        try:
            names = self._names
        except EvaluatorError as error:
            return list(error.findings)
        for case, pair in names.items():
            shapes = []
            for name in pair:
                try:
                    shapes.append(self._read(name).array.shape)
                except EvaluatorError as error:
                    findings.extend(error.findings)
            if len(set(shapes)) > 1:
                findings.append(
                    Finding.error(
                        "data-size",
                        pair[0],
                        f"the shape of {pair[1]}",
                        f"{shapes[0]} and {shapes[1]}",
                        f"Look at case {case}.",
                    )
                )
            elif shapes and self.spec.size and shapes[0][1::-1] != self.spec.size:
                size = "×".join(map(str, self.spec.size))
                findings.append(
                    Finding.error("data-size", pair[0], size, f"{shapes[0][1]}×{shapes[0][0]}", "Get the file again.")
                )
        return findings


@lru_cache(maxsize=4)
def _load_blocks(path: Path, changed: int) -> NDArray[np.uint8]:
    from scipy.io.matlab import loadmat

    variable = path.stem
    wanted = f"an array {variable} of shape (images, blocks, height, width, 3), uint8"
    try:
        blocks = loadmat(path, variable_names=[variable]).get(variable)  # type: ignore[no-untyped-call]
        got = f"{blocks.dtype} {blocks.shape}" if blocks is not None else "no such array"
    except Exception as error:  # scipy raises many kinds of exceptions on damaged files
        blocks, got = None, str(error)
    if blocks is None or blocks.ndim != 5 or blocks.shape[-1] != 3 or blocks.dtype != np.uint8:
        finding = Finding.error("data-unreadable", path.name, wanted, got, "Get the file again.")
        raise EvaluatorError(f"{path} cannot be used.", [finding])
    flat: NDArray[np.uint8] = blocks.reshape(-1, *blocks.shape[2:])
    return flat


class BlocksReader:
    """SIDD's MATLAB arrays of blocks; a case's id is image · blocks + block, as in its Kaggle submission."""

    def __init__(self, spec: BlocksSplit, folder: Path, manifest: Mapping[str, str] | None) -> None:
        self.spec = spec
        self.folder = folder
        self.manifest = manifest

    def _blocks(self, name: str) -> NDArray[np.uint8]:
        path = self.folder / name
        if self.manifest is not None:
            _ = self._digests  # a pinned file is compared before a parser sees it
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            fix = "Get the data set again; see `tasks show`."
            finding = Finding.error("data-missing", name, "a readable file", str(error.strerror), fix)
            raise EvaluatorError(f"{path} cannot be read.", [finding]) from None
        return _load_blocks(path, changed)

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        shapes = {name: self._blocks(name).shape for name in (self.spec.inputs, self.spec.references)}
        for name, shape in shapes.items():
            if shape[0] != self.spec.count or shape != shapes[self.spec.references]:
                expected = f"{self.spec.count} blocks of the shape of {self.spec.references}"
                finding = Finding.error("data-count", name, expected, f"{shape}", "Get the file again.")
                raise EvaluatorError(f"The data set in {self.folder} is not whole.", [finding])
        return [str(number) for number in range(self.spec.count)]

    def input(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return Pixels(self._blocks(self.spec.inputs)[int(case_id)], 255.0)

    def reference(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return Pixels(self._blocks(self.spec.references)[int(case_id)], 255.0)

    @cached_property
    def _digests(self) -> dict[str, str]:
        names = (self.spec.inputs, self.spec.references)
        return {n: hashlib.sha256(read_pinned(self.folder, n, self.manifest)).hexdigest() for n in names}

    def digest(self) -> str:
        """See `Reader`."""
        return manifest_digest(self._digests)

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        try:
            self.digest()
            self.case_ids()
        except EvaluatorError as error:
            return list(error.findings)
        return []


class GeneratedReader:
    """Cases made by a generator, kept as PNG in the cache, every pixel pinned by the manifest."""

    def __init__(self, generator: str, folder: Path, manifest: Mapping[str, str]) -> None:
        self.generator = generator
        self.folder = folder
        self.manifest = manifest

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        return sorted((n.removeprefix("input/") for n in self.manifest if n.startswith("input/")), key=natural_key)

    def _read(self, name: str) -> Pixels:
        path = self.folder / f"{name}.png"
        try:
            pixels = decode(path.read_bytes())
        except (OSError, ImageProblem):
            self._generate()  # not made yet, or damaged since
            pixels = decode(path.read_bytes())
        if pixels_digest(pixels.array) != self.manifest[name]:
            raise EvaluatorError(f"{path} is not what was generated. Remove the folder {self.folder} and run again.")
        return pixels

    def _generate(self) -> None:
        """Make all cases, compare them with the manifest, and put them in place in one step."""
        from evaluator.tasks.mini import GENERATORS

        self.folder.parent.mkdir(parents=True, exist_ok=True)
        found: dict[str, str] = {}
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as name:
            work = Path(name) / "set"
            for made in GENERATORS[self.generator]():
                for image, array in made.arrays().items():
                    file = work / f"{image}.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(encode_png(array))
                    found[image] = pixels_digest(array)
            (work / "manifest.sha256").write_text(format_manifest(found), encoding="utf-8")
            if found != self.manifest:
                differ = sorted(k for k in {*found, *self.manifest} if found.get(k) != self.manifest.get(k))
                raise EvaluatorError(
                    f"The cases that {self.generator} made here are not the published mini split: {len(differ)} of "
                    f"{len(self.manifest)} images differ, first {differ[0]}. Another version of scikit-image or NumPy "
                    "may be the reason; scores would not be comparable, so nothing was scored."
                )
            if self.folder.exists():
                self.folder.rename(Path(name) / "replaced")
            try:
                os.rename(work, self.folder)  # noqa: PTH104 - another process may have been first
            except OSError:
                if not self.folder.is_dir():
                    raise

    def input(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return self._read(f"input/{case_id}")

    def reference(self, case_id: str) -> Pixels:
        """See `Reader`."""
        return self._read(f"reference/{case_id}")

    def digest(self) -> str:
        """See `Reader`."""
        return manifest_digest(self.manifest)

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        try:
            for case in self.case_ids():
                self.input(case)
                self.reference(case)
        except EvaluatorError as error:
            fix = "See the message."
            return [Finding.error("data-digest", str(self.folder), "the published mini split", str(error), fix)]
        return []
