"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from evaluator.tasks import Task

task = click.option("--task", required=True, metavar="TASK", help="A task's id (see `evaluate tasks`) or a .toml file.")
split = click.option("--split", metavar="SPLIT", help="A split of the task; its official one if not given.")
data = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder that holds data sets. Else EVALUATOR_DATA, else `data` in the config file.",
)
leaderboards = click.option(
    "--leaderboards",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("leaderboards"),
    show_default=True,
    metavar="DIR",
    help="The folder of results.",
)
output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="`json` prints one JSON value on standard output, nothing else.",
)
workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cases worked on at a time; all processors if not given. The digits do not depend on it.",
)


def worker_count(given: int | None) -> int:
    """Return the number of workers to use."""
    from evaluator.efficiency.hardware import usable_cores

    return given or usable_cores()


def board_split(chosen: Task, name: str | None) -> str:
    """Return the split that is meant, checked against the task."""
    found = name or chosen.spec.default_split
    chosen.split_spec(found)
    return found
