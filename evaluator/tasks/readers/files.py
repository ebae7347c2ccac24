"""Data sets whose images lie in folders."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import Pixels
from evaluator.tasks.manifests import manifest_digest
from evaluator.tasks.readers.base import as_mask, natural_key, read_pinned, read_pixels
from evaluator.tasks.spec import FilesSplit, Selection

_HIDDEN = re.compile(r"(?:^|/)(?:\.|Thumbs\.db)")  # what file managers leave behind is no case
_TOKEN = re.compile(r"\{[^{}/]*\}|\*")
_MASK, _REFERENCE = "mask", "reference"


class FilesReader:
    """Images in folders. A case's id is what the wildcards of its pattern stand for, joined by slashes.

    `*` stands for any part of a name, `{a,b}` for one of those listed. The images of one case are found by their id:
    never by position in a listing.
    """

    def __init__(self, spec: FilesSplit, folder: Path, manifest: Mapping[str, str] | None) -> None:
        self.spec = spec
        self.folder = folder
        self.manifest = manifest

    @cached_property
    def _files(self) -> dict[str, dict[str, str]]:
        """Case → role → file.

        Raises:
            EvaluatorError: the data set is not whole.
        """
        by_role = {role: self._listing(patterns) for role, patterns in self.spec.roles().items()}
        cases = sorted(set().union(*by_role.values()), key=natural_key)
        if self.spec.select is not None:
            chosen = self._chosen(self.spec.select)
            cases = [case for case in cases if case.rpartition("/")[2] in chosen]
        findings = []
        for role, files in by_role.items():
            for name in (files[c] for c in cases if not c.isprintable() and c in files):
                got, fix = "characters that cannot be shown", "Rename it, and its partners likewise."
                findings.append(Finding.error("data-name", repr(name), "a printable UTF-8 name", got, fix))
            for case in (c for c in cases if c not in files):
                have = next(f[case] for f in by_role.values() if case in f)
                wanted = filled(self.spec.roles()[role][0], case)
                fix = "Get the data set again."
                findings.append(Finding.error("data-missing", wanted, f"the partner of {have}", "no such file", fix))
        if not findings and self.spec.count is not None and len(cases) != self.spec.count:
            known = {name for files in by_role.values() for name in files.values()}
            missing = sorted(set(self.manifest or ()) - known, key=natural_key)
            listed = f"; missing: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}" if missing else ""
            what = "pairs" if self.spec.references else "images"
            where = f"{self.folder}/{next(iter(self.spec.roles().values()))[0]}"
            got, fix = f"{len(cases)}{listed}", "Get the data set again."
            findings.append(Finding.error("data-count", where, f"{self.spec.count} {what}", got, fix))
        if findings:
            raise EvaluatorError(f"The data set in {self.folder} is not whole.", findings)
        return {case: {role: files[case] for role, files in by_role.items()} for case in cases}

    def _chosen(self, select: Selection) -> set[str]:
        """Return the names, without suffix, of the images that belong to the split.

        Raises:
            EvaluatorError: the table is not there, or has a line with too few words.
        """
        try:
            rows = [line.split() for line in (self.folder / select.file).read_text(encoding="utf-8").splitlines()]
            return {row[0].rpartition(".")[0] for row in rows if row and row[select.column - 1] == select.value}
        except (OSError, ValueError, IndexError) as error:
            finding = Finding.error("data-list", select.file, "the table of cases", str(error), "Get it again.")
            raise EvaluatorError(f"The data set in {self.folder} is not whole.", [finding]) from None

    def _listing(self, patterns: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for case, name in (match for pattern in patterns for match in matches(self.folder, pattern)):
            if found.setdefault(case, name) != name:
                finding = Finding.error("data-twice", name, "one file a case", f"also {found[case]}", "Remove one.")
                raise EvaluatorError(f"The data set in {self.folder} has a case twice.", [finding])
        return found

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        return list(self._files)

    def _read(self, case_id: str, role: str) -> Pixels:
        return read_pixels(self.folder, self._files[case_id][role], self._pins)

    @cached_property
    def _seen(self) -> Mapping[str, str]:
        """The sha256 of each file, where no manifest says what they must be."""
        return {n: hashlib.sha256(read_pinned(self.folder, n, None)).hexdigest() for n in self.files()}

    @property
    def _pins(self) -> Mapping[str, str] | None:
        # A run's digest is of all files as they were then; whatever it reads later must be the same.
        return self.manifest if self.manifest is not None else self.__dict__.get("_seen")

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """See `Reader`."""
        return {role: self._read(case_id, role) for role in self._files[case_id] if role not in (_REFERENCE, _MASK)}

    def reference(self, case_id: str) -> Pixels | None:
        """See `Reader`."""
        return self._read(case_id, _REFERENCE) if self.spec.references else None

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """See `Reader`."""
        if not self.spec.masks:
            return None
        return as_mask(self._read(case_id, _MASK), self._files[case_id][_MASK])

    @cached_property
    def _groups(self) -> dict[str, str]:
        """Case → group, from lists of case ids or of places in the natural order, counted from 1."""
        cases = list(self._files)
        found: dict[str, str] = {}
        for group, name in self.spec.groups.items():
            try:
                words = (self.folder / name).read_text(encoding="utf-8").replace(",", " ").split()
            except (OSError, ValueError) as error:
                finding = Finding.error("data-groups", name, f"the cases of group {group}", str(error), "Get it again.")
                raise EvaluatorError(f"The data set in {self.folder} is not whole.", [finding]) from None
            places = not set(words) <= set(cases) and all(w.isdecimal() and 1 <= int(w) <= len(cases) for w in words)
            for word in words:
                case = cases[int(word) - 1] if places else word
                if case not in self._files or found.setdefault(case, group) != group:
                    got = f"{word}, which is no case or has two groups"
                    finding = Finding.error("data-groups", name, "case ids, each in one group", got, "Correct it.")
                    raise EvaluatorError(f"The groups of the data set in {self.folder} make no sense.", [finding])
        return found

    def group(self, case_id: str) -> str:
        """See `Reader`."""
        return self._groups.get(case_id, "")

    def digest(self) -> str:
        """See `Reader`: of the manifest where there is one, else of all files, which are read for it."""
        if self.manifest is not None:
            return manifest_digest(self.manifest)
        return manifest_digest(self._seen)

    def files(self) -> list[str]:
        """See `Reader`."""
        names = [name for files in self._files.values() for name in files.values()] + list(self.spec.groups.values())
        return names + ([self.spec.select.file] if self.spec.select else [])

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        findings: list[Finding] = []
        try:
            files = self._files
            _ = self._groups
        except EvaluatorError as error:
            return list(error.findings)
        for case, names in files.items():
            shapes: dict[str, tuple[int, ...]] = {}
            for role, name in names.items():
                try:
                    shapes[name] = self._read(case, role).array.shape[: 2 if role == _MASK else 3]
                except EvaluatorError as error:
                    findings.extend(error.findings)
            findings += self._compare(case, shapes)
        return findings

    def _compare(self, case: str, shapes: Mapping[str, tuple[int, ...]]) -> list[Finding]:
        if not shapes:
            return []
        (first, shape), *others = shapes.items()
        wrong = [(name, other) for name, other in others if other != shape[: len(other)]]
        if wrong:
            name, other = wrong[0]
            got = f"{shape} and {other}"
            return [Finding.error("data-size", first, f"the shape of {name}", got, f"Look at case {case}.")]
        if self.spec.size and shape[1::-1] != self.spec.size:
            size = "×".join(map(str, self.spec.size))
            return [Finding.error("data-size", first, size, f"{shape[1]}×{shape[0]}", "Get the file again.")]
        return []


def matches(folder: Path, pattern: str) -> Iterator[tuple[str, str]]:
    """Yield (case id, path below the folder) of the files that a pattern names, sorted by path.

    A suffix that a last `*` stands for is no part of the id.
    """
    yield from matching(set(_names(folder, pattern)), pattern)


def has_match(folder: Path, pattern: str) -> bool:
    """Tell whether a folder has a file that a pattern names."""
    return any(True for name in _names(folder, pattern) for _ in matching([name], pattern))


def _names(folder: Path, pattern: str) -> Iterator[str]:
    for each in globs(pattern):
        # Not Path.glob: a path for each of a hundred thousand files takes its time.
        yield from (name.replace(os.sep, "/") for name in glob.iglob(each, root_dir=folder))  # noqa: PTH207


def globs(pattern: str) -> set[str]:
    """Return the patterns of `*` alone that a pattern stands for."""
    parts, tokens = _TOKEN.split(pattern), _TOKEN.findall(pattern)
    choices = [[t] if t == "*" else t[1:-1].split(",") for t in tokens]
    return {"".join(a + b for a, b in zip(parts, [*chosen, ""], strict=True)) for chosen in product(*choices)}


def matching(names: Iterable[str], pattern: str) -> Iterator[tuple[str, str]]:
    """Yield (case id, name) of the names that a pattern means, sorted; see `matches`."""
    tokens = _TOKEN.findall(pattern)
    literals = [re.escape(part) for part in _TOKEN.split(pattern)]
    groups = ["([^/]*)" if t == "*" else "(" + "|".join(map(re.escape, t[1:-1].split(","))) + ")" for t in tokens]
    expression = re.compile("".join(a + b for a, b in zip(literals, [*groups, ""], strict=True)))
    for name in sorted(names):
        matched = expression.fullmatch(name)
        if matched and not _HIDDEN.search(name):
            case = "/".join(matched.groups())
            yield (case.rpartition(".")[0] or case) if pattern.endswith("*") else case, name


def filled(pattern: str, case: str) -> str:
    """Return the name of the file that a pattern has for a case."""
    count = len(_TOKEN.findall(pattern))
    values = iter(case.split("/", count - 1))
    return _TOKEN.sub(lambda _: next(values, "*"), pattern)
