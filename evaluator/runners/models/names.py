"""Which of a file's tensors are the inputs and the output of the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.problem import ModelProblem


def pick_inputs(artefact: Artefact, names: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return the file's tensors for the manifest's inputs, in the manifest's order.

    The artefact's own `input` decides; else the names of `inputs` in `[model]`, where the file has just these; else
    there must be one input only.

    Raises:
        ModelProblem: the file has no such tensors, or it is not clear which is which.
    """
    if artefact.input is not None:
        return [_known(name, offered, "input") for name in artefact.input]
    if len(names) == len(offered) == 1:
        return list(offered)
    if set(names) == set(offered):
        return list(names)
    raise ModelProblem(
        "model-shape",
        expected=f"{len(names)} inputs ({', '.join(names)}), as [model] says",
        got=f"{_shown(offered)} in the file",
        fix="Correct inputs in [model], or name the file's tensors by input in [artefacts].",
    )


def pick_output(artefact: Artefact, offered: Sequence[str]) -> str:
    """Return the file's tensor that is the output.

    Raises:
        ModelProblem: the file has no such tensor, or several and the manifest names none.
    """
    if artefact.output is not None:
        return _known(artefact.output, offered, "output")
    if len(offered) == 1:
        return offered[0]
    raise ModelProblem(
        "model-shape", expected="one output", got=f"{_shown(offered)} in the file", fix="Set output in [artefacts]."
    )


def _known(name: str, offered: Sequence[str], what: str) -> str:
    if name in offered:
        return name
    raise ModelProblem(
        "model-shape",
        expected=f"the tensor {name}, which [artefacts] names as {what}",
        got=f"{_shown(offered)} in the file",
        fix=f"Correct {what} in [artefacts].",
    )


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:8])
    return shown or "none"
