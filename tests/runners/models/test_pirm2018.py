"""PIRM 2018: the challenge's own networks, run here, give the numbers that its evaluation code gives for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.images import read_image
from model_support import Frameworks, manifest, needed

# Source: aiff22/ai-challenge@6dc52ac evaluate_enhancement.py run on the 400 validation pairs: outputs of the network as
# they are, neither rounded nor (for MS-SSIM) clipped; mean over the pairs.
OFFICIAL = {
    "dped_srcnn": (21.33429, 0.904008, 1e-5, 1e-6),
    "dped_resnet_8_32": (22.404, 0.91664, 1e-3, 1e-5),
    "dped_resnet_12_64": (22.190, 0.92139, 1e-3, 1e-5),
}
METRICS = ("psnr.pirm", "ms_ssim.pirm")


def frozen(name: str, data: Path, folder: Path) -> Path:
    """Return the folder of a network's frozen graph; make it from the checkpoint where there is only that."""
    models = data / "dped" / "models"
    if (models / f"{name}.pb").is_file():
        return models
    script = Path(__file__).parent / "freeze_dped.py"
    subprocess.run(
        [sys.executable, str(script), str(models / name), str(folder / f"{name}.pb")],
        capture_output=True,
        check=True,
        timeout=300,
    )
    return folder


def scores(frameworks: Frameworks, folder: Path, name: str, data: Path, cases: range) -> NDArray[np.float64]:
    """Return PSNR and MS-SSIM of cases, `(n, 2)`."""
    found = []
    for case in cases:
        phone = read_image(data / "dped" / "iphone" / f"{case}.jpg").array
        answer = frameworks.restore(folder, manifest(f"{name}.pb"), phone)
        assert answer.output is not None, answer.said
        reference = read_image(data / "dped" / "canon" / f"{case}.jpg").array
        output = answer.output.astype(np.float64) * 255
        found.append([metrics.compute(m, output=output, reference=reference, peak=255.0) for m in METRICS])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_numbers_come_out(frameworks: Frameworks, data_root: Path, tmp_path: Path, name: str) -> None:
    needed("tensorflow")
    psnr, ms_ssim, of_psnr, of_ms_ssim = OFFICIAL[name]
    found = scores(frameworks, frozen(name, data_root, tmp_path), name, data_root, range(400)).mean(0)
    assert found[0] == pytest.approx(psnr, abs=of_psnr)
    assert found[1] == pytest.approx(ms_ssim, abs=of_ms_ssim)


def test_outputs_are_those_that_were_saved_by_the_official_graph(frameworks: Frameworks, data_root: Path) -> None:
    needed("tensorflow")
    for case in (0, 103, 399):
        phone = read_image(data_root / "dped" / "iphone" / f"{case}.jpg").array
        answer = frameworks.restore(data_root / "dped" / "models", manifest("dped_srcnn.pb"), phone)
        assert answer.output is not None, answer.said
        saved = read_image(data_root / "dped" / "outputs" / "srcnn" / f"{case}.png").array
        rounded = np.rint(np.clip(answer.output.astype(np.float64), 0, 1) * 255)
        assert np.abs(rounded - saved).max() <= 1
        assert (rounded != saved).mean() < 1e-3
