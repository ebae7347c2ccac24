"""The commands of README and of the issue tracker's design, through real subprocesses."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.images import encode_png
from evaluator.ingest import baselines_folder
from support import Run, Tiny

BASELINES = ("identity", "nlm", "bilateral", "tv")


def strict_json(text: str) -> object:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_main_job_from_files_to_pages(evaluate: Run, tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "submissions" / "example"
    paths = [*(baselines_folder() / b for b in BASELINES), example]
    scored = evaluate("--task", "sidd", "--split", "mini", *paths)
    assert scored.returncode == 0, scored.stderr
    assert "bilateral (baseline)" in scored.stdout

    ranked = evaluate("rank", "--task", "sidd", "--split", "mini", "--format", "json")
    board = strict_json(ranked.stdout)
    assert isinstance(board, dict)
    rows = board["rows"]
    assert [r["rank"] for r in rows] == [1, 2, 3, 4, 5]
    assert {r["submission"] for r in rows} == {*BASELINES, "example"}
    values = [r["metrics"]["psnr.f64"]["value"] for r in rows]
    assert values == sorted(values, reverse=True)
    identity = next(r for r in rows if r["submission"] == "identity")
    for row in rows:
        if row["submission"] in ("nlm", "bilateral", "tv"):
            assert row["metrics"]["psnr.f64"]["value"] > identity["metrics"]["psnr.f64"]["value"] + 2

    table = evaluate("rank", "--task", "sidd", "--split", "mini")
    assert table.returncode == 0
    assert "psnr.f64 ↑" in table.stdout

    site = evaluate("site")
    index = tmp_path / site.stdout.strip()
    assert index == tmp_path / "leaderboards" / "site" / "index.html"
    assert (index.parent / "sidd" / "mini" / "nlm" / "index.html").is_file()


def test_folder_and_zip_give_the_same_digits(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("team_a")
    archive = tmp_path / "team_b.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in folder.iterdir():
            packed.write(file, f"wrapped/{file.name}")
        packed.writestr("__MACOSX/wrapped/._a-1.png", b"x")
        packed.writestr("wrapped/.DS_Store", b"x")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, "--format", "json", folder, archive)
    assert done.returncode == 0, done.stderr
    a, b = strict_json(done.stdout)["submissions"]  # type: ignore[index]
    assert a["metrics"] == b["metrics"]
    assert {f["code"] for f in b["findings"]} == {"junk", "wrapping-folder", "equals-other"}


def test_every_kind_of_bad_output_is_a_finding_and_all_come_at_once(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("bad")
    good = tiny.inputs["b-9"] // 2
    (folder / "a-1.png").unlink()
    (folder / "a-2.png").write_bytes((folder / "a-2.png").read_bytes()[:-20])
    Image.fromarray(good[:10]).convert("RGBA").save(folder / "b-1.png")
    Image.fromarray(good).convert("L").save(folder / "b-10.png")
    (folder / "b-9.png").write_bytes(encode_png(good.astype(np.uint16) * 257))
    (folder / "b-11.png").write_bytes(b"")
    fine = tiny.outputs("fine")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, "--format", "json", folder, fine)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    bad, ok = strict_json(done.stdout)["submissions"]  # type: ignore[index]
    found = {(f["code"], f["severity"], f["file"]) for f in bad["findings"]}
    assert found == {
        ("missing-output", "error", "a-1.png"),
        ("unreadable", "error", "a-2.png"),
        ("size", "error", "b-1.png"),
        ("alpha", "error", "b-1.png"),
        ("gray", "error", "b-10.png"),
        ("bit-depth", "warning", "b-9.png"),
        ("unexpected-file", "warning", "b-11.png"),
    }
    assert all(f["expected"] and f["got"] and f["fix"] for f in bad["findings"])
    assert bad["status"] == "incomplete"
    assert bad["metrics"]["psnr.f64"] == {"state": "incomplete", "value": None}
    assert ok["status"] == "complete"

    checked = evaluate("check", "--task", tiny.toml, "--data", tiny.root, "--format", "json", folder)
    assert checked.returncode == 2
    same = strict_json(checked.stdout)["submissions"][0]["findings"]  # type: ignore[index]
    assert same == bad["findings"]

    ranked = evaluate("rank", "--task", tiny.toml, "--format", "json")
    rows = {r["submission"]: r for r in strict_json(ranked.stdout)["rows"]}  # type: ignore[index]
    assert rows["fine"]["rank"] == 1
    assert rows["bad"]["rank"] is None
    assert "4 of 5" in rows["bad"]["reason"]


def test_one_and_two_workers_and_a_second_run_give_the_same_digits(evaluate: Run, tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("team")
    tables = []
    for name, workers in (("one", "1"), ("two", "2"), ("again", "2")):
        boards = tmp_path / name
        done = evaluate(
            "--task", tiny.toml, "--data", tiny.root, "--workers", workers, "--leaderboards", boards, folder
        )
        assert done.returncode == 0, done.stderr
        card = json.loads((boards / "tiny" / "five" / "team" / "scorecard.json").read_text(encoding="utf-8"))
        tables.append(((boards / "tiny" / "five" / "team" / "cases.csv").read_bytes(), card["metrics"]))
    assert tables[0] == tables[1] == tables[2]


def test_an_identical_output_is_infinite_and_said_so(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("same")
    (folder / "a-1.png").write_bytes(encode_png(tiny.references["a-1"]))
    done = evaluate("--task", tiny.toml, "--data", tiny.root, folder)
    assert done.returncode == 0
    assert "same 1 of 5" in done.stdout
    ranked = evaluate("rank", "--task", tiny.toml, "--format", "json")
    metric = strict_json(ranked.stdout)["rows"][0]["metrics"]["psnr.f64"]  # type: ignore[index]
    assert metric["infinite"] == 1
    assert math.isfinite(metric["value"])


def test_without_data_the_error_says_where_it_looked_and_what_to_do(evaluate: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = evaluate("--task", "sidd", tmp_path, env={"EVALUATOR_DATA": str(empty)})
    assert done.returncode == 2
    for part in (str(empty / "sidd"), "ValidationNoisyBlocksSrgb.mat", "--split mini", "https://"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--task", "sid", "x"], "Did you mean 'sidd'?"),
        (["--task", "sidd", "--split", "mimi", "x"], "Did you mean 'mini'?"),
        (["rnak"], "Did you mean 'rank'?"),
        (["metrics", "explain", "psnr.f46"], "Did you mean 'psnr.f64'?"),
        (["baseline", "run", "nml", "--task", "sidd"], "Did you mean 'nlm'?"),
        (["--task", "sidd", "--split", "mini", "nowhere"], "no such file"),
        (["rank", "--task", "sidd", "--split", "mini"], "There are no scorecards"),
        (["site"], "There are no scorecards"),
        (["--task", "missing.toml", "x"], "missing.toml cannot be read"),
        (["--task", "sidd"], "Missing argument"),
    ],
)
def test_mistakes_are_answered_in_words_with_status_2(evaluate: Run, arguments: list[str], expected: str) -> None:
    done = evaluate(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["tasks", "--format", "json"],
        ["tasks", "show", "sidd", "--format", "json"],
        ["tasks", "show", "dped", "--format", "json"],
        ["metrics", "--format", "json"],
        ["metrics", "explain", "ms_ssim.pirm", "--format", "json"],
        ["baseline", "list", "--format", "json"],
        ["data", "verify", "sidd", "--split", "mini", "--format", "json"],
        ["audit", "--format", "json"],
        ["schema", "published"],
        ["schema", "cost"],
        ["schema", "conformance"],
        ["phones", "devices", "--format", "json"],
    ],
)
def test_tables_can_be_had_as_json_alone(evaluate: Run, arguments: list[str]) -> None:
    done = evaluate(*arguments)
    assert done.returncode == 0, done.stderr
    assert strict_json(done.stdout)


def test_data_verify_names_the_file_that_differs(evaluate: Run, tiny: Tiny) -> None:
    (tiny.root / "tiny" / "ref" / "b-9.png").write_bytes(encode_png(tiny.references["b-9"][:-1]))
    (tiny.root / "tiny" / "in" / "a-2.png").write_bytes(b"broken")
    done = evaluate("data", "verify", tiny.toml, "--root", tiny.root)
    assert done.returncode == 2
    assert "ref/b-9.png" in done.stderr
    assert "in/a-2.png" in done.stderr


def test_data_verify_compares_with_the_published_digests(evaluate: Run, data_root: Path, tmp_path: Path) -> None:
    own = tmp_path / "data" / "dped"
    for folder in ("iphone", "canon"):
        shutil.copytree(data_root / "dped" / folder, own / folder)
    own.chmod(0o755)
    assert evaluate("data", "verify", "dped", "--root", own).returncode == 0
    assert evaluate("data", "verify", "dped", "--root", own.parent).returncode == 0
    changed = own / "canon" / "5.jpg"
    data = (own / "canon" / "6.jpg").read_bytes()
    (own / "canon").chmod(0o755)
    changed.unlink()
    changed.write_bytes(data)
    done = evaluate("data", "verify", "dped", "--root", own)
    assert done.returncode == 2
    assert "canon/5.jpg" in done.stderr
    assert "sha256" in done.stderr
    scored = evaluate("--task", "dped", "--data", own, own / "iphone")
    assert scored.returncode == 2
    assert "canon/5.jpg" in scored.stderr


def test_documents_that_a_shell_star_brings_along_are_left_out_aloud(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    readme = folder.parent / "README.md"
    readme.write_text("notes", encoding="utf-8")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, readme, folder)
    assert done.returncode == 0, done.stderr
    assert "Left out" in done.stderr
    assert "README.md" in done.stderr


VERBS = [
    *("score", "check", "rank", "site", "audit", "phones", "init"),
    *("tasks", "data", "metrics", "weights", "baseline", "schema", "doctor"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(evaluate: Run, verb: str) -> None:
    done = evaluate(verb, "--help")
    assert done.returncode == 0
    assert "Usage: evaluate" in done.stdout


def test_spread_prints_every_variant_side_by_side(evaluate: Run, tiny: Tiny) -> None:
    inputs, references = tiny.root / "tiny" / "in", tiny.root / "tiny" / "ref"
    done = evaluate("metrics", "spread", "--reference", references, inputs, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = strict_json(done.stdout)
    assert isinstance(found, dict)
    assert {"state", "value"} <= set(found["ssim.matlab3d"])
    assert found["psnr.f64"]["state"] == "ok"
    assert found["ms_ssim.common"] | {"detail": ""} == {
        "state": "not_applicable",
        "value": None,
        "cases": 5,
        "infinite": 0,
        "not_applicable": 5,
        "detail": "",
    }
    table = evaluate("metrics", "spread", "--reference", references / "a-1.png", inputs / "a-1.png")
    assert "SIDD, GoPro and HIDE tables" in table.stdout
    assert "FLAW" in table.stdout


def test_conformance_with_what_is_installed(evaluate: Run) -> None:
    done = evaluate("metrics", "conformance", "--format", "json")
    assert done.returncode == 0, done.stdout
    rows = strict_json(done.stdout)
    assert isinstance(rows, list)
    assert {"agrees"} <= {r["verdict"] for r in rows} <= {"agrees", "differs by definition", "not installed"}


def test_weights_are_listed_and_a_wrong_file_is_named(evaluate: Run, tmp_path: Path) -> None:
    listed = evaluate("weights", "list", "--weights", tmp_path, "--format", "json")
    assert listed.returncode == 0, listed.stderr
    known = strict_json(listed.stdout)
    assert isinstance(known, dict)
    for name, entry in known.items():
        (tmp_path / entry["files"][0]["name"]).write_bytes(b"wrong")
        assert entry["licence"], name
    verified = evaluate("weights", "verify", "--weights", tmp_path)
    assert verified.returncode == (2 if known else 0)
    assert verified.stdout.count("is another file") == len(known)


def test_data_that_the_task_file_describes_wrongly_is_not_blamed_on_the_teams(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    text = tiny.toml.read_text(encoding="utf-8")
    for old, new, code in (
        ("size = [24, 20]", "size = [20, 24]", "data-size"),
        ("clip = true", "clip = true\nbit_depth = 16", "data-depth"),
    ):
        tiny.toml.write_text(text.replace(old, new), encoding="utf-8")
        done = evaluate("--task", tiny.toml, "--data", tiny.root, folder)
        assert done.returncode == 2
        assert f"[{code}]" in done.stderr
        assert "is not what the task says" in done.stderr


def test_a_task_of_ones_own_may_not_take_the_id_of_a_shipped_one(evaluate: Run, tiny: Tiny) -> None:
    tiny.toml.write_text(tiny.toml.read_text(encoding="utf-8").replace('id = "tiny"', 'id = "dped"'), encoding="utf-8")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, tiny.outputs("team"))
    assert done.returncode == 2
    assert "Give it an id of its own" in done.stderr


def test_a_failed_second_try_says_that_the_first_result_stays(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    assert evaluate("--task", tiny.toml, "--data", tiny.root, folder).returncode == 0
    (folder / "submission.toml").write_text("teem = 'x'", encoding="utf-8")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, folder)
    assert done.returncode == 2
    assert "team keeps its earlier result" in done.stderr


def test_outputs_that_lie_elsewhere_in_the_submission_are_pointed_at(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    (folder / "deep").mkdir()
    for file in list(folder.glob("*.png")):
        file.rename(folder / "deep" / file.name)
    (folder / "readme.txt").write_text("notes", encoding="utf-8")
    done = evaluate("check", "--task", tiny.toml, "--data", tiny.root, folder)
    assert "They lie in deep" in done.stderr
    (folder / "submission.toml").write_text("[outputs]\nfolder = 'deeep'", encoding="utf-8")
    (folder / "deep").rename(folder / "other")
    done = evaluate("check", "--task", tiny.toml, "--data", tiny.root, folder)
    assert "They lie in other" in done.stderr


def test_an_error_is_json_too_where_json_is_asked_for(evaluate: Run) -> None:
    done = evaluate("rank", "--task", "sidd", "--split", "mini", "--format", "json")
    assert done.returncode == 2
    found = strict_json(done.stdout)
    assert isinstance(found, dict)
    assert "There are no scorecards" in found["error"]


def test_an_old_terminal_does_not_end_a_run(evaluate: Run, tiny: Tiny) -> None:
    done = evaluate("tasks", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_digits_are_not_broken_on_a_narrow_terminal(evaluate: Run, tiny: Tiny) -> None:
    name = "a-team-with-a-rather-long-name"
    evaluate("--task", tiny.toml, "--data", tiny.root, tiny.outputs(name))
    wide, narrow = (evaluate("rank", "--task", tiny.toml, env={"COLUMNS": c}).stdout for c in ("200", "40"))
    assert name in wide
    assert narrow == wide


def test_audit_prints_what_does_not_agree_and_json_has_every_check(evaluate: Run) -> None:
    done = evaluate("audit")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (misprint,) = (line for line in lines if "DiscNet [21], 256×256" in line and "scaling" in line)
    assert "45.31" in misprint
    assert "a misprint" in misprint
    found = strict_json(evaluate("audit", "--format", "json").stdout)
    assert isinstance(found, dict)
    assert len(found["remarks"]) == found["checks"] == sum(found["verdicts"].values())
    rmse = [r for r in found["remarks"] if r["check"] == "rmse-psnr"]
    assert sum(r["verdict"] == "agrees" for r in rmse) == 39
    assert len(rmse) == 41
    shown = [line for line in lines if any(line.startswith(r["table"]) for r in found["remarks"])]
    assert len(shown) == found["checks"] - found["verdicts"]["agrees"]
    assert f"{found['checks']} checks" in done.stdout
