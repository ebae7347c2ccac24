"""Optimisers and learning rates, as recipes name them."""

from __future__ import annotations

import math

from evaluator.runners.models.problem import Foreign
from evaluator.training.recipe import Optimiser, Schedule


def optimiser_of(torch: Foreign, says: Optimiser, parameters: list[Foreign]) -> Foreign:
    """Return what changes parameters."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[says.name.value]
    decay = says.weight_decay.value
    return kind(parameters, lr=says.learning_rate.value, betas=says.betas.value, weight_decay=decay)


def scheduler_of(torch: Foreign, says: Schedule, optimiser: Foreign, epochs: int) -> Foreign:
    """Return what sets the learning rate, to be called after each epoch."""
    schedulers = torch.optim.lr_scheduler
    kind, start = says.kind.value, says.start.value if says.start else 0
    factor = says.factor.value if says.factor else 1.0
    if kind == "plateau":
        assert says.patience is not None  # noqa: S101 - the recipe's own check
        assert says.least is not None  # noqa: S101
        # torch waits for one epoch more than it is told.
        return schedulers.ReduceLROnPlateau(
            optimiser, factor=factor, patience=says.patience.value - 1, threshold=0, min_lr=says.least.value
        )
    if kind == "step":
        return schedulers.LambdaLR(optimiser, lambda epoch: factor if epoch >= start else 1.0)
    if kind == "linear":
        return schedulers.LambdaLR(optimiser, lambda epoch: min(1.0, (epochs - epoch) / max(1, epochs - start)))
    if kind == "cosine":
        assert says.least is not None  # noqa: S101
        floor, last = says.least.value / optimiser.defaults["lr"], max(1, epochs - 1)
        half = (1 - floor) / 2
        return schedulers.LambdaLR(optimiser, lambda epoch: floor + half * (1 + math.cos(math.pi * epoch / last)))
    return schedulers.LambdaLR(optimiser, lambda epoch: 1.0)
