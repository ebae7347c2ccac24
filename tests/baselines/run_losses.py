"""Losses and short trainings of the Keras baselines: `python run_losses.py BASELINES INPUTS.npz`, by KERAS_BACKEND.

Prints one JSON object on the last line. In a process of its own: a backend is for a whole process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from evaluator.runners.models.python import import_entry

BASELINES = Path(sys.argv[1])
GIVEN = np.load(sys.argv[2])


def of(folder: str, entry: str) -> Any:
    return import_entry(BASELINES / folder, entry, "[network]")


def losses(folder: str) -> dict[str, Any]:
    return of(folder, "losses:terms").__globals__


def number(value: Any) -> float:
    return float(ops.convert_to_numpy(value))


def trained(
    network: keras.Model, rate: float, loss: Callable[..., Any], given: Any, wanted: Any, *, steps: int = 15
) -> list[float]:
    """Return the loss at each step, and after the last."""
    network.compile(optimizer=keras.optimizers.Adam(rate), loss=loss)
    history = network.fit(given, wanted, batch_size=len(given), epochs=steps + 1, shuffle=False, verbose=0)
    return [float(value) for value in history.history["loss"]]


def total(weights: dict[str, float], terms: Callable[..., Any], **helpers: Any) -> Callable[..., Any]:
    def loss(target: Any, output: Any) -> Any:
        found = terms(lambda image, training: output, [None], target, **helpers)
        return sum(weight * found[name] for name, weight in weights.items())

    return loss


def squares(image: Any) -> Any:
    return ops.square(image[:, ::2, ::2])


def lpienet() -> dict[str, Any]:
    part = losses("lpienet")
    output, target = (ops.convert_to_tensor(GIVEN[name]) for name in ("output", "target"))
    values = {name: number(part[name](output, target)) for name in ("structure", "absolute", "gradient")}
    values["same"] = number(part["structure"](target, target))
    values["narrow"] = number(part["structure"](output, target, 9, 1.0))
    network = of("lpienet", "lpienet:build")((4, 4, 8, 4, 4))
    loss = total({"structure": 1, "absolute": 1, "gradient": 0.1}, part["terms"])
    return {"values": values, "lpienet": trained(network, 2e-3, loss, GIVEN["output"], GIVEN["target"])}


def fast_dped() -> dict[str, Any]:
    part = losses("fast-dped")
    output, target = (ops.convert_to_tensor(GIVEN[name]) for name in ("output", "target"))
    judged, real = ops.convert_to_tensor(GIVEN["judged"]), ops.convert_to_tensor(GIVEN["real"])
    values = {
        "content": number(part["content"](output, target, squares)),
        "texture": number(part["texture"](judged)),
        "discrimination": number(part["discrimination"](judged, real)),
        "colour": number(part["colour"](output, target)),
        "colour, variance 3": number(part["colour"](output, target, 3**0.5)),
        "variation": number(part["variation"](output)),
        **{name: number(part[name](output, target)) for name in ("absolute", "gradient")},
        "gray": ops.convert_to_numpy(part["gray"](output))[1, 2, 3].tolist(),
        "parameters": part["discriminator"]().count_params(),
    }
    judge = part["discriminator"](GIVEN["output"].shape[1])
    judge.trainable = False
    weights = {"content": 1, "texture": 0.4, "colour": 0.1, "variation": 400}
    loss = total(weights, part["terms"], features=squares, discriminator=judge)
    network = of("fast-dped", "fast_dped:build")((4, 8, 8))
    line = part["blur_kernel"]().sum(0).tolist()
    found = {
        "values": values,
        "line": line,
        "fast-dped": trained(network, 5e-4, loss, GIVEN["output"], GIVEN["target"]),
    }
    # The discriminator learns to tell one image from another.
    judge.trainable = True
    images = ops.convert_to_numpy(part["gray"](ops.concatenate([output, target])))
    is_real = np.repeat(np.array([[0], [1]], np.float32), len(GIVEN["output"]), axis=0)
    discrimination = part["discrimination"]
    found["judge"] = trained(judge, 2e-4, lambda real, said: discrimination(said, real), images, is_real, steps=20)
    return found


keras.utils.set_random_seed(7)
print(json.dumps({"backend": keras.backend.backend(), "lpienet": lpienet(), "fast-dped": fast_dped()}))
