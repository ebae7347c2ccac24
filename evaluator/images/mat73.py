"""MATLAB's MAT-files of version 7.3, which are HDF5 files: only values that lie in the file itself are read.

HDF5 can take values from other files (external storage, external links, virtual data sets) and through plug-ins; a
submission could name a reference file so. Whatever is not a plain data set of the file is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evaluator.extras import install
from evaluator.images.mat5 import Allocate, Variable, check_element
from evaluator.images.pixels import ImageProblem

MAGIC = b"MATLAB 7.3 MAT-file"
allowed = True
"""Whether this process may open HDF5 files: not where nothing keeps it from doing harm."""
_DTYPES = {"uint8": "u1", "uint16": "u2", "single": "f4", "double": "f8"}
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
_VARIABLES_LIMIT = 1000
_CHUNK_FREE = 2**20


def _refused(name: str, got: str) -> ImageProblem:
    return ImageProblem(
        "hdf5",
        expected="plain arrays that lie in the file itself, with no filter but deflate, shuffle and fletcher32",
        got=f"{name}: {got}",
        fix="Save it again with MATLAB's save, or as .npy files.",
    )


class Mat73:
    """A MAT-file of version 7.3, open for reading."""

    def __init__(self, file: BinaryIO, allocate: Allocate) -> None:
        """Open it.

        Args:
            file: the file.
            allocate: makes the arrays that values are read into.

        Raises:
            ImageProblem: the package h5py is not installed, or HDF5 files may not be opened.
            OSError: it is no HDF5 file.
        """
        if not allowed:
            raise ImageProblem(
                "isolation",
                expected="isolation for a MAT-file of version 7.3, which can name other files",
                got="none on this machine",
                fix="Save with -v7, or as .npy; or see what `evaluate doctor` says is needed.",
            )
        try:
            import h5py
        except ImportError:
            raise ImageProblem(
                "missing-reader",
                expected="the package h5py, to read MAT-files of version 7.3",
                got="it is not installed",
                fix=f"{install('hdf5')}, or save with -v7.",
            ) from None
        self._h5: Any = h5py
        self._allocate = allocate
        self._file: Any = self._h5.File(file, "r")

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def variables(self) -> list[Variable]:
        """Return what the file holds; no values are read.

        Raises:
            ImageProblem: links, or values that do not lie in the file.
        """
        if len(self._file) > _VARIABLES_LIMIT:
            raise ValueError(f"more than {_VARIABLES_LIMIT} variables")
        found = []
        for name in self._file:
            link = self._file.get(name, getlink=True)
            if not isinstance(link, self._h5.HardLink):
                raise _refused(name, "a link")
            if name.startswith("#"):
                continue  # what cells and objects refer to
            item = self._file[name]
            if isinstance(item, self._h5.Dataset):
                kind = self._check(name, item)
                found.append(Variable(name, kind, tuple(reversed(item.shape))))
            else:
                found.append(Variable(name, "struct", ()))
        return found

    def values(self, variable: Variable) -> NDArray[np.generic]:
        """Return a numeric variable's values in MATLAB's shape."""
        return self._values(variable.name, self._file[variable.name])

    def cells(self, variable: Variable, shape: tuple[int, ...]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """See `Mat5.cells`.

        Raises:
            ImageProblem: also for an element whose values do not lie in the file.
        """
        references = self._file[variable.name]
        if self._h5.check_ref_dtype(references.dtype) is not self._h5.Reference:
            raise ValueError(f"the cell {variable.name} holds no references")
        for number, reference in enumerate(references[()].reshape(-1)):
            name = f"element {number + 1} of the cell {variable.name}"
            item = self._file[reference] if reference else None
            if not isinstance(item, self._h5.Dataset):
                raise ValueError(f"{name} is no array")
            kind = self._check(name, item)
            check_element(variable, number, kind, tuple(reversed(item.shape)), shape)
            yield kind, self._values(name, item)

    def _check(self, name: str, item: Any) -> str:  # noqa: ANN401 - h5py has no types
        """Return a data set's MATLAB class; raise ImageProblem if its values do not lie in the file."""
        properties = item.id.get_create_plist()
        if item.is_virtual:
            raise _refused(name, "a virtual data set")
        if properties.get_external_count():
            raise _refused(name, "values in another file")
        for number in range(properties.get_nfilters()):
            code = properties.get_filter(number)[0]
            if code not in _FILTERS:
                raise _refused(name, f"the filter {code}")
        if item.shape is None:
            raise _refused(name, "a data set without a shape")
        size = math.prod(item.shape) * item.dtype.itemsize
        if item.chunks and math.prod(item.chunks) * item.dtype.itemsize > 2 * size + _CHUNK_FREE:
            raise _refused(name, f"chunks of shape {item.chunks} for values of shape {item.shape}")
        kind = item.attrs.get("MATLAB_class", b"")
        kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
        if "MATLAB_empty" in item.attrs or "MATLAB_sparse" in item.attrs:
            return "empty"
        if item.dtype.names or item.dtype.kind == "c":
            return "complex"
        wanted = _DTYPES.get(kind)
        if wanted and item.dtype.newbyteorder("=") != np.dtype(wanted):
            raise ValueError(f"{name} is of class {kind} with values of type {item.dtype}")
        return kind or "unknown"

    def _values(self, name: str, item: Any) -> NDArray[np.generic]:  # noqa: ANN401
        if item.dtype.kind not in "uif":
            raise ValueError(f"{name} holds values of type {item.dtype}")
        array = self._allocate(item.shape, item.dtype)
        if array.size:
            item.read_direct(array)
        return array.T
