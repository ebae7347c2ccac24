"""The classical baselines: what they take, what they refuse, and that each does what it is there for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.images import PEAKS
from evaluator.ingest import baselines_folder
from evaluator.scoring import score
from evaluator.tasks import load_task

Load = Callable[..., Callable[..., Any]]
QUICK = ("bilateral", "clahe", "he", "lime-guo", "nlm", "retinex", "tv", "unsharp", "wavelet", "wiener")
NO_BM3D = importlib.util.find_spec("bm3d") is None


def picture(channels: int = 3, dtype: str = "uint8", side: int = 48) -> NDArray[Any]:
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[0:side, 0 : side + 8]
    base = (np.sin(rows / 6) + np.cos(columns / 9) + 2) / 5 + (columns > side // 2) * 0.1
    values = np.clip(base[:, :, None] + random.normal(0, 0.05, (side, side + 8, channels)), 0, 1)
    peak = PEAKS[dtype]
    return (values * peak if peak == 1 else np.rint(values * peak)).astype(dtype)


def psnr(output: NDArray[Any], reference: NDArray[Any]) -> float:
    clean = reference / PEAKS[reference.dtype.name]
    return -10 * float(np.log10(np.mean((output / PEAKS[output.dtype.name] - clean) ** 2)))


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("channels", "dtype"), [(3, "uint8"), (1, "uint8"), (3, "uint16"), (3, "float32")])
def test_every_kind_of_image_keeps_its_shape_and_range(load: Load, name: str, channels: int, dtype: str) -> None:
    image = picture(channels, dtype)
    output = load(name)(image.copy())
    assert output.shape == image.shape
    assert output.dtype == np.float32
    assert np.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= 1


@pytest.mark.parametrize("name", QUICK)
def test_linear_light_stays_below_its_maximum(load: Load, name: str) -> None:
    image = picture(dtype="float32") * 40
    output = load(name)(image)
    assert 1 < output.max() <= image.max() * (1 + 1e-6)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(
    ("image", "error"),
    [
        (picture().astype(np.int32), TypeError),
        (picture()[:, :, 0], ValueError),
        (np.zeros((8, 8, 2), np.uint8), ValueError),
        (np.full((16, 16, 3), np.nan, np.float32), ValueError),
    ],
    ids=["type", "axes", "channels", "nan"],
)
def test_what_is_no_image_is_refused(load: Load, name: str, image: NDArray[Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        load(name)(image)


@pytest.mark.parametrize("name", ["bilateral", "nlm", "tv", "wavelet"])
def test_denoisers_take_noise_away(load: Load, name: str) -> None:
    split = load_task("sidd").split("mini")
    case = split.case_ids[1]
    noisy, clean = split.input(case).array, split.target(case).array
    assert psnr(load(name)(noisy), clean) > psnr(noisy, clean) + 0.5


@pytest.mark.slow
def test_ksvd_takes_noise_away(load: Load) -> None:
    split = load_task("sidd").split("mini")
    case = split.case_ids[2]
    noisy, clean = (image.array[64:192, 64:192] for image in (split.input(case), split.target(case)))
    assert psnr(load("ksvd")(noisy), clean) > psnr(noisy, clean) + 0.5


def test_ksvd_refuses_an_image_smaller_than_a_patch(load: Load) -> None:
    with pytest.raises(ValueError, match="8×8"):
        load("ksvd")(picture()[:7])


@pytest.mark.parametrize("name", ["clahe", "he", "lime-guo", "retinex"])
def test_enhancers_brighten_a_dark_photograph(load: Load, name: str) -> None:
    split = load_task("low-light").split("mini")
    dark = split.input(split.case_ids[0]).array
    assert load(name)(dark).mean() > 1.2 * dark.mean() / 255


def test_lime_divides_by_the_illumination_to_the_power_gamma(load: Load) -> None:
    flat = np.full((12, 14, 3), 51, np.uint8)
    # Equation 4 of the paper with T = 0.2 everywhere: R = 0.2 / 0.2^0.8.
    assert load("lime-guo")(flat) == pytest.approx(np.full(flat.shape, 0.2**0.2), rel=1e-5)


def test_unsharp_masking_steepens_an_edge(load: Load) -> None:
    edge = np.full((16, 16, 3), 0.3, np.float32)
    edge[:, 8:] = 0.6
    output = load("unsharp")(edge)
    assert output[8, 8, 0] - output[8, 7, 0] > 0.4
    assert output[8, 0, 0] == pytest.approx(0.3, abs=1e-3)


def test_the_true_blur_helps_and_the_assumed_one_does_not_have_to(load: Load) -> None:
    split = load_task("udc").split("mini")
    given = split.inputs(split.case_ids[0])
    image, truth = given["input"].array, split.target(split.case_ids[0]).array
    restored = load("wiener-psf")(image, given["psf"].array)
    assert psnr(restored, truth) > psnr(image, truth) + 3
    again = load("wiener-psf")(image, given["psf"].array)
    assert np.array_equal(restored, again), "the sampler is seeded"
    with pytest.raises(ValueError, match="point spread function"):
        load("wiener-psf")(image, given["psf"].array[:, :, 0])


def test_the_mean_of_two_views_is_what_baselines_of_one_image_get(load: Load) -> None:
    split = load_task("ddd-syn").split("mini")
    given = split.inputs(split.case_ids[0])
    mean = np.rint((given["left"].array.astype(float) + given["right"].array) / 2)
    assert np.array_equal(load("identity")(given["input"].array), mean)


@pytest.mark.skipif(not NO_BM3D, reason="bm3d is installed here")
def test_bm3d_is_refused_with_the_line_to_type_where_it_is_not_installed(tmp_path: Path) -> None:
    (outcome,) = score([baselines_folder() / "bm3d"], load_task("sidd").split("mini"), leaderboards=tmp_path)
    assert outcome.card is None
    (finding,) = outcome.findings
    assert finding.code == "model-load"
    assert "pip install 'restoration-evaluator[bm3d]'" in finding.got
    assert "non-commercial" in finding.got


@pytest.mark.skipif(NO_BM3D, reason="needs the extra bm3d")
def test_bm3d_takes_noise_away(load: Load) -> None:
    split = load_task("sidd").split("mini")
    case = split.case_ids[2]
    noisy, clean = (image.array[64:128, 64:128] for image in (split.input(case), split.target(case)))
    assert psnr(load("bm3d")(noisy), clean) > psnr(noisy, clean) + 0.5
