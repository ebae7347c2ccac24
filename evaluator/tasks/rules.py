"""The tables `[ranking]` and `[[tracks]]` of a task: who stands above whom, and who has no rank."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluator.metrics import MissingRule

MEAN_RANK = "mean_rank"
"""The method, and the column that shows what it ranks by."""
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gate(_Strict):
    """What a submission must reach to be ranked; compared with the printed digits."""

    metric: str
    """A metric of the task, one of its scores, or a cost."""
    at_least: _Finite | None = None
    at_most: _Finite | None = None
    """Of costs, in their base unit: one, bytes, ms, MB."""

    @model_validator(mode="after")
    def _has_one_side(self) -> Gate:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a gate needs at_least or at_most, one of them; two gates make a range")
        return self

    @property
    def bound(self) -> float:
        """The number to reach."""
        bound = self.at_most if self.at_least is None else self.at_least
        assert bound is not None  # noqa: S101 - see _has_one_side
        return bound

    @property
    def beyond(self) -> str:
        """On which side of the bound a submission has no rank."""
        return "above" if self.at_least is None else "below"


class Ranking(_Strict):
    """A rule: who stands above whom."""

    by: tuple[str, ...] = Field(min_length=1)
    """Metrics of the task, its scores, costs at the size that it shows, or `opinion.mos`, `opinion.bt`."""
    method: Literal["lexicographic", "mean_rank"] = "lexicographic"
    """`lexicographic`: the first of `by` decides; where its printed digits are equal, the next. `mean_rank`: the mean
    of the ranks by each of them; where it is equal, the first decides."""
    gates: tuple[Gate, ...] = ()
    """A submission on the wrong side of one is shown, and not ranked."""
    missing: MissingRule = "unranked"
    """What a missing or invalid case does: the row gets no rank, or the case counts the metric's worst value."""

    @model_validator(mode="after")
    def _says_each_once(self) -> Ranking:
        if len(set(self.by)) < len(self.by):
            raise ValueError("by names one of them twice")
        if self.method == MEAN_RANK and len(self.by) < 2:
            raise ValueError("the mean of ranks needs two or more in by")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All that it looks at, each once: `by`, then those of the gates."""
        return tuple(dict.fromkeys((*self.by, *(gate.metric for gate in self.gates))))


class Track(Ranking):
    """A further rule of a task, by name: rows ranked by other things, from the same scorecards."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    title: str
