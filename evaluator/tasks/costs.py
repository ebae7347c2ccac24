"""The table `[cost]` of a task: the input sizes that models are measured at, the reference, the limit of memory."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MEASURED_RUNTIME_RATIO = "measured.runtime_ratio"
_TARGET = re.compile(
    r"measured\.(runtime_ratio|runtime_ms|memory_mb)"
    r"|cost\.(parameters|macs|flops|tf_profiler_flops|size_bytes)"
    r"|phone\.[a-z0-9][a-z0-9-]{0,39}\.latency_ms"
)


def parse_size(text: str) -> tuple[int, int]:
    """Return height and width from `HEIGHTxWIDTH`.

    Raises:
        ValueError: it is none, or not between 1 and 99999.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text.strip(), flags=re.ASCII)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no size: write height, x, width, such as 720x1280")
    return int(found[1]), int(found[2])


def size_text(size: tuple[int, int]) -> str:
    """Return a size for people, such as 720×1280: height and width."""
    return f"{size[0]}×{size[1]}"


def is_cost(target: str) -> bool:
    """Tell whether a score's target is a cost: measured, counted, or from a phone."""
    return _TARGET.fullmatch(target) is not None


def _size(text: str) -> str:
    height, width = parse_size(text)
    return f"{height}x{width}"


SizeText = Annotated[str, AfterValidator(_size)]


class CostRules(BaseModel):
    """What models are measured on, and what they may take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Annotated[tuple[SizeText, ...], Field(min_length=1, max_length=20)] = (
        *("256x256", "800x800", "720x1280", "1120x1680", "1080x1920", "1080x2048", "2160x3840"),
    )
    """Input sizes that a model is counted and timed at, HEIGHTxWIDTH."""
    at: SizeText = "256x256"
    """The one that the board shows and formulas use."""
    device: Literal["cpu", "cuda"] = "cpu"
    """The device whose times the board shows and formulas use."""
    reference: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")] = "srcnn"
    """The submission that runtimes are divided by."""
    memory_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The most memory that a model may take at `at`, in millions of bytes; beyond it, it has no rank."""

    @model_validator(mode="after")
    def _at_is_measured(self) -> CostRules:
        if self.at not in self.inputs:
            raise ValueError(f"at = {self.at!r} is not one of inputs: {', '.join(self.inputs)}")
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("inputs names one size twice")
        return self

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The input sizes as (height, width)."""
        return tuple(parse_size(text) for text in self.inputs)

    @property
    def size(self) -> tuple[int, int]:
        """The size that the board shows, (height, width)."""
        return parse_size(self.at)

    def sentences(self) -> list[str]:
        """Return the rules in words."""
        sizes = ", ".join(map(size_text, self.sizes))
        words = [
            f"Costs are measured for inputs of {sizes} (height×width) and shown for {size_text(self.size)}.",
            f"The runtime ratio is the time of {self.reference} over the model's, on the same {self.device.upper()}: "
            "higher is faster.",
        ]
        if self.memory_mb is not None:
            words.append(f"A model that takes more than {self.memory_mb:g} MB at {size_text(self.size)} has no rank.")
        return words
