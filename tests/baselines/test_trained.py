"""The networks that ship with weights of our own: what their folders say of them holds."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.images import read_image
from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder
from evaluator.metrics import compute, contract_of
from evaluator.tasks.mini import dark
from evaluator.training import baseline_recipe, recipe_file
from evaluator.training.leaving import CURVE, RECORD, WEIGHTS
from evaluator.training.trainer import LOG
from model_support import needed
from support import Run

TRAINED = [n for n in baseline_names() if baseline_manifest(n).network and baseline_manifest(n).has_weights]
SHIPPED = 15e6
"""Most that a file of weights may have, bytes."""

REAL = """
id = "real-noise"
title = "Photographs with real noise"
description = "PolyU's and SIDD's."
paper = "none"
inputs = "One noisy photograph."
metrics = ["psnr.f64"]
default_split = "polyu"

[protocol]
channels = 3

[ranking]
by = ["psnr.f64"]

[splits.polyu]
reader = "files"
title = "30 crops"
licence = "research"
home = "https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset"
get = "see its page"
folders = ["polyu"]
inputs = "*_real.JPG"
references = "*_mean.JPG"

[splits.sidd]
reader = "files"
title = "4 blocks"
licence = "research"
home = "https://www.eecs.yorku.ca/~kamel/sidd/"
get = "see its page"
folders = ["sidd"]
inputs = "SIDD_noise/*_noise.png"
references = "SIDD_clean/*.png"
"""


def card(name: str) -> str:
    return (baselines_folder() / name / "README.md").read_text(encoding="utf-8")


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((baselines_folder() / name / RECORD).read_text(encoding="utf-8"))
    return found


def installed(name: str) -> None:
    """Skip where the network's framework is not there."""
    for module in baseline_manifest(name).baseline.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is an optional dependency")


def niqe(data_root: Path) -> dict[str, str]:
    """Return what names NIQE's weights."""
    return {"EVALUATOR_WEIGHTS": str(data_root / "weights" / "niqe")}


def ran(
    evaluate: Run, name: str, where: tuple[object, ...], *data: object, env: Any = None, in_part: bool = False
) -> dict[str, Any]:
    """Run a network, and the input beside it, on a split; return their metrics by submission."""
    done = evaluate("baseline", "run", name, "identity", *where, *data, env=env, timeout=1200)
    said = f"{name}: scored in part" in done.stderr
    assert (done.returncode, said) == ((2, True) if in_part else (0, False)), done.stderr
    board = json.loads(evaluate("rank", *where, "--format", "json").stdout)
    return {row["submission"]: row["metrics"] for row in board["rows"]}


def scores(found: str, metric: str = "psnr.f64") -> dict[str, float]:
    return {row["submission"]: row["metrics"][metric]["value"] for row in json.loads(found)["rows"]}


def expected(name: str) -> list[tuple[str, str, str, str, str]]:
    """Return (task, metric, score, tolerance, the input's score) of a card's rows."""
    row = r"^\| `([a-z-]+)` \| (\S+) \| (\d+\.\d+) ± (\d\.\d+) \| (\d+\.\d+) \|"
    return re.findall(row, card(name), re.MULTILINE)


def test_there_are_some() -> None:
    lpienet = {"lpienet-sidd", "lpienet-l-sidd", "lpienet-gopro", "lpienet-udc"}
    others = {"unet-sidd", "dncnn-sidd", "fast-dped-dped", "k3dn-tiny-dpd-blur", "msfg-lle-low-light"}
    assert lpienet | others <= set(TRAINED)


@pytest.mark.parametrize("name", TRAINED)
def test_what_they_need_is_said(name: str) -> None:
    """What is missing is named before a run, not found by it: `baseline run` and these tests skip by it."""
    code = baselines_folder() / (baseline_manifest(name).baseline.code_of or name)
    sources = "".join(path.read_text(encoding="utf-8") for path in code.glob("*.py"))
    framework = {f for f in ("keras", "torch") if re.search(rf"^(import|from) {f}\b", sources, re.MULTILINE)}
    assert set(baseline_manifest(name).baseline.needs) == framework | {"safetensors"}


@pytest.mark.parametrize("name", TRAINED)
def test_record_log_and_card_are_of_these_weights(name: str) -> None:
    folder, made = baselines_folder() / name, record(name)
    weights = (folder / WEIGHTS).read_bytes()
    assert len(weights) < SHIPPED
    assert made["weights"] == hashlib.sha256(weights).hexdigest()
    assert made["weights"] in card(name)
    assert f"    {made['command']}\n" in card(name)
    recipe = recipe_file(name)
    assert recipe.parent == folder
    assert made["recipe"] == hashlib.sha256(recipe.read_bytes()).hexdigest()
    length = baseline_recipe(name).length.iterations
    assert length is not None
    assert (made["baseline"], made["steps"]) == (name, length.value)
    assert made["task"] in baseline_manifest(name).baseline.tasks
    with (folder / LOG).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["held_out_loss"]))
    assert (made["best_step"], made["steps"]) == (int(best["step"]), int(rows[-1]["step"]))
    assert made["held_out_loss_before"] == float(rows[0]["held_out_loss"])
    assert made["held_out_loss_after"] == float(best["held_out_loss"]) < made["held_out_loss_before"]
    assert read_image(folder / CURVE).array.shape[:2] == (400, 700)


@pytest.mark.parametrize("name", TRAINED)
def test_cards_say_what_was_trained_on_and_that_it_is_no_reproduction(name: str) -> None:
    text = " ".join(card(name).split())
    for words in ("BSDS500", "research", "## Training", "no reproduction of the paper's", "mini split"):
        assert words in text, words
    assert expected(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_the_mini_splits_scores_are_as_the_card_says(
    evaluate: Run, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    installed(name)
    (task,) = {row[0] for row in expected(name)}
    env = {"OMP_NUM_THREADS": "1"}
    if any(metric == "niqe.live" for _, metric, *_ in expected(name)):
        env |= niqe(request.getfixturevalue("data_root"))
    where = ("--task", task, "--split", "mini", "--leaderboards", tmp_path / "boards")
    found = ran(evaluate, name, where, env=env)
    for _, metric, score, tolerance, given in expected(name):
        assert found[name][metric]["value"] == pytest.approx(float(score), abs=float(tolerance))
        assert found["identity"][metric]["value"] == pytest.approx(float(given), abs=1e-4)
        gained = float(score) - float(given)
        better = gained > 0 if contract_of(metric).direction == "higher" else gained < 0
        assert better or f"in {metric} it is below the input**" in card(name), "its card has to say so"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lpienet-sidd", "lpienet-l-sidd", "unet-sidd", "dncnn-sidd"])
@pytest.mark.parametrize("split", ["polyu", "sidd"])
def test_real_noise_is_as_the_card_says(evaluate: Run, data_root: Path, name: str, split: str, tmp_path: Path) -> None:
    installed(name)
    (tmp_path / "real.toml").write_text(REAL, encoding="utf-8")
    where = ("--task", "real.toml", "--split", split, "--leaderboards", tmp_path / "boards")
    found = ran(evaluate, name, where, "--data", data_root)
    (row,) = re.findall(rf"^\| {split} \|.*\| (\d+\.\d+) \| (\d+\.\d+) \|$", card(name), re.MULTILINE | re.IGNORECASE)
    assert found["identity"]["psnr.f64"]["value"] == pytest.approx(float(row[0]), abs=0.01)
    assert found[name]["psnr.f64"]["value"] == pytest.approx(float(row[1]), abs=0.01)


@pytest.mark.slow
def test_low_light_scores_against_the_clean_crops_are_the_cards(
    evaluate: Run, data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The task has no references, but its generator has: what it makes dark."""
    name = "msfg-lle-low-light"
    installed(name)
    clean: list[Any] = []

    def recording(image: Any, exposure: int, number: int) -> Any:
        clean.append(image)
        return darken(image, exposure, number)

    darken = dark.darken
    monkeypatch.setattr(dark, "darken", recording)
    ids = [made.case for made in dark.generate()]
    where = ("--task", "low-light", "--split", "mini", "--leaderboards", tmp_path / "boards")
    done = evaluate("baseline", "run", name, *where, env={"OMP_NUM_THREADS": "1"} | niqe(data_root), timeout=1200)
    assert done.returncode == 0, done.stderr
    outputs = [np.load(tmp_path / "boards" / "outputs" / "low-light" / "mini" / name / f"{case}.npy") for case in ids]
    rounded = [np.rint(np.clip(output, 0, 1) * 255).astype(np.uint8) for output in outputs]
    for metric in ("psnr.f64", "ssim.matlab3d", "ssim.basicsr"):
        values = [compute(metric, output=o, reference=r, peak=255) for o, r in zip(rounded, clean, strict=True)]
        (said,) = re.findall(rf"^\| {metric} \| (\d+\.\d+) \|", card(name), re.MULTILINE)
        assert np.mean(values) == pytest.approx(float(said), abs=0.02 if metric == "psnr.f64" else 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["dicm", "lime", "mef", "npe"])
def test_real_low_light_is_as_the_card_says(evaluate: Run, data_root: Path, split: str, tmp_path: Path) -> None:
    name = "msfg-lle-low-light"
    installed(name)
    where = ("--task", "low-light", "--split", split, "--leaderboards", tmp_path / "boards")
    found = ran(evaluate, name, where, "--data", data_root, env=niqe(data_root))
    (row,) = re.findall(rf"^\| {split} \| \d+ \| (\d+\.\d+) \| (\d+\.\d+) \|", card(name), re.MULTILINE)
    assert found["identity"]["niqe.live"]["value"] == pytest.approx(float(row[0]), abs=1e-3)
    assert found[name]["niqe.live"]["value"] == pytest.approx(float(row[1]), abs=0.05)


@pytest.mark.slow
def test_a_real_phones_patches_are_as_the_card_says(evaluate: Run, data_root: Path, tmp_path: Path) -> None:
    name = "fast-dped-dped"
    installed(name)
    where = ("--task", "dped", "--split", "pirm2018", "--leaderboards", tmp_path / "boards")
    found = ran(evaluate, name, where, "--data", data_root, in_part=True)
    (row,) = re.findall(r"^\| psnr.pirm \| 400 \| (\d+\.\d+) \| (\d+\.\d+) \|", card(name), re.MULTILINE)
    assert found["identity"]["psnr.pirm"]["value"] == pytest.approx(float(row[0]), abs=1e-3)
    assert found[name]["psnr.pirm"]["value"] == pytest.approx(float(row[1]), abs=0.01)
    assert found[name]["ms_ssim.pirm"]["value"] is None
    (lost,) = re.findall(r"For (\d+) of the 400 pairs", card(name))
    assert found[name]["ms_ssim.pirm"]["lost"] == pytest.approx(int(lost), abs=1)


@pytest.mark.slow
def test_the_simulators_sample_is_as_the_card_says(evaluate: Run, data_root: Path, tmp_path: Path) -> None:
    name = "k3dn-tiny-dpd-blur"
    installed(name)
    where = ("--task", "ddd-syn", "--split", "sample", "--leaderboards", tmp_path / "boards")
    found = ran(evaluate, name, where, "--data", data_root)
    (row,) = re.findall(r"^\| DDD-syn.*\| (\d+\.\d+) \| (\d+\.\d+) \|$", card(name), re.MULTILINE)
    assert found["identity"]["psnr.f64"]["value"] == pytest.approx(float(row[0]), abs=0.01)
    assert found[name]["psnr.f64"]["value"] == pytest.approx(float(row[1]), abs=0.01)


EXPORTS = {
    "float32.tflite": ("tflite", ()),
    "float16.tflite": ("tflite", ("--fp16",)),
    "float32.onnx": ("onnx", ()),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", EXPORTS)
@pytest.mark.parametrize(
    ("name", "task", "metric"), [("lpienet-sidd", "sidd", "psnr.f64"), ("fast-dped-dped", "dped", "psnr.pirm")]
)
def test_exports_score_as_the_network_does(
    *, evaluate: Run, name: str, task: str, metric: str, file: str, tmp_path: Path
) -> None:
    form, more = EXPORTS[file]
    needed("tensorflow", "torch", "onnx", "tflite")
    folder = tmp_path / "exported"
    folder.mkdir()
    done = evaluate("export", name, "--to", form, *more, "--out", folder / f"net.{form}", timeout=1200)
    assert done.returncode == 0, done.stderr
    (folder / "submission.toml").write_text(
        f'kind = "model"\n\n[artefacts.quality]\nfile = "net.{form}"\n\n'
        '[model]\nlayout = "NHWC"\nrange = [0, 1]\nsize_multiple = 4\n',
        encoding="utf-8",
    )
    where = ("--task", task, "--split", "mini", "--leaderboards", tmp_path / "boards")
    done = evaluate(*where, folder, timeout=1200)
    assert done.returncode == 0, done.stderr
    (found,) = scores(evaluate("rank", *where, "--format", "json").stdout, metric).values()
    pattern = r"^\| (TFLite, float32|TFLite, float16|ONNX) \| \d[^|]* \| (\d+\.\d+) \|"
    rows = re.findall(pattern, card(name), re.MULTILINE)
    said = dict(zip(EXPORTS, (float(score) for _, score in rows), strict=True))[file]
    network = next(score for _, shown, score, _, _ in expected(name) if shown == metric)
    assert found == pytest.approx(said, abs=0.005)
    assert np.isclose(found, float(network), rtol=0, atol=0.02)
