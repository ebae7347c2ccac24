"""`competition.yaml`, version 2, as Codabench documents its fields, and what a scoring program is told beside it.

Source: https://docs.codabench.org/latest/Organizers/Benchmark_Creation/Yaml-Structure/, and the lengths that the data
base of Codabench allows (`src/apps/leaderboards/models.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from evaluator import metrics
from evaluator.tasks.spec import TaskSpec

TITLE_LENGTH = 64
_COLUMN_LENGTH = 36
_DATE = "%Y-%m-%d %H:%M:%S"

Date = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")]
"""`YYYY-MM-DD HH:MM:SS`, in UTC."""
RelativePath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(_Strict):
    """A page of the competition."""

    title: str
    file: RelativePath


class Phase(_Strict):
    """A phase: when, and which tasks."""

    index: int = Field(ge=0)
    name: str
    description: str
    start: Date
    end: Date | None = None
    """None, allowed in the last phase alone: it goes on for ever."""
    execution_time_limit: int = Field(gt=0)
    """Seconds for one submission."""
    accepts_only_result_submissions: bool = True
    starting_kit: RelativePath | None = None
    tasks: tuple[int, ...] = Field(min_length=1)


class BundleTask(_Strict):
    """A task: a scoring program and what it compares with."""

    index: int = Field(ge=0)
    name: str
    description: str
    scoring_program: RelativePath
    reference_data: RelativePath


class Column(_Strict):
    """A column of the leaderboard."""

    index: int = Field(ge=0)
    title: str = Field(max_length=_COLUMN_LENGTH)
    key: str = Field(max_length=_COLUMN_LENGTH, pattern=r"^\w+$")
    """The key in `scores.json`."""
    sorting: Literal["asc", "desc"]
    """`asc`: smaller is better."""
    precision: int = Field(ge=0, le=10)
    """Decimals shown; Codabench keeps ten."""


class Leaderboard(_Strict):
    """A leaderboard: ordered by its first column, then by the next ones from left to right."""

    index: int = Field(ge=0)
    title: str = Field(max_length=TITLE_LENGTH)
    key: str = Field(max_length=36)
    submission_rule: Literal[
        "Add", "Add_And_Delete", "Add_And_Delete_Multiple", "Force_Last", "Force_Latest_Multiple", "Force_Best"
    ] = "Force_Last"
    columns: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _columns_differ(self) -> Leaderboard:
        keys = [column.key for column in self.columns]
        if len(set(keys)) != len(keys) or [c.index for c in self.columns] != list(range(len(keys))):
            raise ValueError("columns must have keys of their own, and indexes from 0 on")
        return self


class Competition(_Strict):
    """The whole file."""

    version: Literal[2] = 2
    title: str = Field(max_length=255)
    description: str
    image: RelativePath
    terms: RelativePath
    docker_image: str
    registration_auto_approve: bool = False
    enable_detailed_results: bool = True
    show_detailed_results_in_submission_panel: bool = True
    show_detailed_results_in_leaderboard: bool = False
    """Findings are for the team and the organisers."""
    pages: tuple[Page, ...] = Field(min_length=1)
    phases: tuple[Phase, ...] = Field(min_length=1)
    tasks: tuple[BundleTask, ...] = Field(min_length=1)
    leaderboards: tuple[Leaderboard, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Competition:
        known = {task.index for task in self.tasks}
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if before.end is None or after.start < before.end:
                raise ValueError("each phase must end before the next starts")
        if any(phase.end is not None and phase.end <= phase.start for phase in self.phases):
            raise ValueError("a phase must end after its start")
        if not all(set(phase.tasks) <= known for phase in self.phases):
            raise ValueError("a phase names a task that is not there")
        return self

    def plain(self) -> dict[str, Any]:
        """Return the file's content, in its order, without what is not set."""
        return self.model_dump(mode="json", exclude_none=True)


class Settings(_Strict):
    """What the scoring program is told: `bundle.json`, beside the reference data."""

    task: str
    """A shipped task's id, or the path of the task's file below the reference data."""
    split: str
    evaluator: str
    """The harness's version that wrote it."""
    dataset: str
    """The split's digest."""
    rules: str
    """The digest of protocol and metric versions."""
    columns: dict[str, str]
    """Column's key → id of a metric or score."""
    ranking: tuple[str, ...]
    """The ids that must have a number."""


def date_text(date: datetime) -> str:
    """Return a date as Codabench wants it."""
    return date.strftime(_DATE)


def columns_of(spec: TaskSpec, left_out: Sequence[str] = ()) -> list[tuple[str, Column]]:
    """Return (id, column) for a task's metrics and for those of its scores that outputs alone have.

    The ranking's metrics come first, in its order: that is how Codabench ranks.

    Args:
        spec: the task.
        left_out: metrics that cannot be computed.
    """
    promised = {m: metrics.get(m).contract for m in spec.metrics if m not in left_out}
    found = {m: (c.direction, c.decimals, c.arrow) for m, c in promised.items()}
    for score in spec.scores:
        if set(score.where.values()) <= set(promised):
            found[score.id] = (score.direction, score.decimals, "↑" if score.direction == "higher" else "↓")
    ordered = [*(m for m in spec.ranking.by if m in found), *(m for m in found if m not in spec.ranking.by)]
    keys = _keys(ordered)
    columns = []
    for index, name in enumerate(ordered):
        direction, decimals, arrow = found[name]
        title = f"{name[: _COLUMN_LENGTH - 2]} {arrow}"
        sorting: Literal["asc", "desc"] = "desc" if direction == "higher" else "asc"
        column = Column(index=index, title=title, key=keys[name], sorting=sorting, precision=decimals)
        columns.append((name, column))
    return columns


def _keys(ids: Sequence[str]) -> dict[str, str]:
    """Return a key of letters, digits and underscores for each id, no two alike."""
    keys: dict[str, str] = {}
    for name in ids:
        plain = key = re.sub(r"\W", "_", name, flags=re.ASCII)[:_COLUMN_LENGTH]
        number = 2
        while key in keys.values():
            key = f"{plain[: _COLUMN_LENGTH - 3]}_{number}"
            number += 1
        keys[name] = key
    return keys
