"""Run a network with weights: `python run_network.py FOLDER INPUTS.npz OUTPUTS.npz`. In a process of its own.

FOLDER is what `evaluate baseline import` wrote; each input is an `(H, W, C)` array as the network takes it.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from evaluator.runners.models.python import import_entry

folder, inputs, outputs = map(Path, sys.argv[1:])
says = tomllib.loads((folder / "submission.toml").read_text(encoding="utf-8"))
weights = load_file(folder / says["network"]["weights"])
network = import_entry(folder, says["network"]["entry"], "[network]")()

if says["model"]["layout"] == "NHWC":
    assert {w.path for w in network.weights} == set(weights)
    for weight in network.weights:
        weight.assign(weights[weight.path])

    def restored(images: Any) -> Any:
        return np.asarray(network(images, training=False))

else:
    import torch

    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)
    network.eval()

    def restored(images: Any) -> Any:
        with torch.inference_mode():
            return network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)


given = dict(np.load(inputs))
names = list(given)
same = len({image.shape for image in given.values()}) == 1
found: dict[str, Any] = {}
for first in range(0, len(names), batch := 20 if same else 1):
    some = names[first : first + batch]
    found |= dict(zip(some, restored(np.stack([given[name] for name in some])), strict=True))
np.savez(outputs, **found)
