"""The scoring program, run the way Codabench's compute worker runs it."""

from __future__ import annotations

import html
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from evaluator.bundle import build_bundle
from evaluator.images import encode_png
from evaluator.results import Store
from evaluator.scoring import score
from evaluator.tasks import load_task
from support import Tiny


@dataclass
class Worker:
    """The folders of one run: `program`, `input/ref`, `input/res` and `output`, as compute_worker.py makes them."""

    root: Path
    status: int = -1
    stdout: str = ""
    stderr: str = ""

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def scores(self) -> dict[str, float]:
        found: dict[str, float] = json.loads((self.output / "scores.json").read_text(encoding="utf-8"))
        return found

    @property
    def details(self) -> str:
        return (self.output / "detailed_results.html").read_text(encoding="utf-8")


def run_as_codabench(archive: Path, submission: Path, root: Path, under: Sequence[str] = ()) -> Worker:
    """Unpack as Codabench does, substitute its paths in the command of metadata.yaml, and run that.

    `under` is a command that runs the command.
    """
    upload = root / "upload"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(upload)
    competition = yaml.safe_load((upload / "competition.yaml").read_text(encoding="utf-8"))
    (task,) = competition["tasks"]
    shutil.move(upload / task["scoring_program"], root / "program")
    (root / "input").mkdir()
    shutil.move(upload / task["reference_data"], root / "input" / "ref")
    shutil.rmtree(upload)
    # A submission without a command is copied to the output of the first step, where the worker adds its file.
    shutil.copytree(submission, root / "input" / "res")
    status = {"exitCode": None, "elapsedTime": None, "ingestionExitCode": None, "ingestionElapsedTime": None}
    (root / "input" / "res" / "metadata").write_text(yaml.dump(status, default_flow_style=False), encoding="utf-8")
    (root / "output").mkdir()
    command = yaml.safe_load((root / "program" / "metadata.yaml").read_text(encoding="utf-8"))["command"]
    arguments = [part.replace("/app", str(root)) for part in shlex.split(command)]
    assert arguments[0] == "python3"
    # As in a container: nothing of ours in the environment, nothing beside the program but what it brought.
    hidden = ("EVALUATOR", "PYTHONPATH")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [*under, sys.executable, *arguments[1:]],
        cwd=root / "program",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Worker(root, done.returncode, done.stdout, done.stderr)


@pytest.fixture
def archive(tiny: Tiny, tmp_path: Path) -> Path:
    return build_bundle(tiny.toml, tmp_path / "bundle", data=tiny.root).archive


def test_the_scores_are_those_of_evaluate_to_the_last_digit(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    submission = tiny.outputs("res")
    (outcome,) = score([submission], tiny.split, leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    worker = run_as_codabench(archive, submission, tmp_path / "app")
    assert worker.status == 0, worker.stderr
    expected = {m: r.value for m, r in outcome.card.metrics.items()}
    # ms_ssim.common has no value on images of 24×20: no key, rather than a number that means nothing.
    assert expected.pop("ms_ssim.common") is None
    assert worker.scores == {m.replace(".", "_"): value for m, value in expected.items()}
    ours = Store(tmp_path / "boards").folder("tiny", "five", "res") / "cases.csv"
    assert (worker.output / "cases.csv").read_bytes() == ours.read_bytes()
    card = json.loads((worker.output / "scorecard.json").read_text(encoding="utf-8"))
    assert card["metrics"] == outcome.card.model_dump(mode="json")["metrics"]
    assert card["findings"] == outcome.card.model_dump(mode="json")["findings"] == []
    assert "psnr.f64" in worker.stdout


def test_the_program_runs_the_harness_that_it_brought(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    submission = tiny.outputs("res")
    root = tmp_path / "app"
    run_as_codabench(archive, submission, root)
    package = root / "program" / "evaluator" / "_version.py"
    package.write_text('"""Another."""\n\n__version__ = "9.9.9"\n', encoding="utf-8")
    command = [sys.executable, root / "program" / "score.py", root / "input", root / "output"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "here are 9.9.9" in done.stderr


def test_a_bad_submission_has_no_scores_and_its_findings_are_where_its_makers_look(
    tiny: Tiny, archive: Path, tmp_path: Path
) -> None:
    submission = tiny.outputs("res")
    (submission / "a-2.png").unlink()
    (submission / "b-9.png").write_bytes(encode_png(np.zeros((10, 24, 3), np.uint8)))
    (outcome,) = score([submission], tiny.split, leaderboards=tmp_path / "boards")
    worker = run_as_codabench(archive, submission, tmp_path / "app")
    assert worker.status == 2
    # Without the file, Codabench shows the submission as failed; with it, whatever it holds would be ranked.
    assert not (worker.output / "scores.json").exists()
    assert {f.code for f in outcome.findings} == {"missing-output", "size"}
    for shown in (worker.stderr, worker.details):
        assert "a-2" in shown
        assert "missing-output" in shown
        assert "24×20 pixels" in shown
        assert "2 of 5 cases have no score" in shown
    assert "Traceback" not in worker.stderr
    for finding in outcome.findings:
        assert finding.fix in html.unescape(worker.details)


def test_an_upload_without_any_output_is_refused_with_what_was_found(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "restored_1.png").write_bytes(encode_png(tiny.references["a-1"]))
    worker = run_as_codabench(archive, folder, tmp_path / "app")
    assert worker.status == 2
    assert not (worker.output / "scores.json").exists()
    for shown in (worker.stderr, worker.details):
        assert "holds no output for any of the 5 cases" in shown
    assert "metadata" not in worker.details  # the worker's own file is no concern of the team


def test_text_of_a_team_is_shown_as_text(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    submission = tiny.outputs("res")
    (submission / "<img src=x onerror=alert(1)>.png").write_bytes(encode_png(tiny.references["a-1"]))
    worker = run_as_codabench(archive, submission, tmp_path / "app")
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in worker.details
    assert "<img" not in worker.details


def test_details_need_nothing_from_elsewhere(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    worker = run_as_codabench(archive, tiny.outputs("res"), tmp_path / "app")
    assert not any(word in worker.details for word in ("http:", "https:", "src=", "<script", "<link", "url("))
    assert worker.details.count('<th scope="row">') == 5 + 5  # metrics, cases


def test_outputs_equal_to_the_references_have_no_finite_score(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "leaked"
    folder.mkdir()
    for case, clean in tiny.references.items():
        (folder / f"{case}.png").write_bytes(encode_png(clean))
    worker = run_as_codabench(archive, folder, tmp_path / "app")
    assert worker.status == 2
    assert not (worker.output / "scores.json").exists()
    assert "the ranking needs a number, but psnr.f64 is infinite" in worker.stderr


def test_a_rule_that_counts_a_missing_case_gives_scores(tiny: Tiny, tmp_path: Path) -> None:
    text = tiny.toml.read_text(encoding="utf-8").replace('missing = "unranked"', 'missing = "worst"')
    tiny.toml.write_text(text, encoding="utf-8")
    archive = build_bundle(tiny.toml, tmp_path / "bundle", data=tiny.root).archive
    submission = tiny.outputs("res")
    (submission / "a-2.png").unlink()
    (outcome,) = score([submission], tiny.split, leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    worker = run_as_codabench(archive, submission, tmp_path / "app")
    assert worker.status == 0
    assert worker.scores["psnr_f64"] == outcome.card.metrics["psnr.f64"].value
    assert "missing-output" in worker.stderr


def test_changed_reference_data_is_the_organisers_to_mend(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "app"
    submission = tiny.outputs("res")
    run_as_codabench(archive, submission, root)
    (root / "input" / "ref" / "data" / "tiny" / "ref" / "a-1.png").write_bytes(encode_png(tiny.inputs["a-1"]))
    (root / "output" / "scores.json").unlink()
    command = [sys.executable, root / "program" / "score.py", root / "input", root / "output"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "The organisers have to mend the reference data: The bundle was written by" in done.stderr
    assert "mend the reference data" in (root / "output" / "detailed_results.html").read_text(encoding="utf-8")
    assert not (root / "output" / "scores.json").exists()


def test_a_missing_package_is_named_where_nothing_can_be_installed(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "app"
    run_as_codabench(archive, tiny.outputs("res"), root)
    with (root / "program" / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("no-such-package-of-ours==1.0\n")
    environment = {**os.environ, "PIP_NO_INDEX": "1"}
    command = [sys.executable, root / "program" / "score.py", root / "input", root / "output"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "The scoring program lacks no-such-package-of-ours" in done.stderr
    assert "Traceback" not in done.stderr


def test_outputs_are_scored_where_nothing_can_be_isolated(
    tiny: Tiny, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A container that may make no namespaces, on a kernel without Landlock.
    from evaluator.bundle import score_upload
    from evaluator.runners.sandbox import Level, isolation

    root = tmp_path / "app"
    worker = run_as_codabench(archive, tiny.outputs("res"), root)
    monkeypatch.setenv("EVALUATOR_SANDBOX", "limits")
    if isolation().level is not Level.LIMITS:
        pytest.skip("the level cannot be chosen here")
    verdict = score_upload(root / "input", root / "again")
    assert verdict.scores == worker.scores
    assert verdict.outcome.card is not None
    assert verdict.outcome.card.isolation is not None
    assert verdict.outcome.card.isolation.level == "limits"


def test_a_root_without_powers_scores_as_in_codabenchs_container(tiny: Tiny, archive: Path, tmp_path: Path) -> None:
    # compute_worker.py drops all capabilities that Docker would give, and sets no-new-privileges.
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, whose powers can be taken away")
    powerless = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    submission = tiny.outputs("res")
    worker = run_as_codabench(archive, submission, tmp_path / "app", under=powerless)
    assert worker.status == 0, worker.stderr
    (outcome,) = score([submission], tiny.split, leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    assert worker.scores["psnr_f64"] == outcome.card.metrics["psnr.f64"].value
    card = json.loads((worker.output / "scorecard.json").read_text(encoding="utf-8"))
    assert card["isolation"]["level"] in ("A", "B", "C", "limits")
    assert card["isolation"]["sentence"] in html.unescape(worker.details)


def test_a_mini_splits_images_are_carried_along(tmp_path: Path) -> None:
    split = load_task("dped").split("mini")
    submission = tmp_path / "inputs"
    submission.mkdir()
    for case in split.case_ids:
        (submission / f"{case}.png").write_bytes(encode_png(split.input(case).array))
    made = build_bundle("dped", tmp_path / "bundle", split="mini")
    carried = made.folder / "reference_data" / "cache" / "mini" / split.reader.folder.name
    assert {f.relative_to(carried).as_posix() for f in carried.rglob("*") if f.is_file()} == set(split.reader.files())
    worker = run_as_codabench(made.archive, submission, tmp_path / "app")
    assert worker.status == 0, worker.stderr
    (outcome,) = score([submission], split, leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    assert worker.scores["psnr_pirm"] == outcome.card.metrics["psnr.pirm"].value


@pytest.mark.slow
def test_pirm_2018_of_srcnn(data_root: Path, tmp_path: Path) -> None:
    outputs = data_root / "dped" / "outputs" / "srcnn"
    if not outputs.is_dir():
        pytest.skip("the outputs of SRCNN on PIRM 2018's patches are not among the data")
    made = build_bundle("dped", tmp_path / "bundle", data=data_root)
    worker = run_as_codabench(made.archive, outputs, tmp_path / "app")
    assert worker.status == 0, worker.stderr
    # Source: the challenge's own code on the same files (tests/golden/test_pirm2018.py), as it was written down: with
    # so many decimals, so one unit of the last. Ours is 21.336305.
    assert worker.scores["psnr_pirm"] == pytest.approx(21.33630, abs=1e-5)
    assert worker.scores["ms_ssim_pirm"] == pytest.approx(0.903914, abs=1e-6)
    (outcome,) = score([outputs], load_task("dped").split(None, data_root), leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    assert worker.scores == {m.replace(".", "_"): r.value for m, r in outcome.card.metrics.items()}


@pytest.mark.slow
def test_weights_that_a_metric_needs_are_carried_along(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = data_root / "weights" / "niqe"
    if not weights.is_dir():
        pytest.skip("NIQE's parameters are not among the data")
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(weights))
    split = load_task("low-light").split("mini")
    submission = tmp_path / "inputs"
    submission.mkdir()
    for case in split.case_ids:
        (submission / f"{case}.png").write_bytes(encode_png(split.input(case).array))
    made = build_bundle("low-light", tmp_path / "bundle", split="mini")
    assert list((made.folder / "reference_data" / "weights").iterdir())
    worker = run_as_codabench(made.archive, submission, tmp_path / "app")  # without our environment
    (outcome,) = score([submission], split, leaderboards=tmp_path / "boards")
    assert outcome.card is not None
    assert worker.scores == {"niqe_live": outcome.card.metrics["niqe.live"].value}
