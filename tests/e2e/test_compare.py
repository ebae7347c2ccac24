"""`evaluate compare`, `rescore` and `opinions`, and the GitHub Action, through real subprocesses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from evaluator.results import Store
from evaluator.scoring import score

if TYPE_CHECKING:
    from support import Run, Tiny

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "compare" / "action.yml"


@pytest.fixture
def both(tiny: Tiny) -> tuple[Path, Path]:
    """Two folders of results: of `net` as it was, and of a `net` with larger errors."""
    folders = []
    for name, error in (("old", 3), ("new", 6)):
        shutil.rmtree(tiny.root / "submissions" / "net", ignore_errors=True)
        (scored,) = score([tiny.outputs("net", error)], tiny.split, leaderboards=tiny.root / name)
        assert scored.card is not None
        folders.append(tiny.root / name)
    return folders[0], folders[1]


def test_a_regression_ends_with_status_1_and_says_what_is_worse(evaluate: Run, both: tuple[Path, Path]) -> None:
    old, new = both
    worse = evaluate("compare", old, new, "--junit", "sub/ci.xml", "--format", "json")
    assert worse.returncode == 1, worse.stderr
    found = json.loads(worse.stdout)
    assert found["regression"] is True
    assert {m["metric"] for m in found["metrics"] if m["problems"]} == {m["metric"] for m in found["metrics"]} - {
        "ms_ssim.common"  # not defined for images this small
    }
    root = ET.parse(old.parent / "sub" / "ci.xml").getroot()  # noqa: S314 - our own file
    assert root.get("failures") == "4"

    table = evaluate("compare", old / "tiny" / "five" / "net" / "scorecard.json", new / "tiny")
    assert table.returncode == 1
    assert "psnr.f64 ↑" in table.stdout
    assert "WORSE" in table.stdout
    better = evaluate("compare", new, old)
    assert better.returncode == 0, better.stderr
    assert "no regression" in better.stdout
    allowed = [f"--max-drop={m}=99" for m in ("psnr.f64", "ssim.basicsr", "mae", "rmse_rel")]
    assert evaluate("compare", old, new, *allowed).returncode == 0
    strict = evaluate("compare", old, new, *allowed, "--max-case-drop", "psnr.f64=0.5")
    assert strict.returncode == 1
    assert "0.5 is allowed" in strict.stdout


BAD_USE = (
    (("--max-drop", "psnr.f64"), "NAME=NUMBER"),
    (("--max-drop", "psnr.f64=nan"), "NAME=NUMBER"),
    (("--max-drop", "psnr.f64=-1"), "NAME=NUMBER"),
    (("--max-drop", "psnr.f64=1", "--max-drop", "psnr.f64=2"), "given twice"),
    (("--max-drop", "psnr.f46=1"), "Did you mean 'psnr.f64'"),
    (("--max-cost", "cost.mac=1"), "Did you mean 'cost.macs'"),
)


def test_bad_use_ends_with_status_2(evaluate: Run, both: tuple[Path, Path]) -> None:
    for arguments, words in BAD_USE:
        done = evaluate("compare", *both, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_files_that_cannot_be_compared_end_with_status_2(
    evaluate: Run, both: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = both
    copy = tmp_path / "copy"
    shutil.copytree(old / "tiny" / "five" / "net", copy)
    assert evaluate("compare", copy, old).returncode == 0
    (copy / "cases.csv").write_text((copy / "cases.csv").read_text().replace("9", "8"))
    changed = evaluate("compare", copy, old)
    (copy / "cases.csv").unlink()
    without = evaluate("compare", copy, old)
    shutil.copytree(old / "tiny" / "five" / "net", new / "tiny" / "five" / "other")
    several = evaluate("compare", old, new)
    none = evaluate("compare", old, tmp_path / "tiny")
    for done, words in (
        (changed, "not the table"),
        (without, "cases.csv"),
        (several, "2 scorecards"),
        (none, "no scorecard"),
    ):
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_new_rules_are_scored_from_kept_outputs_and_it_is_said_who_moved(evaluate: Run, tiny: Tiny) -> None:
    paths = [tiny.outputs("one", 3), tiny.outputs("two", 5)]
    asked = ("--task", tiny.toml, "--data", tiny.root)
    assert evaluate(*asked, *paths).returncode == 0
    text = tiny.toml.read_text(encoding="utf-8").replace('"mae", ', '"mae", "psnr.y601", ')
    tiny.toml.write_text(text, encoding="utf-8")
    shutil.rmtree(paths[1])
    done = evaluate("rescore", *asked, "--format", "json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert [(s["submission"], s["state"]) for s in found["submissions"]] == [("one", "rescored"), ("two", "refused")]
    assert "outputs are gone" in done.stderr
    assert [(m["submission"], m["before"], m["after"]) for m in found["moves"]["moves"]] == [
        ("one", "1", "1"),
        ("two", "2", "–"),
    ]
    assert found["moves"]["versions"] == {"psnr.y601": [None, 1]}
    record = Store(tiny.root / "leaderboards").read_moves("tiny", "five")
    assert record is not None
    assert record.model_dump(mode="json") == found["moves"]
    again = evaluate("rescore", *asked, "one")
    assert again.returncode == 0
    assert "up to date" in again.stderr
    table = evaluate("rescore", *asked, "one", "--all")
    assert re.search(r"two +2 +– +moved", table.stdout), table.stdout
    assert evaluate("rescore", *asked, "nobody").returncode == 2


def test_opinions_come_into_a_score_of_the_board(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    extra = '[[scores]]\nid = "people"\ntitle = "People"\nformula = "m + b"\n'
    extra += 'where = { m = "opinion.mos", b = "opinion.bt" }\n'
    tiny.toml.write_text(tiny.toml.read_text(encoding="utf-8").replace("[splits.five]", extra + "[splits.five]"))
    asked = ("--task", tiny.toml)
    (tmp_path / "r.csv").write_text("rater,submission,case,score\nx,one,a,4\ny,one,a,5\nx,two,a,2\ny,two,a,1\n")
    early = evaluate("opinions", "import", *asked, "--kind", "ratings", "r.csv")
    assert early.returncode == 2
    assert "no scorecards" in early.stderr
    assert evaluate(*asked, "--data", tiny.root, tiny.outputs("one"), tiny.outputs("two", 6)).returncode == 0
    rated = evaluate("opinions", "import", *asked, "--kind", "ratings", "r.csv")
    assert rated.returncode == 0, rated.stderr
    assert re.search(r"one +4\.5000 ", rated.stdout)
    (tmp_path / "p.csv").write_text("rater,case,first,second,choice\nx,a,one,two,first\ny,a,one,two,tie\n")
    paired = evaluate("opinions", "import", *asked, "--kind", "pairs", "p.csv", "--format", "json")
    assert paired.returncode == 0, paired.stderr
    record = json.loads(paired.stdout)
    odds = {s["submission"]: s["strength"] for s in record["choices"]["submissions"]}
    assert odds["one"] - odds["two"] == pytest.approx(1.0986122886681098)  # ln(1.5 wins / 0.5 wins)
    assert record["ratings"]["raters"] == 2
    board = json.loads(evaluate("rank", *asked, "--format", "json").stdout)
    assert {r["submission"]: r["scores"]["people"]["value"] for r in board["rows"]} == {
        "one": pytest.approx(4.5 + odds["one"]),
        "two": pytest.approx(1.5 + odds["two"]),
    }
    (tmp_path / "bad.csv").write_text("rater,submission,case,score\nx,oen,a,4\nx,one,a,9\n")
    bad = evaluate("opinions", "import", *asked, "--kind", "ratings", "bad.csv")
    assert bad.returncode == 2
    assert "bad.csv, line 2" in bad.stderr
    assert "Did you mean 'one'" in bad.stderr
    assert "bad.csv, line 3" in bad.stderr
    for wrong in ("pairs --screen", "ratings --prior 1", "ratings --scale 5 1"):
        assert evaluate("opinions", "import", *asked, "--kind", *wrong.split(), "r.csv").returncode == 2


@pytest.fixture
def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    if not ACTION.is_file():
        pytest.skip("no checkout: the action is not part of the wheel")
    found: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    return found


GITHUBS_OWN = {"GITHUB_ACTION_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}


def test_the_action_uses_every_input_and_puts_none_into_a_script(action: dict[str, Any]) -> None:
    assert action["runs"]["using"] == "composite"
    text = json.dumps(action["runs"]) + json.dumps(action["outputs"])
    assert set(re.findall(r"inputs\.(\w+)", text)) == set(action["inputs"])
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input in a script is code: hand it over as a variable"
        given = set(step["env"])
        used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", step["run"])) - GITHUBS_OWN
        assert used == given
    required = {name for name, entry in action["inputs"].items() if entry.get("required")}
    assert required == {"task", "submission", "baseline"}
    assert all("default" in entry for name, entry in action["inputs"].items() if name not in required)
    assert all(entry["description"] for entry in action["inputs"].values())


def steps_of(action: dict[str, Any], given: dict[str, str]) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield name, variables and script of each step, as GitHub runs it with these inputs."""
    inputs = {name: given.get(name, entry.get("default", "")) for name, entry in action["inputs"].items()}
    for step in action["runs"]["steps"]:
        variables = {k: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: inputs[m[1]], v) for k, v in step["env"].items()}
        yield step["name"], variables, step["run"]


RUNS = {"same": (3, "", 0), "worse": (6, "", 1), "limits": (6, "--max-drop psnr.f64=20 --max-drop mae=1", 1)}


@pytest.mark.parametrize("kind", RUNS)
def test_the_actions_own_scripts_score_compare_and_fail(
    action: dict[str, Any], tiny: Tiny, command: str, kind: str
) -> None:
    error, limits, status = RUNS[kind]
    score([tiny.outputs("net", 3)], tiny.split, leaderboards=tiny.root / "leaderboards")
    shutil.rmtree(tiny.root / "submissions" / "net")
    given = {
        "task": str(tiny.toml),
        "split": "five",
        "data": str(tiny.root),
        "submission": str(tiny.outputs("net", error)),
        "baseline": "leaderboards/tiny/five/net",
        "limits": limits,
        "extras": "onnx",
    }
    path = f"{Path(command).parent}{os.pathsep}{os.environ['PATH']}"
    files = {name: str(tiny.root / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    names = []
    for name, variables, script in steps_of(action, given):
        names.append(name)
        if name == "Install":
            # What pip would be told: a checkout's own folder, with the extras.
            said = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", f'python() {{ echo "$@"; }}\n{script}'],
                env={"GITHUB_ACTION_PATH": "/a/.github/actions/compare", **variables},
                capture_output=True,
                text=True,
                check=True,
            )
            assert said.stdout.strip() == "-m pip install --quiet /a/.github/actions/compare/../../..[onnx]"
            continue
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],  # as GitHub runs `shell: bash`
            cwd=tiny.root,
            env={**os.environ, "PATH": path, **files, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (status if name == "Compare" else 0), done.stderr
    assert names == ["Install", "Score", "Compare"]
    assert (
        tiny.root / "github_output"
    ).read_text().strip() == "scorecard=evaluate-results/tiny/five/net/scorecard.json"
    summary = (tiny.root / "github_step_summary").read_text(encoding="utf-8")
    assert summary.startswith("### net against net on tiny/five")
    root = ET.parse(tiny.root / "evaluate-compare.xml").getroot()  # noqa: S314 - our own file
    assert (root.get("failures") == "0") is (status == 0)


def test_the_workflow_in_the_documents_gives_the_action_what_it_takes(action: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "docs" / "pages" / "compare.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    steps = yaml.safe_load(block)["jobs"]["compare"]["steps"]
    (ours,) = [step for step in steps if "actions/compare" in step.get("uses", "")]
    assert set(ours["with"]) <= set(action["inputs"])
    assert {n for n, entry in action["inputs"].items() if entry.get("required")} <= set(ours["with"])
    from evaluator.ranking.compare import COSTS

    named = set(re.findall(r"`((?:cost|measured|run)\.\w+)`", text))
    assert named == set(COSTS)
