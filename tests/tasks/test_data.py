"""The data folder: `--data` first, then EVALUATOR_DATA, then the config file; never one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.tasks.data import DataRoot, cache_folder, config_file, find_root


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("option", "variable", "file")}
    for folder in made.values():
        folder.mkdir()
    return made


def test_nothing_configured_is_none(config: Path) -> None:
    assert config_file() == config
    assert find_root() is None


def test_option_wins_over_variable_over_file(
    config: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(f'data = "{folders["file"]}"')
    assert find_root() == DataRoot(folders["file"], str(config))
    monkeypatch.setenv("EVALUATOR_DATA", str(folders["variable"]))
    assert find_root() == DataRoot(folders["variable"], "EVALUATOR_DATA")
    assert find_root(folders["option"]) == DataRoot(folders["option"], "--data")


def test_empty_variable_is_as_good_as_none(
    config: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(f'data = "{folders["file"]}"')
    monkeypatch.setenv("EVALUATOR_DATA", "")
    assert find_root() == DataRoot(folders["file"], str(config))


def test_folder_that_is_not_there_is_an_error_and_no_other_is_tried(
    config: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(f'data = "{folders["file"]}"')
    with pytest.raises(EvaluatorError, match=r"/nowhere \(from --data\) does not exist"):
        find_root(Path("/nowhere"))
    monkeypatch.setenv("EVALUATOR_DATA", "/nowhere")
    with pytest.raises(EvaluatorError, match=r"/nowhere \(from EVALUATOR_DATA\) does not exist"):
        find_root()


def test_folder_named_by_the_file_must_exist(config: Path) -> None:
    config.write_text('data = "/nowhere"')
    with pytest.raises(EvaluatorError, match=r"/nowhere \(from .*config.toml\) does not exist"):
        find_root()


@pytest.mark.parametrize("text", ["data = 5", 'dta = "/x"', "data = ", "[data]\nx = 1"])
def test_wrong_config_file_is_an_error(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(EvaluatorError) as caught:
        find_root()
    assert str(config) in str(caught.value)
    assert [(f.code, f.file) for f in caught.value.findings] == [("config", str(config))]


def test_misspelt_key_of_the_config_file_is_pointed_out(config: Path) -> None:
    config.write_text('dta = "/x"')
    with pytest.raises(EvaluatorError) as caught:
        find_root()
    assert "Did you mean 'data'?" in caught.value.findings[0].fix


def test_empty_config_file_names_no_folder(config: Path) -> None:
    config.write_text("")
    assert find_root() is None


def test_cache_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALUATOR_CACHE", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c"
    monkeypatch.setenv("EVALUATOR_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder().is_relative_to(tmp_path / "home")
