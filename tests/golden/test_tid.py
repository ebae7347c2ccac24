"""Five pairs of TID2013 whose official values pyiqa's calibration table lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.images import read_image

NAMES = ("I03", "I04", "I06", "I08", "I19")
# Source: chaofengc/IQA-PyTorch@01ae427 ResultsCalibra/results_official.csv (PSNR), and Wang's MATLAB SSIM on the
# rounded gray images of the same pairs.
PSNR = (21.11, 20.99, 27.01, 23.30, 21.62)
SSIM_GRAY = (0.6993, 0.9978, 0.9989, 0.9669, 0.6519)


def _gray(image: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.rint(image.astype(np.float64) @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103]))


def _pair(data_root: Path, name: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    folder = data_root / "iqa-golden" / "ResultsCalibra"
    output, reference = (read_image(folder / role / f"{name}.bmp").array for role in ("dist_dir", "ref_dir"))
    return output, reference


@pytest.mark.parametrize(("name", "value"), list(zip(NAMES, PSNR, strict=True)))
def test_psnr(data_root: Path, name: str, value: float) -> None:
    output, reference = _pair(data_root, name)
    ours = metrics.compute("psnr.f64", output=output, reference=reference, peak=255)
    assert ours == pytest.approx(value, abs=5e-3)


@pytest.mark.parametrize(("name", "value"), list(zip(NAMES, SSIM_GRAY, strict=True)))
def test_ssim_on_gray_is_wangs(data_root: Path, name: str, value: float) -> None:
    output, reference = _pair(data_root, name)
    ours = metrics.compute("ssim.basicsr", output=_gray(output), reference=_gray(reference), peak=255)
    assert ours == pytest.approx(value, abs=5e-5)
