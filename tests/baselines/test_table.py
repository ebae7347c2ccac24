"""`evaluate baseline table`, and the document that was written with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support import Run, Tiny

Documented = dict[str, dict[str, str]]


@pytest.mark.slow
def test_the_document_says_what_a_run_gives(evaluate: Run, tmp_path: Path, documented: Documented) -> None:
    done = evaluate("baseline", "table", "--tasks", "sidd,udc", "--baselines", "wavelet,bilateral",
                    "--leaderboards", tmp_path / "boards", "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["baselines"]
    for name in ("wavelet", "bilateral"):
        for task in ("sidd", "udc"):
            printed = documented[name][task]
            decimals = len(printed.partition(".")[2])
            # Half a digit for rounding, half for what another FFT or SIMD does to the last one.
            assert found[name][task]["score"] == pytest.approx(float(printed), abs=10**-decimals)
            assert found[name][task]["s_per_megapixel"] > 0


def test_the_document_has_a_row_for_every_baseline(documented: Documented) -> None:
    from evaluator.scoring import scoreable_baselines

    assert list(documented) == scoreable_baselines()


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


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    from evaluator.findings import Finding
    from evaluator.ingest import baselines_folder
    from evaluator.results import Store
    from evaluator.scoring import Outcome, overview
    from evaluator.tasks import load_task

    finding = Finding.error("model-load", "", "a module", "ImportError: BM3D is not installed", "Install it.")
    refused = Outcome(baselines_folder() / "bm3d", findings=(finding,), message="It cannot be run.")
    found = overview([load_task("sidd").split("mini")], ["bm3d"], Store(tmp_path), lambda paths, split: [refused])
    assert found.entries["bm3d"]["sidd"].reason == "not installed"
    assert found.missing() == ["bm3d – not installed: BM3D is not installed"]
