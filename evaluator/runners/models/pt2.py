"""Files of torch.export, run by torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_torch import safe_pt2
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.names import pick_inputs
from evaluator.runners.models.problem import loading, runtime
from evaluator.runners.models.torchscript import TorchModule


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load a file of torch.export; see `load_model`. Its inputs are the arguments of its `forward`."""
    torch = runtime("torch", "torch")
    clean = safe_pt2(path)
    torch.set_num_threads(threads)
    with loading("a file of torch.export that torch loads"):
        program = torch.export.load(clean)
        values = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
        arguments = list(program.graph_signature.user_inputs)
        module = program.module()
    inputs = [
        Tensor(
            tuple(d if isinstance(d, int) else None for d in values[name].shape),
            str(values[name].dtype).removeprefix("torch."),
        )
        for name in arguments
    ]
    order = [arguments.index(name) for name in pick_inputs(artefact, names, arguments)]
    return TorchModule(torch, module, artefact, inputs=inputs, order=order)
