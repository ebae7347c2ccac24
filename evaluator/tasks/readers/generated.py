"""Mini splits, made on the spot."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import ImageProblem, Pixels, decode, encode_npy, encode_png, pixels_digest
from evaluator.patience import patiently
from evaluator.tasks.manifests import format_manifest, manifest_digest
from evaluator.tasks.readers.base import alone, as_mask, natural_key


class GeneratedReader:
    """Cases made by a generator, kept as PNG (floats as `.npy`) in the cache, every value pinned by the manifest."""

    def __init__(self, generator: str, folder: Path, manifest: Mapping[str, str]) -> None:
        self.generator = generator
        self.folder = folder
        self.manifest = manifest

    @cached_property
    def _roles(self) -> dict[str, list[str]]:
        """Case → roles of its images."""
        found: dict[str, list[str]] = {}
        for name in self.manifest:
            role, _, case = name.partition("/")
            if case:
                found.setdefault(case, []).append(role)
        return {case: sorted(found[case]) for case in sorted(found, key=natural_key)}

    def case_ids(self) -> Sequence[str]:
        """See `Reader`."""
        return list(self._roles)

    def _read(self, name: str) -> Pixels:
        try:
            pixels = self._decode(name)
        except (OSError, ImageProblem):
            with self._alone():
                pixels = self._made(name)  # not made yet, or damaged since
        if pixels_digest(pixels.array) != self.manifest[name]:
            raise EvaluatorError(
                f"{self.folder / name} is not what was generated. Remove the folder {self.folder} and run again."
            )
        return pixels

    def _made(self, name: str) -> Pixels:
        try:
            return self._decode(name)  # by another thread or process, meanwhile
        except (OSError, ImageProblem):
            self._generate()
        try:
            return self._decode(name)
        except OSError as error:
            raise EvaluatorError(f"{self.folder / name} cannot be read ({error.strerror}).") from None

    def _alone(self) -> AbstractContextManager[None]:
        """Let one make the set: another would take it away while it is read."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        return alone(self.folder.parent)

    def _decode(self, name: str) -> Pixels:
        file = self.folder / f"{name}.png"
        file = file if file.exists() else file.with_suffix(".npy")
        return decode(patiently(file.read_bytes, name))

    def _generate(self) -> None:
        """Make all cases, compare them with the manifest, and put them in place in one step."""
        from evaluator.tasks.mini import GENERATORS

        self.folder.parent.mkdir(parents=True, exist_ok=True)
        found: dict[str, str] = {}
        groups: dict[str, str] = {}
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as name:
            work = Path(name) / "set"
            for made in GENERATORS[self.generator]():
                for path, array in made.arrays().items():
                    _put(work / path, array)
                found |= made.digests()
                if made.group:
                    groups[made.case] = made.group
            (work / "groups.json").write_text(json.dumps(groups, sort_keys=True), encoding="utf-8")
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

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """See `Reader`."""
        roles = [role for role in self._roles[case_id] if role not in ("reference", "mask")]
        return {role: self._read(f"{role}/{case_id}") for role in roles}

    def reference(self, case_id: str) -> Pixels | None:
        """See `Reader`."""
        return self._read(f"reference/{case_id}") if "reference" in self._roles[case_id] else None

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """See `Reader`."""
        name = f"mask/{case_id}"
        return as_mask(self._read(name), name) if "mask" in self._roles[case_id] else None

    @cached_property
    def _groups(self) -> dict[str, str]:
        file = self.folder / "groups.json"
        if not file.exists():
            with self._alone():
                if not file.exists():
                    self._generate()
        groups: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return groups

    def group(self, case_id: str) -> str:
        """See `Reader`."""
        return self._groups.get(case_id, "")

    def digest(self) -> str:
        """See `Reader`."""
        return manifest_digest(self.manifest)

    def verify(self) -> list[Finding]:
        """See `Reader`."""
        try:
            for case in self.case_ids():
                self.inputs(case)
                self.reference(case)
                self.mask(case)
        except EvaluatorError as error:
            fix = "See the message."
            return [Finding.error("data-digest", str(self.folder), "the published mini split", str(error), fix)]
        return []

    def files(self) -> list[str]:
        """See `Reader`; they are made if they are not there yet."""
        _ = self._groups
        return sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())


def _put(path: Path, array: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if array.dtype.kind == "f":
        path.with_name(f"{path.name}.npy").write_bytes(encode_npy(array))
    else:
        path.with_name(f"{path.name}.png").write_bytes(encode_png(array))
