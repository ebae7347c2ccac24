"""What may run at which level."""

from __future__ import annotations

from typing import Literal

from evaluator.runners.sandbox.levels import Level

Kind = Literal["outputs", "hdf5", "data", "graph", "code"]
"""What a submission consists of: outputs (images, plain arrays and archives of them), HDF5 files, weights that are only
data, graphs of fixed operators (ONNX, TFLite), or code (Python and every model format that can hold a program)."""

_WHY: dict[Kind, str] = {
    "outputs": "",
    "hdf5": "HDF5 files can name other files and are read by a large native library",
    "data": "weights are read by native libraries that were not made for hostile files",
    "graph": "a graph can loop, use up memory and attack the library that runs it",
    "code": "it is a program, or a format that can hold one: it can read and write files",
}
_INSTALL = {
    Level.LIMITS: "Install bubblewrap and allow it to make namespaces",
    Level.NONE: "Use Linux with bubblewrap, a container or a virtual machine",
}


def allowed(level: Level, kind: Kind, *, accept_partial: bool, trusted: bool) -> str | None:
    """Return why a submission of this kind may not run at this level and what to do, or None if it may.

    Args:
        level: the isolation that was proved.
        kind: what would be read or run.
        accept_partial: the operator accepts level C for code.
        trusted: the operator has said that this very submission is trusted.
    """
    if kind == "outputs" or trusted or level in (Level.A, Level.B):
        return None
    if level is Level.C:
        if kind != "code" or accept_partial:
            return None
        return (
            f"Code is not run in partial isolation: {_WHY[kind]}, and here it would see other processes and could "
            "leave some behind. Install bubblewrap and allow it to make namespaces, give --accept-partial, or give "
            "--trust with the name of its folder or file if you wrote or have read this code."
        )
    option = "if you wrote or have read this code" if kind == "code" else "if you know where it comes from"
    return (
        f"Not run without isolation, and there is none here: {_WHY[kind]}. {_INSTALL[level]}, "
        f"or give --trust with the name of its folder or file {option}."
    )
