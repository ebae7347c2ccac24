"""What an organiser types: a task of one's own from the template, the linter of its pairs, detections."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import encode_png
from evaluator.tasks import load_task
from evaluator.tasks.mini.photographs import crops
from support import Run


@pytest.fixture
def challenge(evaluate: Run, tmp_path: Path) -> Path:
    """The template as it is written, and three pairs that fit it."""
    made = evaluate("init", "task")
    assert made.returncode == 0, made.stderr
    assert "evaluate data verify ./my_challenge.toml" in made.stderr
    random = np.random.default_rng(5)
    for number, image in enumerate(list(crops().values())[::5][:3]):
        noisy = np.clip(image + random.normal(0, 15, image.shape), 0, 255).astype(np.uint8)
        for side, pixels in (("input", noisy), ("reference", image)):
            file = tmp_path / "data" / "my-challenge" / side / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png(pixels))
    return tmp_path / "my_challenge.toml"


def test_the_template_is_a_task_that_verifies_lints_scores_and_ranks(
    evaluate: Run, challenge: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    assert load_task(challenge).id == "my-challenge"
    verified = evaluate("data", "verify", "./my_challenge.toml", "--root", data)
    assert verified.returncode == 0, verified.stderr
    linted = evaluate("data", "lint", "./my_challenge.toml", "--data", data)
    assert linted.returncode == 0, linted.stderr
    assert linted.stdout.startswith("my-challenge/test: 3 of 3 pairs looked at, 0 findings.")
    team = tmp_path / "team"
    team.mkdir()
    for file in (data / "my-challenge" / "reference").iterdir():
        pixels = load_task(challenge).split(None, data).reference(file.stem)
        assert pixels is not None
        (team / file.name).write_bytes(encode_png((pixels.array // 2 * 2).astype(np.uint8)))
    scored = evaluate("--task", "./my_challenge.toml", "--data", data, team, "--format", "json")
    assert scored.returncode == 0, scored.stderr
    ranked = json.loads(evaluate("rank", "--task", "./my_challenge.toml", "--format", "json").stdout)
    (row,) = ranked["rows"]
    # Odd values are one too high, which is half of them, give or take: an error of 1 in about half of the values.
    assert row["rank"] == 1
    assert row["metrics"]["psnr.f64"]["value"] == pytest.approx(10 * np.log10(255**2 / 0.5), abs=0.3)


def test_a_folder_may_still_be_named(evaluate: Run, tmp_path: Path) -> None:
    for arguments, file in (
        ((), "submission.toml"),
        (("team",), "team/submission.toml"),
        (("./task", "--kind", "model"), "task/submission.toml"),
        (("--kind", "python", "code"), "code/submission.toml"),
        (("task", "new/other.toml"), "new/other.toml"),
    ):
        done = evaluate("init", *arguments)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / file).is_file()
    assert 'kind = "outputs"' in (tmp_path / "team" / "submission.toml").read_text()
    assert 'kind = "model"' in (tmp_path / "task" / "submission.toml").read_text()
    assert 'kind = "python"' in (tmp_path / "code" / "submission.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task", "here.txt"), "ends with .toml"),
        (("task", "a.toml", "b.toml"), "Name one folder"),
        (("a", "b"), "Name one folder"),
        (("task", "--kind", "model"), "a task has none"),
        (("task", "there.toml"), "is there already; nothing was written"),
    ],
)
def test_init_refuses_what_it_does_not_understand(
    evaluate: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "there.toml").write_text("mine")
    done = evaluate("init", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["there.toml"]
    assert (tmp_path / "there.toml").read_text() == "mine"


def test_lint_reports_and_changes_nothing(evaluate: Run, challenge: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "my-challenge"
    (folder / "input" / "1.png").write_bytes((folder / "reference" / "1.png").read_bytes())
    before = {p: p.read_bytes() for p in folder.rglob("*.png")}
    done = evaluate("data", "lint", "./my_challenge.toml", "--data", tmp_path / "data", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(f["code"], f["file"], f["severity"]) for f in found["findings"]] == [("pair-identical", "1", "warning")]
    assert "warning [pair-identical] 1:" in done.stderr
    assert found["summary"]["identical"] == 1
    assert found["pairs"]["1"]["identical"]
    assert found["pairs"]["0"]["gain"] == pytest.approx(1, abs=0.05)
    assert before == {p: p.read_bytes() for p in folder.rglob("*.png")}
    missing = evaluate("data", "lint", "sidd", "--data", tmp_path / "data")
    assert missing.returncode == 2


def test_detections_from_the_command_line(evaluate: Run, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text(
        "case,class,left,top,width,height,difficult\n"
        "a,Cat,0,0,9,9,0\nb,Cat,0,0,9,9,0\nb,Dog,20,20,9,9,0\na,Dog,40,40,9,9,1\n"
    )
    head = "case,class,score,left,top,width,height\n"
    (tmp_path / "good.csv").write_text(
        # Cat: hit, miss, hit: (1 + 2/3) / 2 under the curve; at 11 points 6 of 1 and 5 of 2/3. Dog: not found.
        head + "a,Cat,0.9,0,0,9,9\na,Cat,0.8,50,0,9,9\nb,Cat,0.7,0,1,9,9\na,Dog,0.9,40,40,9,9\nb,Bus,0.5,0,0,9,9\n"
    )
    done = evaluate("metrics", "detections", "--truth", "truth.csv", "good.csv", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["images"] == 2
    assert found["map"]["map.voc"]["classes"]["Cat"]["value"] == pytest.approx(5 / 6)
    assert found["map"]["map.voc07"]["classes"]["Cat"]["value"] == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert found["map"]["map.voc"]["value"] == pytest.approx(5 / 12)
    assert found["map"]["map.voc"]["without_truth"] == {"Bus": 1}
    assert [f["severity"] for f in found["findings"]] == ["warning"]

    table = evaluate("metrics", "detections", "--truth", "truth.csv", "good.csv")
    rows = {line.split()[0]: line.split()[1:] for line in table.stdout.splitlines()[2:] if line.strip()}
    assert rows["Cat"] == ["0.8485", "0.8333", "2", "0", "3", "2", "0", "1", "0"]
    assert rows["Dog"] == ["0.0000", "0.0000", "1", "1", "1", "0", "0", "0", "1"]
    assert rows["mean"] == ["0.4242", "0.4167"]
    assert "Mean over 2 classes with objects to be found, in 2 images." in table.stdout
    assert "Left out, having none: Bus (1)." in table.stdout
    without = evaluate("metrics", "detections", "--truth", "truth.csv", "--without", "Dog", "good.csv")
    assert "Mean over 1 class with objects to be found" in without.stdout

    (tmp_path / "bad.csv").write_text(head + "a,Cat,high,0,0,9,9\nz,Cat,0.5,0,0,9,9\n")
    bad = evaluate("metrics", "detections", "--truth", "truth.csv", "bad.csv", "--format", "json")
    assert bad.returncode == 2
    assert [f["file"] for f in json.loads(bad.stdout)["findings"]] == ["bad.csv:2", "bad.csv"]
    assert json.loads(bad.stdout)["map"] == {}


def test_a_number_of_a_whole_set_is_explained_and_listed_but_no_metric_of_images(
    evaluate: Run, challenge: Path
) -> None:
    explained = evaluate("metrics", "explain", "map.voc07")
    assert explained.returncode == 0
    assert "map.voc07: Mean average precision (VOC 2007), 11 points" in explained.stdout
    assert "intersection over union above 0.5" in explained.stdout
    listed = json.loads(evaluate("metrics", "--format", "json").stdout)
    assert listed["map.voc"]["verb"] == "evaluate metrics detections"
    challenge.write_text(challenge.read_text().replace('metrics = ["psnr.f64"', 'metrics = ["map.voc", "psnr.f64"'))
    refused = evaluate("tasks", "show", challenge)
    assert refused.returncode == 2
    assert "no image has a map.voc" in refused.stderr
