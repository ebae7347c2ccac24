"""PIRM 2018: the numbers that the challenge's own evaluation code gives for the same files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import evaluator

# Source: aiff22/ai-challenge@6dc52ac evaluate_enhancement.py and ssim.py, run on the 400 validation pairs. SRCNN: its
# official graph's outputs, clipped, rounded, saved as PNG. Input: the iPhone patches; its PSNR is that of the 396 pairs
# that are not identical, since the script's own mean is infinite.
OFFICIAL = {
    "srcnn": {"psnr.pirm": 21.33630, "ms_ssim.pirm": 0.903914},
    "input": {"psnr.pirm": 17.2907, "ms_ssim.pirm": 0.845511},
}
# Source: scikit-image 0.26 and BasicSR's code on the same 400 input pairs.
INPUT_SSIM = {"ssim.basicsr": 0.683086, "ssim.sk_u7": 0.677878, "mae": 0.1359, "rmse_rel": 0.13661}
# Source: the same quantities of the official code's float outputs; rounding to 8 bit moves them by some 1e-3 and 1e-4.
FLOAT_OUTPUTS = {
    "resnet_8_32": {"psnr.pirm": 22.404, "ms_ssim.pirm": 0.91664},
    "resnet_12_64": {"psnr.pirm": 22.190, "ms_ssim.pirm": 0.92139},
}


@pytest.fixture(scope="module")
def cards(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, evaluator.Scorecard]:
    work = tmp_path_factory.mktemp("pirm")
    shutil.copytree(data_root / "dped" / "iphone", work / "input")
    outputs = data_root / "dped" / "outputs"
    paths = [work / "input", *(outputs / name for name in ("srcnn", "resnet_8_32", "resnet_12_64"))]
    split = evaluator.load_task("dped").split("pirm2018", data_root)
    outcomes = evaluator.score(paths, split, leaderboards=work / "boards", workers=2)
    return {o.id: o.card for o in outcomes if o.id and o.card}


@pytest.mark.parametrize("name", OFFICIAL)
def test_psnr_and_ms_ssim_are_the_official_ones(cards: dict[str, evaluator.Scorecard], name: str) -> None:
    found = cards[name].metrics
    assert found["psnr.pirm"].value == pytest.approx(OFFICIAL[name]["psnr.pirm"], abs=1e-4)
    assert found["ms_ssim.pirm"].value == pytest.approx(OFFICIAL[name]["ms_ssim.pirm"], abs=1e-6)


@pytest.mark.parametrize("name", FLOAT_OUTPUTS)
def test_rounded_outputs_come_near_the_float_ones(cards: dict[str, evaluator.Scorecard], name: str) -> None:
    found = cards[name].metrics
    assert found["psnr.pirm"].value == pytest.approx(FLOAT_OUTPUTS[name]["psnr.pirm"], abs=1e-2)
    assert found["ms_ssim.pirm"].value == pytest.approx(FLOAT_OUTPUTS[name]["ms_ssim.pirm"], abs=3e-4)


def test_other_metrics_of_the_input_are_those_of_the_libraries(cards: dict[str, evaluator.Scorecard]) -> None:
    found = cards["input"].metrics
    for metric, value in INPUT_SSIM.items():
        digits = len(str(value).split(".")[1])
        assert found[metric].value == pytest.approx(value, abs=0.5 * 10**-digits), metric


def test_the_four_identical_pairs_are_counted_and_no_others(cards: dict[str, evaluator.Scorecard]) -> None:
    assert cards["input"].metrics["psnr.pirm"].infinite == 4
    assert cards["srcnn"].metrics["psnr.pirm"].infinite == 0
    assert cards["input"].metrics["ms_ssim.pirm"].infinite == 0


def test_the_decoder_gives_the_pixels_that_the_golden_values_rest_on(data_root: Path) -> None:
    from evaluator.images import pixels_digest, read_image

    # Source: OpenCV 5.0.0 and Pillow 13.0.0, which agree on all 800 files of the set.
    pixels = read_image(data_root / "dped" / "iphone" / "5.jpg")
    import cv2

    other = cv2.imread(str(data_root / "dped" / "iphone" / "5.jpg"), cv2.IMREAD_COLOR)
    assert other is not None
    assert pixels_digest(pixels.array) == pixels_digest(cv2.cvtColor(other, cv2.COLOR_BGR2RGB))
