"""Who moved when scorecards of a split were scored again by new rules: a record beside them, for the pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Strict):
    """A metric of one submission, before and after; None where it had no value, or there was no such metric."""

    before: float | None
    after: float | None


class Move(_Strict):
    """One submission."""

    submission: str
    before: str
    """Its rank among the scorecards of its old rules, by the task's ranking rule: `3`, `2–3`, or `–` for none."""
    after: str
    """Its rank now."""
    rules_before: str
    """The digest of its old rules."""
    digest: str
    """Of the submission, as its scorecard has it."""
    metrics: dict[str, Change]
    """The metrics that changed."""

    @property
    def moved(self) -> bool:
        """Whether its rank is another."""
        return self.before != self.after


class Moves(_Strict):
    """All submissions of a split. Holds no time, so that the same scorecards give the same record."""

    schema_version: Literal[1] = SCHEMA_VERSION
    task: str
    split: str
    rules: str
    """The digest of the rules now."""
    versions: dict[str, tuple[Annotated[int, Field(ge=1)] | None, Annotated[int, Field(ge=1)] | None]]
    """Metric → its version before and after, where they differ; None where it was or is no metric of the task."""
    moves: tuple[Move, ...]
    """By submission."""
