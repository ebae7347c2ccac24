"""Networks that are trained against the network, in turn with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from evaluator.findings import EvaluatorError
from evaluator.runners.models.problem import Foreign
from evaluator.runners.models.python import import_entry
from evaluator.training.optimisers import optimiser_of
from evaluator.training.recipe import FILE_NAME
from evaluator.training.recipe import Adversary as Says


class Adversary:
    """Judges what the network gives, and then learns from it; a torch module, its loss and its own optimiser."""

    def __init__(self, torch: Foreign, folder: Path, says: Says, *, seed: int, device: str) -> None:
        """Build the networks.

        Args:
            torch: the framework.
            folder: holds losses.py.
            says: names the functions in it.
            seed: of their first weights.
            device: where they are.

        Raises:
            ModelProblem: losses.py has no such functions.
        """
        build = import_entry(folder, f"losses:{says.name}", FILE_NAME)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = build().to(device)
        self._minimised: Callable[..., Foreign] = import_entry(folder, f"losses:{says.loss}", FILE_NAME)
        self.optimiser = optimiser_of(torch, says.optimiser, list(self._network.parameters()))
        self._judged: Foreign = None

    def __call__(self, output: Foreign) -> Foreign:
        """Return what the networks say to outputs; only the outputs' gradient is asked for."""
        self._judged = output.detach()
        self._network.requires_grad_(requires_grad=False)
        return self._network(output)

    def learn(self, real: Foreign) -> float:
        """Do a step with the outputs judged last and with real images; return the loss before it.

        Raises:
            EvaluatorError: the loss is no number.
        """
        self._network.requires_grad_(requires_grad=True)
        self.optimiser.zero_grad()
        loss = self._minimised(self._network(self._judged), self._network(real))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise EvaluatorError(f"The adversary's loss is {value}. The last checkpoint is kept.")
        loss.backward()
        self.optimiser.step()
        return value

    def state(self) -> dict[str, Foreign]:
        """Return what a checkpoint has to hold of it."""
        return {"network": self._network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Foreign]) -> None:
        """Go on from a checkpoint's state."""
        self._network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
