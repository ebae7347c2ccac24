"""SIDD's blocks in MATLAB files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import Pixels
from evaluator.tasks.manifests import manifest_digest
from evaluator.tasks.readers.base import read_pinned
from evaluator.tasks.spec import BlocksSplit


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

    def files(self) -> list[str]:
        """See `Reader`."""
        return [name for name in (self.spec.inputs, self.spec.references) if name is not None]

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
        shapes = {name: self._blocks(name).shape for name in self.files()}
        for name, shape in shapes.items():
            if shape[0] != self.spec.count or shape != shapes[self.files()[-1]]:
                expected = f"{self.spec.count} blocks of the shape of {self.files()[-1]}"
                finding = Finding.error("data-count", name, expected, f"{shape}", "Get the file again.")
                raise EvaluatorError(f"The data set in {self.folder} is not whole.", [finding])
        return [str(number) for number in range(self.spec.count)]

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """See `Reader`."""
        return {"input": Pixels(self._blocks(self.spec.inputs)[int(case_id)], 255.0)}

    def reference(self, case_id: str) -> Pixels | None:
        """See `Reader`."""
        if self.spec.references is None:
            return None
        return Pixels(self._blocks(self.spec.references)[int(case_id)], 255.0)

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """See `Reader`."""
        return None

    def group(self, case_id: str) -> str:
        """See `Reader`."""
        return ""

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {n: hashlib.sha256(read_pinned(self.folder, n, self.manifest)).hexdigest() for n in self.files()}

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
