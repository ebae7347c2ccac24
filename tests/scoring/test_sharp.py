"""Sharp-region preservation of files: pooled over folders, drawn, told apart from what is no mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.metrics.focus_mask import freeze
from evaluator.scoring import sharp
from evaluator.site.curve import curve_svg
from support import Run

SIZE = 40


def write(folder: Path, name: str, image: NDArray[np.uint8]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(encode_png(image))
    return folder / name


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three images: off by 4 everywhere, unchanged, and one whose mask is below 2 %."""
    clean = np.full((SIZE, SIZE, 3), 100, np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[:, :20] = 255
    small = np.zeros((SIZE, SIZE), np.uint8)
    small[0, :10] = 255
    for name, output, focus in (("off", clean + 4, mask), ("same", clean, mask), ("small", clean, small)):
        write(tmp_path / "in", f"{name}.png", clean)
        write(tmp_path / "out", f"{name}.png", np.asarray(output, np.uint8))
        write(tmp_path / "mask", f"{name}.png", focus)
    return {role: tmp_path / role for role in ("in", "out", "mask")}


def test_the_area_is_pooled_over_images_with_enough_mask(folders: dict[str, Path]) -> None:
    pooled, cases = sharp(folders["out"], folders["in"], folders["mask"])
    assert (pooled.kept, pooled.dropped) == (2, 1)
    # An error of 4/255 everywhere: S is 0 up to there and 100 beyond, three quarters of the range to 16/255.
    assert cases["off"].curve.area == pytest.approx(75)
    assert cases["same"].curve.area == pytest.approx(100)
    assert pooled.area == pytest.approx(87.5)
    focus = np.zeros((SIZE, SIZE), bool)
    focus[:, :20] = True
    assert cases["off"].mask_sha256 == freeze(focus)[1]


def test_what_does_not_fit_together_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    files = [folders[role] / "off.png" for role in ("out", "in", "mask")]
    gray = write(tmp_path / "bad", "gray.png", np.full((SIZE, SIZE), 7, np.uint8))
    with pytest.raises(EvaluatorError, match="is no mask"):
        sharp(files[0], files[1], gray)
    empty = write(tmp_path / "bad", "empty.png", np.zeros((SIZE, SIZE), np.uint8))
    with pytest.raises(EvaluatorError, match="no pixel as in focus"):
        sharp(files[0], files[1], empty)
    cut = write(tmp_path / "bad", "cut.png", np.full((SIZE - 1, SIZE, 3), 7, np.uint8))
    with pytest.raises(EvaluatorError, match="do not fit"):
        sharp(cut, files[1], files[2])
    with pytest.raises(EvaluatorError, match="nothing to pool"):
        sharp(*(folders[role] / "small.png" for role in ("out", "in", "mask")))


def test_the_command_prints_and_draws_the_curve(evaluate: Run, folders: dict[str, Path], tmp_path: Path) -> None:
    common = ["metrics", "sharp", "--input", folders["in"], "--mask", folders["mask"], folders["out"]]
    done = evaluate(*common, "--plot", "curve.svg")
    assert done.returncode == 0, done.stderr
    assert "87.50 of 100" in done.stdout
    assert "2 images; 1 left out" in done.stdout
    picture = (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert picture.count("<polyline") == 1
    values = json.loads(evaluate(*common, "--format", "json").stdout)
    assert values["kept"] == 2
    assert values["images"]["off"]["area"] == pytest.approx(75)


def test_names_in_the_picture_are_text() -> None:
    picture = curve_svg({"<script>": ((0.0, 1.0), (0.0, 100.0))})
    assert "<script>" not in picture
    assert "&lt;script&gt;" in picture
