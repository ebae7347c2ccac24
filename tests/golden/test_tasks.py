"""Every data set at hand is read by its task, and gives the numbers that were published or computed independently.

PSNR of SIDD's blocks, of GoPro's frames and of DeblurGAN's results, NIQE of the low-light sets and of CodeEnhance's
outputs: computed with independent code on these files; NIQE of DICM, MEF and NPE are also the paper's (Table 1 of the
multi-scale feature-guided GAN: 4.255, 4.265, 4.319).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.results import CaseRow, read_cases
from evaluator.scoring import score
from evaluator.tasks import load_task


def scored(
    task: str, split: str, data: Path, folder: Path, boards: Path
) -> tuple[dict[str, CaseRow], dict[str, float]]:
    """Score a folder; return its cases by id and its means."""
    try:
        opened = load_task(task).split(split, data)
    except EvaluatorError as missing:
        pytest.skip(str(missing))
    (outcome,) = score([folder], opened, leaderboards=boards)
    assert outcome.card, outcome.message
    assert outcome.card_file
    rows = read_cases((outcome.card_file.parent / "cases.csv").read_text(encoding="utf-8"))
    means = {m: r.value for m, r in outcome.card.metrics.items() if r.value is not None}
    return {row.case: row for row in rows}, means


def linked(folder: Path, files: dict[str, Path]) -> Path:
    """Return a folder with copies of files under the names of their cases."""
    folder.mkdir()
    for case, file in files.items():
        (folder / f"{case}{file.suffix.lower()}").write_bytes(file.read_bytes())
    return folder


def psnr(rows: dict[str, CaseRow]) -> dict[str, float | None]:
    return {case: row.scores["psnr.f64"].value for case, row in rows.items()}


def test_sidd_blocks(data_root: Path, tmp_path: Path) -> None:
    names = ("44", "329", "1217", "1222")
    folder = linked(tmp_path / "noisy", {n: data_root / f"sidd/SIDD_noise/{n}_noise.png" for n in names})
    rows, _ = scored("sidd", "samples", data_root, folder, tmp_path / "boards")
    assert psnr(rows) == pytest.approx({"44": 17.59, "329": 18.85, "1217": 17.79, "1222": 17.52}, abs=5e-3)


@pytest.mark.parametrize(("kind", "wanted"), [("blur", (23.58, 22.31, 20.28)), ("result", (25.42, 22.69, 20.68))])
def test_gopro_frames(kind: str, wanted: tuple[float, ...], data_root: Path, tmp_path: Path) -> None:
    names = ("00", "01", "02")
    folder = linked(tmp_path / kind, {n: data_root / f"gopro/{kind}/{kind}_{n}.png" for n in names})
    rows, _ = scored("gopro", "samples", data_root, folder, tmp_path / "boards")
    assert psnr(rows) == pytest.approx(dict(zip(names, wanted, strict=True)), abs=5e-3)


@pytest.mark.parametrize(("view", "wanted"), [("l", 32.97), ("r", 29.78)])
def test_views_of_the_dual_pixel_sample(view: str, wanted: float, data_root: Path, tmp_path: Path) -> None:
    folder = linked(tmp_path / view, {"oult": data_root / f"dualpixel/ddd_syn_sample/oult_{view}.png"})
    rows, _ = scored("ddd-syn", "sample", data_root, folder, tmp_path / "boards")
    assert psnr(rows)["oult"] == pytest.approx(wanted, abs=5e-3)


LOW_LIGHT = [
    ("dicm", "DICM", 4.2549),
    ("mef", "MEF", 4.2642),
    ("npe", "NPE", 4.3191),
    ("lime", "LIME", 4.5635),
    ("lime", "outputs/CodeEnhance/LIME", 3.841),
    ("mef", "outputs/CodeEnhance/MEF", 3.253),
    ("npe", "outputs/CodeEnhance/NPE", 3.758),
]


@pytest.mark.slow
@pytest.mark.parametrize("row", LOW_LIGHT, ids=lambda row: row[1])
def test_low_light(
    row: tuple[str, str, float], data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, folder, wanted = row
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(data_root / "weights" / "niqe"))
    _, means = scored("low-light", split, data_root, data_root / "lowlight" / folder, tmp_path / "boards")
    assert means["niqe.live"] == pytest.approx(wanted, abs=10 ** -(len(str(wanted)) - 2) / 2 + 1e-4)


def test_niqe_of_the_exdark_photographs_has_a_number(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(data_root / "weights" / "niqe"))
    photographs = [*(data_root / "exdark").glob("*.png"), *(data_root / "exdark").glob("*.jpg")]
    folder = linked(tmp_path / "dark", {file.stem: file for file in photographs})
    rows, _ = scored("exdark", "samples", data_root, folder, tmp_path / "boards")
    assert len(rows) == 3
    assert all(row.scores["niqe.live"].state is metrics.State.OK for row in rows.values())
