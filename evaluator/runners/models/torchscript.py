"""TorchScript files, run by torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_torch import check_torchscript
from evaluator.runners.models.contract import Loaded, Tensor
from evaluator.runners.models.names import pick_inputs, pick_output
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime


class TorchModule:
    """A torch module that takes tensors by position. See `Loaded`."""

    def __init__(
        self,
        torch: Foreign,
        module: Foreign,
        artefact: Artefact,
        *,
        inputs: Sequence[Tensor],
        order: Sequence[int],
    ) -> None:
        """Take a module, what its arguments are like, and which of them each of the manifest's inputs is."""
        self.inputs = tuple(inputs[position] for position in order)
        self._torch = torch
        self._module = module
        self._artefact = artefact
        self._order = order
        self._device = "cpu"
        self.device_seconds: float | None = None
        """What the last run took on the device alone, copies left out; None of the processor."""

    def to_cuda(self) -> None:
        """Move the module to the first CUDA device.

        Raises:
            ModelProblem: there is none that this process can see.
        """
        if not self._torch.cuda.is_available():
            raise ModelProblem(
                "device",
                expected="a CUDA device",
                got="none that this process sees (isolation hides devices)",
                fix="Leave out --device; or, for a model that you trust, set EVALUATOR_SANDBOX=limits.",
            )
        with loading("a module that can be moved to CUDA"):
            self._module = self._module.to("cuda")
        self._device = "cuda"

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """See `Loaded`."""
        arguments = dict(zip(self._order, tensors, strict=True))
        given = [self._torch.from_numpy(arguments[i]).to(self._device) for i in range(len(arguments))]
        with self._torch.inference_mode():
            output = self._timed(given) if self._device == "cuda" else self._module(*given)
        if isinstance(output, dict):
            output = output[pick_output(self._artefact, list(output))]
        elif isinstance(output, list | tuple):
            output = output[int(pick_output(self._artefact, [str(i) for i in range(len(output))]))]
        return np.asarray(output.detach().cpu().numpy())

    def _timed(self, given: list[Foreign]) -> Foreign:
        """Run between two events of the device: its own clock, and no work of before or after."""
        begin, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._torch.cuda.synchronize()
        begin.record()
        output = self._module(*given)
        end.record()
        self._torch.cuda.synchronize()
        self.device_seconds = begin.elapsed_time(end) / 1000
        return output


def load(path: Path, artefact: Artefact, names: Sequence[str], threads: int) -> Loaded:
    """Load a TorchScript file; see `load_model`. Its inputs are the arguments of its `forward`."""
    torch = runtime("torch", "torch")
    check_torchscript(path)
    torch.set_num_threads(threads)
    with loading("a TorchScript file that torch loads"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own wish to be left for torch.export
        module = torch.jit.load(str(path), map_location="cpu").eval()
        arguments = [a.name for a in module.forward.schema.arguments[1:] if not a.has_default_value()]
    order = [arguments.index(name) for name in pick_inputs(artefact, names, arguments)]
    return TorchModule(torch, module, artefact, inputs=[Tensor(None, None)] * len(arguments), order=order)
