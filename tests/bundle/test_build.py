"""What lies in a bundle, and when none is written."""

from __future__ import annotations

import tomllib
import zipfile
from datetime import datetime
from importlib import metadata
from pathlib import Path

import pytest

import evaluator
from evaluator.bundle import build_bundle
from evaluator.bundle.build import requirements
from evaluator.findings import EvaluatorError
from support import TOML, Run, Tiny

START = datetime(2026, 3, 1)


def test_the_zip_holds_the_folder_and_two_are_the_same_byte_for_byte(tiny: Tiny, tmp_path: Path) -> None:
    first = build_bundle(tiny.toml, tmp_path / "one", data=tiny.root, start=START)
    second = build_bundle(tiny.toml, tmp_path / "two", data=tiny.root, start=START)
    assert first.archive == tmp_path / "one.zip"
    assert first.archive.read_bytes() == second.archive.read_bytes()
    with zipfile.ZipFile(first.archive) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    on_disk = {p.relative_to(first.folder).as_posix(): p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}
    assert inside == on_disk
    assert not [name for name in inside if "__pycache__" in name]
    assert "competition.yaml" in inside


def test_the_references_are_in_the_reference_data_and_nowhere_else(tiny: Tiny, tmp_path: Path) -> None:
    folder = build_bundle(tiny.toml, tmp_path / "b", data=tiny.root).folder
    secret = {(tiny.root / "tiny" / "ref" / f"{case}.png").read_bytes() for case in tiny.references}
    holding = {p.relative_to(folder).parts[0] for p in folder.rglob("*") if p.is_file() and p.read_bytes() in secret}
    assert holding == {"reference_data"}


def test_the_references_must_be_here(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(EvaluatorError, match="The data of tiny/five is not here") as caught:
        build_bundle(tiny.toml, tmp_path / "b", data=tmp_path / "nothing")
    assert "made by the tests" in str(caught.value)
    (tiny.root / "tiny" / "ref" / "a-2.png").unlink()
    with pytest.raises(EvaluatorError, match="not whole") as caught:
        build_bundle(tiny.toml, tmp_path / "b", data=tiny.root)
    assert caught.value.findings[0].file == "ref/a-2.png"
    assert not (tmp_path / "b").exists()


def test_nothing_is_overwritten(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(EvaluatorError, match="there already"):
        build_bundle(tiny.toml, tmp_path / "b", data=tiny.root)
    assert (tmp_path / "b" / "mine.txt").read_text() == "mine"
    with pytest.raises(EvaluatorError, match="has no name"):
        build_bundle(tiny.toml, Path(), data=tiny.root)
    (tmp_path / "c.zip").write_text("mine")
    with pytest.raises(EvaluatorError, match="there already"):
        build_bundle(tiny.toml, tmp_path / "c", data=tiny.root)


def test_a_ranking_by_what_cannot_be_computed_is_refused_and_another_such_metric_has_no_column(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path / "no-weights"))
    file = tmp_path / "own.toml"
    with_lpips = TOML.replace('"rmse_rel"]', '"rmse_rel", "lpips.alex.v0.1"]')
    file.write_text(with_lpips, encoding="utf-8")
    made = build_bundle(file, tmp_path / "b", data=tiny.root)
    assert list(made.left_out) == ["lpips.alex.v0.1"]
    keys = [column.key for column in made.competition.leaderboards[0].columns]
    assert "lpips_alex_v0_1" not in keys
    assert "`lpips.alex.v0.1` is not computed here" in (made.folder / "pages" / "evaluation.md").read_text("utf-8")
    file.write_text(with_lpips.replace('by = ["psnr.f64"', 'by = ["lpips.alex.v0.1"'), encoding="utf-8")
    with pytest.raises(EvaluatorError, match=r"ranked by lpips\.alex\.v0\.1, which cannot be computed here"):
        build_bundle(file, tmp_path / "c", data=tiny.root)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('by = ["cost.macs", "psnr.f64"]', r"ranked by cost\.macs, which uploaded outputs alone do not have"),
        ('method = "mean_rank"\nby = ["psnr.f64", "ssim.basicsr"]', "mean of ranks, which Codabench cannot do"),
    ],
)
def test_a_rule_that_codabench_cannot_follow_is_refused(tmp_path: Path, tiny: Tiny, rule: str, said: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(TOML.replace('by = ["psnr.f64", "ssim.basicsr"]', rule), encoding="utf-8")
    with pytest.raises(EvaluatorError, match=said):
        build_bundle(file, tmp_path / "b", data=tiny.root)
    assert not (tmp_path / "b").exists()


def test_every_package_that_the_project_names_is_pinned() -> None:
    project = Path(evaluator.__file__).parent.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the wheel brings its own list")
    named = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    pinned = dict(line.split("==") for line in requirements(["psnr.f64"]))
    assert set(pinned) == {line.partition(">=")[0] for line in named}
    assert pinned["numpy"] == metadata.version("numpy")
    assert "torch" not in pinned


def test_pages_say_the_rules_in_words(tiny: Tiny, tmp_path: Path) -> None:
    made = build_bundle(tiny.toml, tmp_path / "b", data=tiny.root)
    text = (made.folder / "pages" / "evaluation.md").read_text(encoding="utf-8")
    spec = tiny.task.spec
    for sentence in (*spec.protocol.sentences(), *spec.rule_sentences()):
        assert sentence in text
    assert "| `psnr_f64` | `psnr.f64` | higher |" in text
    assert "`a-1.png`, …, `b-10.png`" in (made.folder / "pages" / "submit.md").read_text(encoding="utf-8")
    kit = (made.folder / "starting_kit" / "README.md").read_text(encoding="utf-8")
    assert "a-1 a-2 b-1 b-9 b-10" in kit
    assert "evaluate check --task ./tiny.toml --split five" in kit


def test_the_command_says_what_was_written_and_what_each_scoring_will_do(evaluate: Run, tiny: Tiny) -> None:
    done = evaluate("bundle", "--task", tiny.toml, "--data", tiny.root, "--out", "b", "--start", "2026-03-01")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b.zip\n"
    assert "over the network" in done.stderr
    assert "It holds the references." in done.stderr
    done = evaluate("bundle", "--task", tiny.toml, "--data", tiny.root, "--out", "c", "--docker-image", "me/scorer:1")
    assert "over the network" not in done.stderr
    assert "docker_image: me/scorer:1" in (tiny.root / "c" / "competition.yaml").read_text(encoding="utf-8")


def test_the_command_ends_with_a_message(evaluate: Run, tiny: Tiny) -> None:
    done = evaluate(
        "bundle", "--task", "sidd", "--split", "samples", "--out", "b", env={"EVALUATOR_DATA": str(tiny.root)}
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The data of sidd/samples is not here.")
    assert "Traceback" not in done.stderr
