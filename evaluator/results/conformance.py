"""What came of setting our metrics beside other libraries: a record, for the pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evaluator.results.provenance import Environment

SCHEMA_VERSION: Literal[1] = 1
Verdict = Literal["agrees", "differs by definition", "DISAGREES", "not installed"]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Strict):
    """One metric of ours and one function of another library, on one pair of images."""

    pair: str
    metric: str
    version: Annotated[int, Field(ge=1)]
    """Of our metric."""
    ours: Finite
    peer: str
    """The library, its version, and what was called."""
    theirs: Finite | None
    """None if it is not installed."""
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    """Largest difference that is agreement; None where the two differ by definition."""
    verdict: Verdict
    reason: str


class Conformance(_Strict):
    """All comparisons. Holds no time, so that the same libraries give the same record on the same machine."""

    schema_version: Literal[1] = SCHEMA_VERSION
    environment: Environment
    comparisons: tuple[Comparison, ...]
