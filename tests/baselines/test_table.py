"""`evaluate baseline table`, and the document that was written with it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from baseline_document import DOCUMENT, documented, section, table

from evaluator.findings import Finding
from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder
from evaluator.results import Store
from evaluator.scoring import Outcome, overview, scoreable_baselines
from evaluator.tasks import Split, load_task, task_ids
from support import Run, Tiny


@pytest.mark.slow
def test_the_document_says_what_a_run_gives(evaluate: Run, tmp_path: Path) -> None:
    done = evaluate("baseline", "table", "--tasks", "sidd,udc", "--baselines", "nlm,bilateral",
                    "--leaderboards", tmp_path / "boards", "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["baselines"]
    for name in ("nlm", "bilateral"):
        for task in ("sidd", "udc"):
            printed = documented()[name][task]
            decimals = len(printed.partition(".")[2])
            # Half a digit for rounding, half for what another FFT or SIMD does to the last one.
            assert found[name][task]["score"] == pytest.approx(float(printed), abs=10**-decimals)
            assert found[name][task]["s_per_megapixel"] > 0


def test_the_document_has_a_row_for_every_baseline() -> None:
    assert set(documented()) == set(scoreable_baselines())


def test_the_document_has_a_column_for_every_mini_split_and_a_score_where_the_baseline_is_for_it() -> None:
    tasks = {task for task in task_ids() if "mini" in load_task(task).spec.splits}
    assert {task for row in documented().values() for task in row} == tasks
    for name, row in documented().items():
        own = baseline_manifest(name).baseline
        for task, cell in row.items():
            if own.tasks and task not in own.tasks:
                assert cell == "–", (name, task)
            elif not own.by_name:
                assert float(cell) > 0, (name, task)


def test_the_document_has_the_costs_of_every_network() -> None:
    """The counts of `baselines/README.md`, which other tests hold against the authors' code, at the tasks' sizes."""
    (_, _, *sizes), _, *rows = table(section("Networks"))
    found = {row[0].strip("`"): dict(zip(("parameters", *sizes), row[1:], strict=True)) for row in rows}
    assert set(found) == set(baseline_names()) - set(scoreable_baselines())
    readme = (DOCUMENT.parents[2] / "baselines" / "README.md").read_text(encoding="utf-8")
    for row in table(readme.partition("| network | method |")[2]):
        name = row[0].strip("`")
        if name in found and len(row) == 5:
            macs, _, size = row[4].partition(" G at ")
            assert found[name]["parameters"] == row[3]
            assert float(found[name][size]) == pytest.approx(float(macs), rel=5e-4)


def test_what_is_missing_is_said_with_the_reason(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    arguments = ("baseline", "table", "--tasks", tiny.toml, "--split", "five", "--data", tiny.root,
                 "--baselines", "identity,he,wiener-psf", "--leaderboards", tmp_path / "boards")  # fmt: skip
    done = evaluate(*arguments, "--no-run", "--format", "json")
    assert done.returncode == 0, done.stderr
    reasons = {name: row["tiny"]["missing"] for name, row in json.loads(done.stdout)["baselines"].items()}
    assert reasons == {"identity": "not run", "he": "not run", "wiener-psf": "other inputs"}
    done = evaluate(*arguments, "--format", "markdown")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| `identity` \| .* \| \d+\.\d{4} \|$", done.stdout, re.MULTILINE)
    assert "- wiener-psf – other inputs: it takes input and psf" in done.stdout
    again = evaluate(*arguments, "--no-run")
    assert "not run" not in again.stdout


def test_a_name_that_is_none_is_refused_with_a_hint(evaluate: Run) -> None:
    done = evaluate("baseline", "table", "--baselines", "wavlet", "--tasks", "sidd")
    assert done.returncode == 2
    assert "wavelet" in done.stderr


@pytest.mark.parametrize("code", ["model-load", "model-missing-runtime"])
def test_a_package_that_is_not_installed_is_named(tmp_path: Path, code: str) -> None:
    finding = Finding.error(code, "", "a module", "ImportError: BM3D is not installed", "Install it.")
    refused = Outcome(baselines_folder() / "bm3d", findings=(finding,), message="It cannot be run.")
    found = overview([load_task("sidd").split("mini")], ["bm3d"], Store(tmp_path), lambda paths, split: [refused])
    assert found.entries["bm3d"]["sidd"].reason == "not installed"
    assert found.missing() == ["bm3d – not installed: BM3D is not installed"]


def test_a_baseline_that_is_not_for_a_task_is_not_run_on_it_unless_named(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(paths: Sequence[Path], split: Split) -> list[Outcome]:
        asked.append([path.name for path in paths])
        return []

    splits, names, store = [load_task("sidd").split("mini")], ["nlm", "he", "dncnn"], Store(tmp_path)
    found = overview(splits, names, store, run, every=False)
    assert asked == [["nlm"]]
    assert [name for name, _, _ in found.rows()] == ["nlm"]
    assert found.entries["he"]["sidd"].reason == "other tasks"
    assert found.to_json()["networks"]["dncnn"] == {
        "parameters": None,
        "macs": {"256x256": None},
        "missing": "no weights",
    }
    assert list(overview(splits, names, store, run).entries) == ["nlm", "he"]
    assert asked == [["nlm"], ["nlm", "he"]]
