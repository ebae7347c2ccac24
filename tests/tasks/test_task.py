"""Tasks and splits are found by name; what is not on this machine is said with where it was looked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from evaluator.findings import EvaluatorError
from evaluator.tasks import Task, load_task, locate, task_ids
from evaluator.tasks.data import DataRoot
from support import TOML, Tiny

GENERATED = """
[splits.mini]
reader = "generated"
title = "t"
licence = "l"
home = "h"
get = "g"
count = 16
generator = "sidd_noise"
manifest = "tiny-mini.sha256"
"""


def message(task: Task, split: str | None = None, data: Path | None = None) -> str:
    with pytest.raises(EvaluatorError) as caught:
        task.split(split, data)
    return str(caught.value)


@pytest.mark.parametrize("name", ["dped", "sidd"])
def test_shipped_tasks_load(name: str) -> None:
    task = load_task(name)
    assert name in task_ids()
    assert task.id == name
    for split in task.spec.splits.values():
        manifest = task.manifest(split)
        assert manifest is None or len(manifest) == 2 * split.count
    assert task.rules_digest() == load_task(name).rules_digest()


def test_all_shipped_files_are_tasks_of_their_name() -> None:
    assert [load_task(name).id for name in task_ids()] == task_ids()


def test_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(EvaluatorError, match=r"no task 'sid'\. Did you mean 'sidd'\? Known: .*dped, .*sidd"):
        load_task("sid")


@pytest.mark.parametrize("name", ["../sidd", "", "definitions/sidd", "SIDD"])
def test_task_id_is_no_path(name: str) -> None:
    with pytest.raises(EvaluatorError, match="There is no task"):
        load_task(name)


def test_task_file_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match=r"none\.toml cannot be read \(No such file"):
        load_task(tmp_path / "none.toml")
    (tmp_path / "own.toml").write_text("id = 5")
    with pytest.raises(EvaluatorError, match=r"own\.toml cannot be used") as caught:
        load_task(str(tmp_path / "own.toml"))
    assert len(caught.value.findings) > 3


def test_task_of_ones_own_opens(tiny: Tiny) -> None:
    split = load_task(str(tiny.toml)).split(data=tiny.root)
    assert split.name == "five"
    assert split.case_ids == ("a-1", "a-2", "b-1", "b-9", "b-10")
    assert split.verify() == []
    for case in split.case_ids:
        assert np.array_equal(split.input(case).array, tiny.inputs[case])
        assert np.array_equal(split.reference(case).array, tiny.references[case])


def test_split_travels_to_other_processes(tiny: Tiny) -> None:
    split = pickle.loads(pickle.dumps(tiny.split))  # noqa: S301 - made here
    assert np.array_equal(split.input("b-9").array, tiny.inputs["b-9"])


def test_unknown_split_is_refused_with_the_nearest() -> None:
    text = message(load_task("sidd"), "mimi")
    assert "no split 'mimi'" in text
    assert "Did you mean 'mini'?" in text
    assert "It has: validation, mini, samples." in text


def test_official_split_without_data_names_what_to_do(config: Path) -> None:
    text = message(load_task("sidd"))
    assert "sidd/validation is not here" in text
    assert "--data" in text
    assert "EVALUATOR_DATA" in text
    assert str(config) in text
    assert "--split mini" in text
    assert "https://abdokamel.github.io/sidd/" in text


def test_data_folder_without_the_set_names_where_it_was_looked_for(tmp_path: Path, tiny: Tiny) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = message(load_task("sidd"), data=empty)
    assert f"{empty / 'sidd'} and {empty}" in text
    assert "ValidationNoisyBlocksSrgb.mat" in text
    assert "(data folder from --data)" in text
    text = message(tiny.task, data=empty)
    assert "in/*.png" in text
    assert "--split" not in text, "this task has no split that needs no data"


def test_variable_is_named_as_the_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALUATOR_DATA", str(tmp_path))
    assert "(data folder from EVALUATOR_DATA)" in message(load_task("dped"))


def test_first_folder_that_holds_both_roles_is_taken(tmp_path: Path) -> None:
    spec = load_task("dped").split_spec("pirm2018")
    root = DataRoot(tmp_path, "--data")
    assert locate(spec, root) is None
    found = None
    for place in ("patches", "dped/patches", "dped"):  # from the last that is tried to the first
        for role in ("iphone", "canon"):
            assert locate(spec, root) == found, "one role alone is no data set"
            (tmp_path / place / role).mkdir(parents=True)
            (tmp_path / place / role / "1.jpg").touch()
        found = tmp_path / place
        assert locate(spec, root) == found


def test_generated_split_needs_no_data(config: Path) -> None:
    assert not config.exists()
    split = load_task("sidd").split("mini")
    assert len(split.case_ids) == split.task.spec.splits["mini"].count
    assert split.digest == "326261011975443ced7b2e5ced50c87befd2e9a0b6cf0d51745bd8a1abd7c8c1"


def test_unknown_generator_is_refused_when_the_task_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TOML + GENERATED.replace("sidd_noise", "sidd_noises"))
    with pytest.raises(EvaluatorError, match=r"tiny\.toml cannot be used") as caught:
        load_task(file)
    (finding,) = caught.value.findings
    assert finding.expected.startswith("splits.mini.generator: ")
    assert finding.got == "'sidd_noises'"


def test_manifest_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TOML + GENERATED)
    task = load_task(tmp_path / "tiny.toml")
    assert "tiny-mini.sha256 cannot be read" in message(task, "mini")
    (tmp_path / "tiny-mini.sha256").write_text("nonsense\n")
    assert "tiny-mini.sha256, line 1" in message(task, "mini")


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("clip = true", "clip = false", True),
        ("clip = true", 'clip = true\nquantise = "round"', True),
        ("clip = true", "clip = true\nbit_depth = 16", True),
        ('"mae", ', "", True),
        ("clip = true", 'clip = true\nnotes = ["x"]', False),
        ("Tiny task", "Another title", False),
    ],
)
def test_rules_digest_changes_with_what_changes_numbers(tiny: Tiny, old: str, new: str, differs: bool) -> None:
    before = tiny.task.rules_digest()
    tiny.toml.write_text(TOML.replace(old, new))
    assert (tiny.task.rules_digest() != before) == differs
