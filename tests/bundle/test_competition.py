"""competition.yaml says what the task's file says, in the fields that Codabench documents."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from evaluator import load_task, metrics, task_ids
from evaluator.bundle import Competition, build_bundle
from evaluator.bundle.competition import columns_of
from evaluator.findings import EvaluatorError
from support import TOML, Tiny

# https://docs.codabench.org/latest/Organizers/Benchmark_Creation/Yaml-Structure/
REQUIRED = {
    "": {"version", "title", "image", "terms"},
    "pages": {"title", "file"},
    "phases": {"name", "start", "tasks"},
    "tasks": {"index", "name", "scoring_program"},
    "leaderboards": {"title", "key", "columns"},
    "columns": {"title", "key", "index"},
}
OPTIONAL = {
    "": {
        "description",
        "registration_auto_approve",
        "docker_image",
        "make_programs_available",
        "make_input_data_available",
        "queue",
        "enable_detailed_results",
        "show_detailed_results_in_submission_panel",
        "show_detailed_results_in_leaderboard",
        "contact_email",
        "reward",
        "auto_run_submissions",
        "can_participants_make_submissions_public",
        "forum_enabled",
        *("pages", "phases", "tasks", "solutions", "leaderboards", "fact_sheet"),
    },
    "pages": set(),
    "phases": {
        "index",
        "description",
        "end",
        "max_submissions",
        "max_submissions_per_day",
        "auto_migrate_to_this_phase",
        "execution_time_limit",
        "hide_output",
        "hide_prediction_output",
        "hide_score_output",
        "starting_kit",
        "public_data",
        "accepts_only_result_submissions",
    },
    "tasks": {"description", "input_data", "reference_data", "ingestion_program", "ingestion_only_during_scoring"},
    "leaderboards": {"submission_rule", "hidden", "index"},  # index: in Codabench's own examples
    "columns": {"sorting", "computation", "computation_indexes", "precision", "hidden"},
}


def check_fields(where: str, found: dict[str, Any]) -> None:
    assert REQUIRED[where] <= set(found) <= REQUIRED[where] | OPTIONAL[where], where
    for key, value in found.items():
        if key in REQUIRED and isinstance(value, list):
            for item in value:
                check_fields(key, item)
            # Codabench looks phases' tasks up by number: no dictionaries there.


_built: list[Path] = []


@pytest.fixture
def written(tiny: Tiny, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A bundle, written once for all tests, and its competition.yaml, read for each."""
    if not _built or not _built[0].exists():
        dates = {"start": datetime(2026, 3, 1), "end": datetime(2026, 6, 1, 12)}
        _built[:] = [build_bundle(tiny.toml, tmp_path / "b", data=tiny.root, **dates).folder]
    return _built[0], yaml.safe_load((_built[0] / "competition.yaml").read_text(encoding="utf-8"))


def test_only_documented_fields_are_written_and_none_that_is_required_is_missing(
    written: tuple[Path, dict[str, Any]],
) -> None:
    _, found = written
    phases = found.pop("phases")
    check_fields("", found)
    for phase in phases:
        assert REQUIRED["phases"] <= set(phase) <= REQUIRED["phases"] | OPTIONAL["phases"]
        assert phase["tasks"] == [0]


def test_every_file_that_is_named_is_there(written: tuple[Path, dict[str, Any]]) -> None:
    folder, found = written
    named = [found["image"], found["terms"], *(page["file"] for page in found["pages"])]
    named += [found["tasks"][0]["scoring_program"], found["tasks"][0]["reference_data"]]
    named.append(found["phases"][0]["starting_kit"])
    assert all((folder / name).exists() for name in named)
    # An empty page is refused by Codabench.
    assert all((folder / page["file"]).read_text(encoding="utf-8").strip() for page in found["pages"])
    assert (folder / "logo.png").read_bytes().startswith(b"\x89PNG")


def test_columns_are_the_rules_metrics_first_with_the_contracts_direction_and_decimals(
    written: tuple[Path, dict[str, Any]],
) -> None:
    (board,) = written[1]["leaderboards"]
    shown = [(c["index"], c["key"], c["sorting"], c["precision"]) for c in board["columns"]]
    assert shown == [
        (0, "psnr_f64", "desc", 4),
        (1, "ssim_basicsr", "desc", 4),
        (2, "ms_ssim_common", "desc", 5),
        (3, "mae", "asc", 5),
        (4, "rmse_rel", "asc", 5),
    ]


def test_dates_are_as_documented(written: tuple[Path, dict[str, Any]]) -> None:
    (phase,) = written[1]["phases"]
    assert (phase["start"], phase["end"]) == ("2026-03-01 00:00:00", "2026-06-01 12:00:00")


def test_a_phase_that_ends_before_it_starts_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="must end after its start"):
        build_bundle(tiny.toml, tmp_path / "b", data=tiny.root, start=datetime(2026, 3, 1), end=datetime(2026, 2, 1))
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("task", task_ids())
def test_every_shipped_task_has_columns_that_codabench_takes(task: str) -> None:
    spec = load_task(task).spec
    columns = columns_of(spec)
    assert [name for name, _ in columns][: len(spec.ranking.by)] == list(spec.ranking.by)
    assert {name for name, _ in columns} >= set(spec.metrics)
    for name, column in columns:
        if name in spec.metrics:
            assert (column.sorting == "desc") == (metrics.get(name).contract.direction == "higher")
    assert len({column.key for _, column in columns}) == len(columns)


def test_a_score_of_metrics_alone_has_a_column_and_one_of_costs_has_none(tmp_path: Path) -> None:
    scores = """
[[scores]]
id = "points"
title = "Points"
formula = "p - 20 + 0 * s"
where = { p = "psnr.f64", s = "ssim.basicsr" }

[[scores]]
id = "fast"
title = "Points for speed"
formula = "p * s"
where = { p = "psnr.f64", s = "measured.runtime_ratio" }
"""
    file = tmp_path / "scored.toml"
    file.write_text(TOML + scores, encoding="utf-8")
    names = [name for name, _ in columns_of(load_task(file).spec)]
    assert "points" in names
    assert "fast" not in names


def test_keys_that_would_be_the_same_differ() -> None:
    from evaluator.bundle.competition import _keys

    long = "m" * 40
    keys = _keys(["a.b", "a_b", "a:b", f"{long}1", f"{long}2"])
    assert list(keys.values())[:3] == ["a_b", "a_b_2", "a_b_3"]
    assert len(set(keys.values())) == 5
    assert max(map(len, keys.values())) <= 36


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 1),
        (("leaderboards", 0, "columns", 0, "sorting"), "down"),
        (("leaderboards", 0, "columns", 1, "key"), "psnr_f64"),
        (("leaderboards", 0, "columns", 0, "title"), "t" * 37),
        (("phases", 0, "tasks"), [3]),
        (("phases", 0, "start"), "1 March"),
        (("image",), "/etc/passwd"),
        (("made_up",), 1),
    ],
)
def test_the_model_refuses_what_codabench_would_not_take(
    written: tuple[Path, dict[str, Any]], path: tuple[str | int, ...], value: object
) -> None:
    content: Any = written[1]
    assert Competition.model_validate(content).title == "Tiny task"
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        Competition.model_validate(content)
