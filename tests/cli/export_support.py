"""For tests of exports: a submission with a network's fresh weights, and what it gives for an image."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from evaluator.ingest import Manifest
from evaluator.runners.models.python import import_entry
from evaluator.typed_toml import parse_toml


def write(baseline: Path, folder: Path) -> None:
    """Copy a baseline, write its weights, and an image with what the network makes of it into pair.npz."""
    for file in (*baseline.glob("*.py"), baseline / "submission.toml"):
        shutil.copyfile(file, folder / file.name)
    text = (folder / "submission.toml").read_text(encoding="utf-8")
    manifest, _ = parse_toml(Manifest, text.encode(), "submission.toml", "manifest")
    assert manifest is not None
    assert manifest.network is not None
    assert manifest.model is not None
    entry = f'entry = "{manifest.network.entry}"'
    text = text.replace(entry, f'{entry}\nweights = "weights.safetensors"')
    (folder / "submission.toml").write_text(text, encoding="utf-8")
    import torch

    network = import_entry(folder, manifest.network.entry, "[network]")().eval()
    nhwc = manifest.model.layout == "NHWC"
    if nhwc:
        arrays = {weight.path: weight.numpy() for weight in network.weights}
    else:
        arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    save_file({name: array.copy(order="C") for name, array in arrays.items()}, folder / "weights.safetensors")
    image = np.random.default_rng(0).uniform(0, 1, (1, 72, 40, 3) if nhwc else (1, 3, 72, 40)).astype(np.float32)
    with torch.no_grad():
        restored = network(torch.from_numpy(image)).numpy()
    np.savez(folder / "pair.npz", image=image, restored=restored)
