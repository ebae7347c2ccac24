"""LPIPS with the trained weights: the values that its authors' package and published tables give."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import read_image
from evaluator.metrics import lpips, lpips_net
from evaluator.metrics.weights import locate

METRICS = {metric.contract.id: metric for metric in lpips.METRICS}

# Source: richzhang/PerceptualSimilarity@082bb24, its example images, lpips 0.1.4.
EXAMPLES = {
    ("alex", "ex_p0"): 0.721881,
    ("alex", "ex_p1"): 0.137566,
    ("squeeze", "ex_p0"): 0.711048,
    ("squeeze", "ex_p1"): 0.147902,
}
# Source: chaofengc/IQA-PyTorch@01ae427 ResultsCalibra/results_official.csv.
TID = {"I03": 0.7237, "I04": 0.2572, "I06": 0.0508, "I08": 0.0521, "I19": 0.4253}
# Source: lpips 0.1.4 and torch 2.13.0 on the 400 pairs of DPED's validation patches, iPhone against Canon.
DPED = {
    "lpips.alex.v0.1": 0.263078,
    "lpips.alex.v0.1.range01": 0.188908,
    "lpips.alex.v0.1.bgr": 0.260509,
    "lpips.squeeze.v0.1": 0.193038,
}


@pytest.fixture(autouse=True)
def _trained(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is an optional dependency")
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(data_root / "weights"))
    monkeypatch.delenv("EVALUATOR_DEVICE", raising=False)
    monkeypatch.setattr(lpips_net, "_threads", 1)  # on patches this small more threads only wait for each other
    if locate(lpips_net.BACKBONES["alex"].heads) is None:
        pytest.skip("the heads are neither in the folder of weights nor is the package lpips installed")


def score(metric: str, output: Path, reference: Path) -> float:
    shown, truth = (read_image(path).array.astype(np.float64) for path in (output, reference))
    value = METRICS[metric].measure(shown, truth, 255)
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize(("net", "name"), EXAMPLES)
def test_example_images(data_root: Path, net: str, name: str) -> None:
    folder = data_root / "weights" / "lpips"
    ours = score(f"lpips.{net}.v0.1", folder / f"{name}.png", folder / "ex_ref.png")
    assert ours == pytest.approx(EXAMPLES[net, name], abs=1e-6)


@pytest.mark.parametrize("name", TID)
def test_tid(data_root: Path, name: str) -> None:
    folder = data_root / "iqa-golden" / "ResultsCalibra"
    ours = score("lpips.alex.v0.1", folder / "dist_dir" / f"{name}.bmp", folder / "ref_dir" / f"{name}.bmp")
    assert ours == pytest.approx(TID[name], abs=5e-5)


@pytest.mark.parametrize("metric", DPED)
def test_dped(data_root: Path, metric: str) -> None:
    folder = data_root / "dped"
    names = [path.name for path in sorted((folder / "iphone").iterdir())]
    assert len(names) == 400
    scores = [score(metric, folder / "iphone" / name, folder / "canon" / name) for name in names]
    assert math.fsum(scores) / len(scores) == pytest.approx(DPED[metric], abs=1e-6)
    # Source: data sheet of the set: pairs 103, 177, 221 and 308 are white and identical.
    assert scores.count(0.0) == 4
