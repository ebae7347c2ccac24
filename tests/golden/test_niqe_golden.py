"""NIQE against official values.

Where an image is exactly flat, official values rest on MATLAB's round-off: tolerances follow the flat share.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import read_image
from evaluator.metrics import niqe
from evaluator.metrics.contract import Image, Measured

# Sources: example.m of utlive/niqe@d80aead, to 4 decimals; image3 has 19 % flat pixels, image4 0.02 %.
RELEASE = (("image1", 5.0290, 1e-4), ("image2", 17.8659, 1e-4), ("image3", 8.0362, 0.2), ("image4", 2.6571, 1e-4))
# chaofengc/IQA-PyTorch@01ae427 ResultsCalibra/results_official.csv; flat 1.5, 0, 0.7, 2.2, 30 %.
TID = (
    ("I03", 15.7536293917814, 0.02),
    ("I04", 3.65492152353770, 1e-8),
    ("I06", 3.23547743716998, 1e-3),
    ("I08", 3.18403333858339, 0.02),
    ("I19", 8.63519663862637, 0.45),
)
# Means of the inputs of the low-light sets, computed independently with the release's parameters.
SETS = (("MEF", 17, 4.2642), ("NPE", 8, 4.3191), ("LIME", 9, 4.5635), ("DICM", 64, 4.2549))
# basicsr 1.4.2 calculate_niqe(image, 0) itself, NumPy 2.4, SciPy 1.17.
BASICSR = (
    ("image1", 5.077324558, 2e-5),
    ("image2", 17.747140223, 2e-5),
    ("image3", 7.099387943, 5e-3),
    ("image4", 2.767761086, 5e-5),
)


@pytest.fixture(autouse=True)
def _weights(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(data_root / "weights"))
    return


def _read(path: Path) -> Image:
    array = read_image(path).array.astype(np.float64)
    return array if array.ndim == 3 else array[:, :, None]


def _live(path: Path) -> Measured:
    image = _read(path)
    return niqe.measure_live(image, image, 255)


@pytest.mark.parametrize(("name", "value", "tolerance"), RELEASE)
def test_release_images(data_root: Path, name: str, value: float, tolerance: float) -> None:
    assert _live(data_root / "weights" / "niqe" / f"{name}.bmp").value == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize(("name", "value", "tolerance"), TID)
def test_tid_images(data_root: Path, name: str, value: float, tolerance: float) -> None:
    path = data_root / "iqa-golden" / "ResultsCalibra" / "dist_dir" / f"{name}.bmp"
    assert _live(path).value == pytest.approx(value, abs=tolerance)


def test_flat_fraction_of_the_release_images(data_root: Path) -> None:
    folder = data_root / "weights" / "niqe"
    shares = [_live(folder / f"image{number}.bmp").extra["flat_fraction"] for number in (1, 2, 3)]
    assert shares == [0, 0, pytest.approx(0.19, abs=0.005)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count", "mean"), SETS)
def test_low_light_sets(data_root: Path, name: str, count: int, mean: float) -> None:
    paths = [p for p in (data_root / "lowlight" / name).iterdir() if p.suffix.lower() in {".jpg", ".png", ".bmp"}]
    assert len(paths) == count
    values = [_live(path).value for path in sorted(paths)]
    assert np.mean(values) == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize(("name", "value", "tolerance"), BASICSR)
def test_basicsr(data_root: Path, name: str, value: float, tolerance: float) -> None:
    image = _read(data_root / "weights" / "niqe" / f"{name}.bmp")
    assert niqe.measure_basicsr(image, image, 255).value == pytest.approx(value, abs=tolerance)


@pytest.mark.slow
def test_fast_path_on_photographs(data_root: Path) -> None:
    pytest.importorskip("numba")
    from evaluator.metrics.niqe_fast import measure_live_fast

    paths = [*(data_root / "weights" / "niqe").glob("*.bmp"), *(data_root / "lowlight" / "MEF").glob("*.png")]
    for path in paths:
        image = _read(path)
        exact, fast = niqe.measure_live(image, image, 255), measure_live_fast(image, image, 255)
        assert fast.value == pytest.approx(exact.value, abs=1e-9)
        assert fast.extra == exact.extra
