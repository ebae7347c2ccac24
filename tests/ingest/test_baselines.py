"""Baselines: which folders are the harness's own, and which are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.ingest import baseline_names, baselines_folder, is_baseline, open_submission


@pytest.mark.parametrize("name", ["identity", "bilateral", "nlm", "tv"])
def test_each_baseline_opens_as_a_model(name: str) -> None:
    submission = open_submission(baselines_folder() / name, ["a", "b"])
    assert submission.is_model
    assert submission.is_baseline
    assert (submission.id, submission.files, submission.findings) == (name, {}, ())
    module = submission.manifest.python and submission.manifest.python.entry.split(":")[0]
    assert (baselines_folder() / name / f"{module}.py").is_file()


def test_names_are_those_of_the_folders() -> None:
    assert baseline_names() == sorted(p.name for p in baselines_folder().iterdir() if (p / "submission.toml").is_file())
    assert "identity" in baseline_names()


def test_copy_of_a_baseline_is_a_submission_like_any_other(tmp_path: Path) -> None:
    copy = tmp_path / "mine"
    shutil.copytree(baselines_folder() / "identity", copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert not is_baseline(copy)
    submission = open_submission(copy, ["a"])
    assert submission.is_model
    assert not submission.is_baseline


def test_copy_under_the_same_name_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "identity"
    shutil.copytree(baselines_folder() / "identity", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.raises(EvaluatorError) as caught:
        open_submission(copy, ["a"])
    assert {f.code for f in caught.value.findings} == {"id-taken"}


def test_link_to_a_baseline_is_the_baseline(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(baselines_folder() / "identity")
    assert is_baseline(tmp_path / "link")


def test_folders_around_the_baselines_are_none(tmp_path: Path) -> None:
    for path in (baselines_folder(), baselines_folder().parent, baselines_folder() / "identity" / "submission.toml"):
        assert not is_baseline(path)
    assert not is_baseline(baselines_folder() / "no-such")
