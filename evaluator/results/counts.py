"""Facts that published tables are held against: measured parameters and operations, sizes of data sets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from evaluator.results.published import published_folder, read_shipped

COUNTS = "counts.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counter(_Strict):
    """A way to count operations."""

    unit: Literal["macs", "flops"]
    title: str
    flaw: str = ""


class Count(_Strict):
    """What a counter gives for an image of one size."""

    size: tuple[int, int]
    """Width and height."""
    counter: str
    value: float
    """In thousands of millions of the counter's unit."""


class Network(_Strict):
    """A network as its public code builds it."""

    method: str
    """The id of the method in the tables; several networks may bear one name."""
    variant: str = ""
    other: bool = False
    """Whether it is another network than the method's own."""
    parameters: int | None = None
    works_at: tuple[int, int] | None = None
    """The size that it resizes every image to."""
    note: str = ""
    """What may explain its printed operations."""
    parameters_note: str = ""
    """What may explain its printed parameters."""
    source: str
    counts: tuple[Count, ...] = ()


class PooledAverage(_Strict):
    """A column of a table that averages over the images of other columns."""

    table: str
    column: str
    images: dict[str, int]
    """Column → how many images it is over."""


class Facts(_Strict):
    """Everything in `counts.toml`."""

    counters: dict[str, Counter]
    networks: tuple[Network, ...]
    averages: tuple[PooledAverage, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = {c.counter for n in self.networks for c in n.counts} - set(self.counters)
        if unknown:
            raise ValueError(f"counters that are not described: {', '.join(sorted(unknown))}")
        return self

    def of(self, method: str) -> list[Network]:
        """Return the networks that a method's name may mean."""
        return [n for n in self.networks if n.method == method]

    def macs(self, count: Count) -> float:
        """Return a count in multiply-accumulates; two operations are one of them."""
        return count.value / 2 if self.counters[count.counter].unit == "flops" else count.value


@cache
def load_facts(folder: Path | None = None) -> Facts:
    """Return the facts that ship with the harness.

    Raises:
        EvaluatorError: their file is missing or damaged.
    """
    return read_shipped(Facts, (folder or published_folder()) / COUNTS)
