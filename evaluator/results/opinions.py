"""What people said of outputs: mean opinion scores, and strengths from choices between two. No rater is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION: Literal[1] = 1
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeanOpinion(_Strict):
    """What raters think of one submission."""

    submission: str
    mos: Finite
    """The mean of all ratings."""
    low: Finite | None
    """The 95 % confidence interval; None with a single rater."""
    high: Finite | None
    ratings: Count
    raters: Count
    cases: Count
    digest: str = ""
    """Of the submission that was judged, as its scorecard has it; empty where that is not known."""


class Ratings(_Strict):
    """Scores that raters gave."""

    scale: tuple[Finite, Finite]
    """The lowest and the highest score that could be given."""
    ratings: Count
    """Those that count."""
    raters: Count
    screened: Annotated[int, Field(ge=0)] | None
    """Raters left out for rating erratically; None where nobody was looked at for that."""
    source_sha256: str
    submissions: tuple[MeanOpinion, ...]
    """By submission."""


class Strength(_Strict):
    """How one submission fares against the others."""

    submission: str
    strength: Finite
    """A natural logarithm: one is chosen over another with odds of e to the difference of the two. All add up to 0."""
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Standard error of `strength`."""
    wins: Annotated[float, Field(ge=0)]
    """A tie is half of one."""
    comparisons: Count
    digest: str = ""
    """As of `MeanOpinion`."""


class Choices(_Strict):
    """Choices that raters made between two."""

    choices: Count
    ties: Annotated[int, Field(ge=0)]
    raters: Count
    prior: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Imagined comparisons of each two submissions, added to those made; half are won by each."""
    source_sha256: str
    submissions: tuple[Strength, ...]
    """By submission."""


class Opinions(_Strict):
    """What was said of the submissions to one split."""

    schema_version: Literal[1] = SCHEMA_VERSION
    task: str
    split: str
    harness: str
    """The version of the harness that wrote it."""
    ratings: Ratings | None = None
    choices: Choices | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Opinions:
        for part in (self.ratings, self.choices):
            names = [s.submission for s in part.submissions] if part else []
            if names != sorted(set(names)):
                raise ValueError("the submissions are not each there once, in order")
        return self

    def of(self, digests: Mapping[str, str]) -> Opinions:
        """Return the same, each with the digest of the submission that was judged.

        Args:
            digests: of all submissions, by name.
        """
        changed: dict[str, Ratings | Choices] = {}
        for name, part in (("ratings", self.ratings), ("choices", self.choices)):
            if part is not None:
                known = [
                    s.model_copy(update={"digest": s.digest or digests.get(s.submission, "")}) for s in part.submissions
                ]
                changed[name] = part.model_copy(update={"submissions": tuple(known)})
        return self.model_copy(update=changed)

    def mean_opinion(self, submission: str) -> MeanOpinion | None:
        """Return what raters think of a submission, or None if none rated it."""
        return next((m for m in self.ratings.submissions if m.submission == submission), None) if self.ratings else None

    def strength(self, submission: str) -> Strength | None:
        """Return how a submission fares against others, or None if it was in no comparison."""
        return next((s for s in self.choices.submissions if s.submission == submission), None) if self.choices else None
