"""The baselines with their authors' weights give the numbers that the authors' code gives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.images import read_image
from evaluator.metrics import niqe
from evaluator.runners.models.importing import import_checkpoint
from model_support import Frameworks, manifest, needed

Images = Mapping[str, NDArray[np.float32]]
PIRM = ("psnr.pirm", "ms_ssim.pirm")

# Source: aiff22/ai-challenge@6dc52ac evaluate_enhancement.py run on the 400 validation pairs, with the official graphs;
# for fast-DPED with a graph after the variables of its authors' checkpoint (dojure/FPIE).
OFFICIAL = {
    "srcnn": ("dped_srcnn.npz", 21.33429, 0.904008, 1e-5, 1e-6),
    "dped-resnet-8-32": ("dped_resnet_8_32.npz", 22.404, 0.91664, 1e-3, 1e-5),
    "dped-resnet": ("dped_resnet_12_64.npz", 22.190, 0.92139, 1e-3, 1e-5),
    "fast-dped": ("fpie_convdeconv16.npz", 22.551, 0.9244, 1e-3, 1e-4),
}


def framework(name: str) -> str:
    return "tensorflow" if name == "fast-dped" else "torch"


def run(name: str, checkpoint: Path, images: Images, scratch: Path) -> dict[str, NDArray[np.float32]]:
    """Import a checkpoint, and return what the network makes of images, in a process of its own."""
    needed(framework(name))
    import_checkpoint(name, checkpoint, scratch / "net")
    np.savez(scratch / "in.npz", **images)  # type: ignore[arg-type]
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).parent / "run_network.py"),
            *map(str, (scratch / "net", scratch / "in.npz", scratch / "out.npz")),
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(scratch / "out.npz") as outputs:
        return dict(outputs)


def phone(data: Path, cases: range) -> Images:
    return {
        str(case): (read_image(data / "dped" / "iphone" / f"{case}.jpg").array / np.float32(255)).astype(np.float32)
        for case in cases
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_numbers_of_pirm_come_out(data_root: Path, tmp_path: Path, name: str) -> None:
    checkpoint, psnr, ms_ssim, of_psnr, of_ms_ssim = OFFICIAL[name]
    outputs = run(name, data_root / "dped" / "models" / checkpoint, phone(data_root, range(400)), tmp_path)
    found = []
    for case, output in outputs.items():
        reference = read_image(data_root / "dped" / "canon" / f"{case}.jpg").array
        scaled = output.astype(np.float64) * 255
        found.append([metrics.compute(m, output=scaled, reference=reference, peak=255.0) for m in PIRM])
    assert len(found) == 400
    assert np.mean(found, 0)[0] == pytest.approx(psnr, abs=of_psnr)
    assert np.mean(found, 0)[1] == pytest.approx(ms_ssim, abs=of_ms_ssim)


def test_srcnn_gives_what_the_official_graph_gives(frameworks: Frameworks, data_root: Path, tmp_path: Path) -> None:
    needed("tensorflow")
    images = phone(data_root, range(0, 400, 40))
    outputs = run("srcnn", data_root / "dped" / "models" / "dped_srcnn.npz", images, tmp_path)
    for case, output in outputs.items():
        pixels = read_image(data_root / "dped" / "iphone" / f"{case}.jpg").array
        answer = frameworks.restore(data_root / "dped" / "models", manifest("dped_srcnn.pb"), pixels)
        assert answer.output is not None, answer.said
        assert np.abs(output - answer.output).max() < 1e-4


@pytest.mark.slow
def test_dncnn_on_set12(data_root: Path, tmp_path: Path) -> None:
    # Source: SaoYan/DnCNN-PyTorch@6b08049, README: DnCNN-S, noise level 25, drawn by torch without a seed. The mean
    # of a draw varies by 0.02 dB (standard deviation), hence three.
    needed("torch")
    import torch

    clean = [read_image(p).array.squeeze() / 255 for p in sorted((data_root / "clean" / "Set12").glob("*.png"))]
    assert len(clean) == 12
    noisy = {}
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        for number, image in enumerate(clean):
            noise = torch.randn((1, 1, *image.shape), generator=generator).numpy()[0, 0] * np.float32(25 / 255)
            noisy[f"{number} {seed}"] = (image.astype(np.float32) + noise)[:, :, np.newaxis]
    outputs = run("dncnn", data_root / "weights" / "dncnn" / "DnCNN-S-25.pth", noisy, tmp_path)
    psnr = []
    for name, output in outputs.items():
        restored = np.clip(output[:, :, 0].astype(np.float64), 0, 1)
        psnr.append(-10 * np.log10(np.mean((restored - clean[int(name.split()[0])]) ** 2)))
    assert len(psnr) == 36
    assert np.mean(psnr) == pytest.approx(30.38, abs=0.01)


@pytest.mark.slow
# Computed independently with the published weights, Epoch99.pth of Li-Chongyi/Zero-DCE, and the release's NIQE.
@pytest.mark.parametrize("case", [("LIME", 9, 3.948), ("MEF", 17, 3.285), ("NPE", 8, 3.944)], ids=lambda case: case[0])
def test_zero_dce_on_low_light(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, int, float]
) -> None:
    folder, count, mean = case
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(data_root / "weights"))
    images_of = (data_root / "lowlight" / folder).iterdir()
    files = sorted(p for p in images_of if p.suffix.lower() in (".png", ".bmp", ".jpg"))
    images = {p.stem: (read_image(p).array / np.float32(255)).astype(np.float32) for p in files}
    outputs = run("zero-dce", data_root / "weights" / "zero_dce" / "Epoch99.pth", images, tmp_path)
    assert len(outputs) == count
    values = []
    for output in outputs.values():
        rounded = np.rint(np.clip(output.astype(np.float64), 0, 1) * 255)
        values.append(niqe.measure_live(rounded, rounded, 255).value)
    assert np.mean(values) == pytest.approx(mean, abs=0.01)
