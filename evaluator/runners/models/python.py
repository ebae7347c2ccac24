"""A submission's own Python function."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.extras import EXTRAS
from evaluator.images import PEAKS, Pixels
from evaluator.runners.models.contract import Restored
from evaluator.runners.models.problem import Foreign, ModelProblem, one_line, runtime


class PythonRestorer:
    """A function that takes a case's inputs as the split holds them, one argument each. See `Restorer`."""

    def __init__(self, folder: Path, entry: str) -> None:
        """Import the entry, `module:function`, from a folder.

        Raises:
            ModelProblem: there is no such module or function, or the module cannot be imported.
        """
        self._function = import_entry(folder, entry, "[python]")

    def restore(self, inputs: Sequence[Pixels]) -> Restored:
        """See `Restorer`; the output is the array as it was returned."""
        arrays: list[NDArray[Any]] = [image.array.copy() for image in inputs]
        try:
            output = self._function(*arrays)
        except (Exception, SystemExit) as error:  # the function may fail in any way; the case is then `failed`
            raise ModelProblem(
                "run-failed", expected="an output", got=one_line(error), fix="Run the function on this input yourself."
            ) from error
        if not isinstance(output, np.ndarray) or output.dtype.name not in PEAKS:
            kind = output.dtype.name if isinstance(output, np.ndarray) else type(output).__name__
            raise ModelProblem(
                "model-output",
                expected="a uint8, uint16 or float array",
                got=kind if kind.isprintable() else "an object of another type",
                fix="Return a numpy array of one of these types.",
            )
        return Restored(np.ascontiguousarray(output))


def import_entry(folder: Path, entry: str, table: str) -> Callable[..., Any]:
    """Import `module:function` from a folder.

    Args:
        folder: where the module lies.
        entry: module and function.
        table: the manifest's table that names it, for messages.

    Raises:
        ModelProblem: there is no such module or function, or the module cannot be imported.
    """
    module_name, _, function_name = entry.partition(":")
    function = getattr(_import(folder.resolve(), module_name), function_name, None)
    if not callable(function):
        raise ModelProblem(
            "model-load",
            expected=f"a function {function_name} in {module_name}, as entry says",
            got="none of that name",
            fix=f"Correct entry in {table}.",
        )
    found: Callable[..., Any] = function
    return found


def _import(folder: Path, name: str) -> Foreign:
    file = next((f for f in (folder / f"{name}.py", folder / name / "__init__.py") if f.is_file()), None)
    if file is None:
        raise ModelProblem(
            "model-missing",
            expected=f"{name}.py, which entry names",
            got="no such file",
            fix="Add it, or correct entry in [python].",
        )
    # Last, so that helpers beside the entry are found but hide no installed module.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    is_package = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=is_package)
    assert spec is not None  # noqa: S101 - a file that ends in .py always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)  # for helpers that import the entry's module
    try:
        # Compiled here, not by the loader: its cache tells files by size and second only.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102 - it is what was asked for
    except (Exception, SystemExit) as error:
        missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if missing in EXTRAS:
            runtime(missing, EXTRAS[missing])
        raise ModelProblem(
            "model-load",
            expected="a module that can be imported",
            got=one_line(error),
            fix="Import it yourself in a fresh environment; what it needs must be installed beside the harness.",
        ) from error
    return module
