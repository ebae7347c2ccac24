"""MATLAB files: of all versions from 5 on, by one interface; and a file of one image."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import mat5, mat73
from evaluator.images.mat5 import Allocate, Variable, is_numeric
from evaluator.images.pixels import ImageProblem

MAGICS = (mat5.MAGIC, mat73.MAGIC)
DTYPES = {"uint8": "uint8", "uint16": "uint16", "single": "float32", "double": "float64"}
"""The NumPy type of each MATLAB class that may hold pixels."""


_HEAD = 64

MatFile = mat5.Mat5 | mat73.Mat73


@contextmanager
def open_mat(file: BinaryIO | bytes, allocate: Allocate = np.empty) -> Iterator[MatFile]:
    """Open a MATLAB file by its first bytes.

    Args:
        file: a file that can be mapped into memory, or its bytes.
        allocate: makes the arrays that values are unpacked into, from shape and type.

    Raises:
        ImageProblem: the reader for its version is not installed; or what is done with it finds it damaged, or with
            values from elsewhere.
    """
    try:
        head = file[:_HEAD] if isinstance(file, bytes) else os.pread(file.fileno(), _HEAD, 0)
        if head.startswith(mat73.MAGIC):
            opened: MatFile = mat73.Mat73(io.BytesIO(file) if isinstance(file, bytes) else file, allocate)
        else:
            data = file if isinstance(file, bytes) else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            opened = mat5.Mat5(data, allocate)
        try:
            yield opened
        finally:
            opened.close()
    except (ImageProblem, EvaluatorError):
        raise
    except Exception as error:  # h5py raises many kinds of exceptions on damaged files
        raise ImageProblem(
            "unreadable",
            expected="a whole MATLAB file, saved with -v6, -v7 or -v7.3",
            got=f"a damaged file, or none ({str(error)[:200]})",
            fix="Save it again; look into it with whos -file.",
        ) from None


def describe_image(data: bytes) -> tuple[tuple[int, ...], str]:
    """Return the shape and NumPy type of the one numeric array in a MATLAB file.

    Raises:
        ImageProblem: damaged, more or less than one numeric array, or one of a class that holds no pixels.
    """
    with open_mat(data) as file:
        variable = _only(file)
        return variable.shape, DTYPES[variable.kind]


def decode_image(data: bytes) -> NDArray[np.generic]:
    """Return the values of the one numeric array in a MATLAB file, in MATLAB's shape.

    Raises:
        ImageProblem: see `describe_image`.
    """
    with open_mat(data) as file:
        variable = _only(file)
        # MATLAB stores whole numbers small, whatever the variable's class.
        return file.values(variable).astype(DTYPES[variable.kind], copy=False)


def _only(file: MatFile) -> Variable:
    variables = [v for v in file.variables() if v.name]
    numeric = [v for v in variables if is_numeric(v.kind) or v.kind in ("complex", "logical", "sparse", "empty")]
    if len(numeric) != 1:
        held = ", ".join(f"{v.name} ({'x'.join(map(str, v.shape))} {v.kind})" for v in variables[:5])
        raise ImageProblem(
            "array-count",
            expected="a MATLAB file of one numeric array",
            got=held or "no variables",
            fix="Save one image a file: save('1.mat', 'image').",
        )
    if numeric[0].kind not in DTYPES:
        raise ImageProblem(
            "pixel-type",
            expected=f"an array of class {', '.join(DTYPES)}",
            got=f"{numeric[0].name} of class {numeric[0].kind}",
            fix="Convert it to uint8, uint16, or single in [0, 1].",
        )
    return numeric[0]
