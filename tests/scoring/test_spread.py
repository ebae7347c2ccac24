"""The spread of variants: one pair, or two folders matched by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.metrics import State
from evaluator.scoring import spread
from support import Tiny


def test_one_pair_gives_what_compute_gives_for_every_metric(tiny: Tiny) -> None:
    case = "a-1"
    found = spread(tiny.root / "tiny" / "in" / f"{case}.png", tiny.root / "tiny" / "ref" / f"{case}.png").metrics
    assert list(found) == metrics.ids()
    for metric, result in found.items():
        if result.state is State.OK:
            value = metrics.compute(metric, output=tiny.inputs[case], reference=tiny.references[case], peak=255)
            assert result.value == pytest.approx(value, rel=1e-12), metric
    assert found["ms_ssim.common"].state is State.NOT_APPLICABLE
    assert "161" in found["ms_ssim.common"].detail


def test_folders_are_matched_by_name_and_averaged_by_each_contract(tiny: Tiny) -> None:
    outputs = tiny.root / "renamed"
    shutil.copytree(tiny.root / "tiny" / "in", outputs)
    (outputs / "a-1.png").rename(outputs / "a-1.PNG")
    found = spread(outputs, tiny.root / "tiny" / "ref").metrics
    values = [
        metrics.compute("psnr.f64", output=tiny.inputs[c], reference=tiny.references[c], peak=255) for c in tiny.inputs
    ]
    assert found["psnr.f64"].value == pytest.approx(sum(values) / len(values), rel=1e-12)
    pooled = -10 * np.log10(np.mean([10 ** (-v / 10) for v in values]))
    assert found["psnr.pooled"].value == pytest.approx(pooled, rel=1e-12)


def test_without_a_reference_only_metrics_that_need_none_can_have_a_value(tiny: Tiny) -> None:
    found = spread(tiny.root / "tiny" / "in" / "a-1.png").metrics
    for metric, result in found.items():
        if metrics.get(metric).contract.reference:
            assert result.state is State.NOT_APPLICABLE
            assert result.detail == "needs a reference"


def test_16_bit_outputs_are_brought_to_the_scale_of_the_reference(tiny: Tiny, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    wide.write_bytes(encode_png(tiny.inputs["a-1"].astype(np.uint16) * 257))
    reference = tiny.root / "tiny" / "ref" / "a-1.png"
    same = spread(tiny.root / "tiny" / "in" / "a-1.png", reference).metrics
    assert spread(wide, reference).metrics["psnr.f64"].value == pytest.approx(same["psnr.f64"].value, rel=1e-12)


def test_faults_are_named(tiny: Tiny, tmp_path: Path) -> None:
    inputs, references = tiny.root / "tiny" / "in", tiny.root / "tiny" / "ref"
    (references / "b-9.png").unlink()
    with pytest.raises(EvaluatorError) as lonely:
        spread(inputs, references)
    assert [f.code for f in lonely.value.findings] == ["missing-partner"]
    assert "b-9" in lonely.value.findings[0].file
    with pytest.raises(EvaluatorError, match="two files or two folders"):
        spread(inputs, references / "a-1.png")
    with pytest.raises(EvaluatorError, match="two files or two folders"):
        spread(inputs / "a-1.png", references)
    small = tmp_path / "small.png"
    small.write_bytes(encode_png(tiny.inputs["a-1"][:-1]))
    with pytest.raises(EvaluatorError, match="different shapes"):
        spread(small, references / "a-1.png")
    with pytest.raises(EvaluatorError, match="cannot be read"):
        spread(tmp_path / "none.png", references / "a-1.png")
    (inputs / "a-1.jpg").write_bytes(b"")
    with pytest.raises(EvaluatorError, match="two images named a-1"):
        spread(inputs, references)


def test_identical_images_are_infinite_one_or_zero(tiny: Tiny) -> None:
    same = tiny.root / "tiny" / "ref" / "a-1.png"
    found = spread(same, same).metrics
    assert found["psnr.f64"].state is State.INFINITE
    assert found["psnr.dpd"].value == 100
    assert found["ssim.matlab3d"].value == pytest.approx(1)
    assert found["mae"].value == 0


def test_what_check_would_warn_of_is_said_here_too(tiny: Tiny, tmp_path: Path) -> None:
    reference = tiny.root / "tiny" / "ref" / "a-1.png"
    wide = tmp_path / "wide.png"
    wide.write_bytes(encode_png(tiny.inputs["a-1"].astype(np.uint16)))
    assert {f.code for f in spread(wide, reference, ["mae"]).findings} == {"bit-depth", "range"}
    scale = tmp_path / "scale.npy"
    np.save(scale, tiny.inputs["a-1"].astype(np.float32))
    (found,) = spread(scale, reference, ["mae"]).findings
    assert found.code == "range"
    assert "divide by 255" in found.fix
    assert spread(tiny.root / "tiny" / "in", tiny.root / "tiny" / "ref", ["mae"]).findings == ()
