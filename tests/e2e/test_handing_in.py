"""Handing in, from the template to the table, through real subprocesses: init, schema, doctor, and code in any form."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.ingest import Manifest
from evaluator.runners.sandbox import Level, isolation
from evaluator.typed_toml import parse_toml
from support import Run, Tiny

SCHEMA = Path(__file__).parents[2] / "submissions" / "submission.schema.json"
HELPED = "from parts.helper import halved\n\n\ndef restore(image):\n    return halved(image)\n"
HELPER = "import numpy as np\n\n\ndef halved(image):\n    return np.asarray(image // 2, image.dtype)\n"
PYTHON = 'kind = "python"\n[python]\nentry = "model:restore"\n'


@pytest.fixture
def isolated() -> None:
    """Skip where nothing isolates: code is not run there."""
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine")


@pytest.mark.parametrize("kind", ["outputs", "model", "python"])
def test_each_template_is_a_manifest_and_is_never_written_over_another(
    evaluate: Run, tmp_path: Path, kind: str
) -> None:
    done = evaluate("init", "--kind", kind, "new/folder")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "new/folder/submission.toml"
    manifest, findings = parse_toml(Manifest, file.read_bytes(), "submission.toml", "manifest")
    assert findings == []
    assert manifest is not None
    assert manifest.kind == kind
    text = file.read_text(encoding="utf-8").replace("my-team", "our-team")
    file.write_text(text, encoding="utf-8")
    again = evaluate("init", "--kind", kind, "new/folder")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert file.read_text(encoding="utf-8") == text


def test_what_a_template_leaves_out_is_valid_too_when_its_hash_is_taken_away(evaluate: Run, tmp_path: Path) -> None:
    evaluate("init", "--kind", "model")
    lines = (tmp_path / "submission.toml").read_text(encoding="utf-8").splitlines()
    options = [line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines]
    manifest, findings = parse_toml(Manifest, "\n".join(options).encode(), "submission.toml", "manifest")
    assert findings == []
    assert manifest is not None
    assert manifest.artefacts is not None
    assert manifest.artefacts.latency is not None
    assert manifest.model is not None
    assert manifest.model.tile_overlap is not None


def test_outputs_beside_a_template_can_be_checked(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    assert evaluate("init", folder).returncode == 0
    done = evaluate("check", "--task", tiny.toml, "--data", tiny.root, "--format", "json", folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["submissions"][0]["submission"] == "my-team"


def test_the_schema_of_a_submission_is_the_one_that_is_kept(evaluate: Run) -> None:
    assert json.loads(evaluate("schema", "submission").stdout) == json.loads(SCHEMA.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("what", "key"), [("submission", "artefacts"), ("task", "protocol"), ("scorecard", "isolation")]
)
def test_schemas_are_json(evaluate: Run, what: str, key: str) -> None:
    schema = json.loads(evaluate("schema", what).stdout)
    assert schema["type"] == "object"
    assert key in schema["properties"]


def test_the_doctor_says_what_is_in_force_and_why_nothing_stronger(evaluate: Run) -> None:
    done = evaluate("doctor", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    levels = {level: (state, why) for level, state, why in found["isolation"]["levels"]}
    assert list(levels) == [level.value for level in Level]
    assert [level for level, (state, _) in levels.items() if state == "in force"] == [found["isolation"]["level"]]
    assert all(why for state, why in levels.values() if state == "refused")
    assert {f["package"] for f in found["formats"]} >= {"torch", "tensorflow", "onnxruntime", "h5py"}
    assert all(bool(f["version"]) != bool(f["fix"]) for f in found["formats"])
    table = evaluate("doctor")
    assert table.returncode == 0
    for part in ("Isolation", "Formats and libraries", "Weights", "Processors:", "Data folder:"):
        assert part in table.stdout


def test_the_doctor_says_when_a_weaker_level_was_asked_for(evaluate: Run) -> None:
    done = evaluate("doctor", env={"EVALUATOR_SANDBOX": "none"})
    assert done.returncode == 0, done.stderr
    assert (
        "NOT isolated: it runs as any program of yours does. That was asked for (EVALUATOR_SANDBOX=none)."
        in done.stdout
    )
    wrong = evaluate("doctor", env={"EVALUATOR_SANDBOX": "D"})
    assert wrong.returncode == 2
    assert "it must be one of A, B, C, limits, none" in wrong.stderr


def packed(folder: Path, form: str) -> Path:
    """Return the folder, or an archive of it."""
    path = folder.with_name(f"{folder.name}-{form.replace('.', '-')}.{form}")
    if form == "folder":
        return folder
    if form == "zip":
        return Path(shutil.make_archive(str(path.with_suffix("")), "zip", folder))
    with tarfile.open(path, "w:gz") as out:
        out.add(folder, "wrapped")
    return path


@pytest.mark.usefixtures("isolated")
def test_code_with_helpers_is_run_from_every_form_and_scored_as_its_outputs_are(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.root / "code"
    (folder / "parts").mkdir(parents=True)
    for name, text in {"submission.toml": PYTHON, "model.py": HELPED, "parts/helper.py": HELPER}.items():
        (folder / name).write_text(text, encoding="utf-8")
    outputs = tiny.root / "outputs.npz"
    np.savez(outputs, **{case: image // 2 for case, image in tiny.inputs.items()})
    paths = [*(packed(folder, form) for form in ("folder", "zip", "tar.gz")), outputs]
    done = evaluate("--task", tiny.toml, "--data", tiny.root, "--format", "json", *paths)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["submissions"]
    assert [s["status"] for s in found] == ["complete"] * 4
    assert all(s["metrics"] == found[0]["metrics"] for s in found)
    card = json.loads(Path(tiny.root / found[1]["scorecard"]).read_text(encoding="utf-8"))
    assert card["submission"]["kind"] == "python"
    assert card["isolation"]["level"] == isolation().level.value
    assert card["isolation"]["trusted"] is False
    checked = evaluate("check", "--task", tiny.toml, "--data", tiny.root, *paths)
    assert checked.returncode == 0, checked.stderr
    assert checked.stderr.count("ready to be scored") == 4


ATTACKS = {
    "writes": "open({canary!r}, 'w').write('x')",
    "reads": "raise ValueError(open({secret!r}).read())",
    "lists": "import os; raise ValueError(os.listdir({folder!r}))",
    "calls home": "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
    "starts a shell": "import subprocess; subprocess.run(['/bin/sh', '-c', 'echo x > {canary}'], check=True)",
}


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("attack", ATTACKS)
def test_harmful_code_fails_on_its_cases_and_does_no_harm(evaluate: Run, tiny: Tiny, attack: str) -> None:
    secret = tiny.root / "secret.txt"
    secret.write_text("a-secret-word", encoding="utf-8")
    names = {"canary": str(tiny.root / "canary"), "secret": str(secret), "folder": str(tiny.root)}
    folder = tiny.root / "harmful"
    folder.mkdir()
    (folder / "submission.toml").write_text(PYTHON, encoding="utf-8")
    line = ATTACKS[attack].format(**names)
    (folder / "model.py").write_text(f"def restore(image):\n    {line}\n    return image\n", encoding="utf-8")
    team = tiny.outputs("team")
    done = evaluate("--task", tiny.toml, "--data", tiny.root, "--format", "json", folder, team)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "a-secret-word" not in done.stdout + done.stderr
    harmful, fine = json.loads(done.stdout)["submissions"]
    assert harmful["status"] == "incomplete"
    assert {f["code"] for f in harmful["findings"]} == {"run-failed"}
    assert fine["status"] == "complete"
    assert not (tiny.root / "canary").exists()


def test_code_is_not_run_without_isolation_and_the_others_are_scored(evaluate: Run, tiny: Tiny) -> None:
    folder = tiny.root / "mine"
    folder.mkdir()
    (folder / "submission.toml").write_text(PYTHON, encoding="utf-8")
    (folder / "model.py").write_text("def restore(image):\n    return image\n", encoding="utf-8")
    bare = {"EVALUATOR_SANDBOX": "none"}
    arguments: list[Any] = ["--task", tiny.toml, "--data", tiny.root, "--format", "json", folder, tiny.outputs("team")]
    done = evaluate(*arguments, env=bare)
    assert done.returncode == 2
    mine, team = json.loads(done.stdout)["submissions"]
    assert (mine["status"], [f["code"] for f in mine["findings"]]) == ("rejected", ["isolation"])
    assert team["status"] == "complete"
    trusted = evaluate("score", "--trust", "mine", *arguments, env=bare)
    assert trusted.returncode == 0, trusted.stderr
    mine = json.loads(trusted.stdout)["submissions"][0]
    card = json.loads(Path(tiny.root / mine["scorecard"]).read_text(encoding="utf-8"))
    assert card["isolation"]["trusted"] is True
    assert card["isolation"]["level"] == "none"
