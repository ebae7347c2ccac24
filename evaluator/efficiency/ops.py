"""A network as a list of operators, the same words for every framework; what `rules` counts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluator.findings import Finding

Size = Annotated[int, Field(ge=0, lt=1 << 40)]
Shape = Annotated[tuple[Size, ...], Field(max_length=16)]
Words = Annotated[str, Field(max_length=200)]

Kind = Literal[
    # Multiply-accumulates.
    "conv",
    "conv_transpose",
    "dense",
    "matmul",
    "attention",
    # Arithmetic for each element.
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "pow",
    "square",
    "squared_difference",
    "neg",
    "reciprocal",
    "rsqrt",
    "log",
    "compare",
    "softmax",
    "activation",
    "elementwise",
    "norm",
    # Arithmetic over windows and axes.
    "mean",
    "sum",
    "max",
    "argmax",
    "reduce",
    "max_pool",
    "avg_pool",
    "resize",
    # No arithmetic: reshapes, transposes, slices, joins, padding, casts, pixel shuffles.
    "move",
    # Whatever has no rule: custom operators, FFTs, recurrent cells, loops.
    "unknown",
]


class Op(BaseModel):
    """One operator as it runs on inputs of one size. Image tensors are `(N, C, spatial…)` in every framework."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    operator: Words
    """The framework's own word: `CONV_2D`, `aten.convolution`, `Conv2D`."""
    name: Words = ""
    """The layer's name, where the file has one."""
    inputs: Annotated[tuple[Shape, ...], Field(max_length=64)] = ()
    """Shapes of the data it takes, without weights: `(N, C, spatial…)` of a convolution, both operands of a matrix
    product `(…, M, K)` and `(…, K, N)` as they are multiplied (transposed already), query, key and value of attention
    `(…, length, channels)`, `(…, K)` of a dense layer. Of element-wise operators all operands, constants included."""
    output: Shape = ()
    """Shape of what it gives (the first, if there are several); axes as in `inputs`."""
    weight: Shape | None = None
    """Of a convolution `(out, in / groups, kernel…)`, of a transposed one `(in, out / groups, kernel…)`, of a dense
    layer `(out, in)`."""
    groups: Annotated[int, Field(ge=1)] = 1
    """Groups of a convolution; of a depthwise one as many as input channels."""
    bias: bool = False
    """Whether a bias is added within the operator."""
    window: Shape | None = None
    """Of pooling: the window's height and width."""
    parameters: Size = 0
    """Weights that it holds itself; shared ones count where they are first used."""

    @model_validator(mode="after")
    def _has_what_its_rule_needs(self) -> Op:
        ranks = _NEEDED.get(self.kind, ())
        product = self.kind in ("conv", "conv_transpose", "dense", "matmul", "attention")
        short = (
            len(self.inputs) < len(ranks)
            or (product and not self.output)
            or any(len(s) < r for s, r in zip(self.inputs, ranks, strict=False))
        )
        weight = self.kind in ("conv", "conv_transpose", "dense") and not self.weight
        if short or weight or (self.kind in ("max_pool", "avg_pool") and self.window is None):
            raise ValueError(f"{self.operator} lacks the shapes that {self.kind} is counted by")
        return self


_NEEDED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("conv", "conv_transpose", "dense"), (1,)),
    **dict.fromkeys(("square", "neg", "reciprocal", "rsqrt", "log", "softmax"), (0,)),
    **dict.fromkeys(("mean", "sum", "max", "argmax"), (0,)),
    "matmul": (1, 1),
    "attention": (2, 2, 2),
}
"""Kind → the ranks that its inputs have at least."""


class Graph(BaseModel):
    """A network on inputs of one size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: Size | None
    """Weights and biases, each once; without statistics of normalisation and other buffers. None if they cannot be
    told."""
    ops: Annotated[tuple[Op, ...], Field(max_length=200_000)]
    """In the order in which they run; a layer that runs twice stands here twice."""
    findings: Annotated[tuple[Finding, ...], Field(max_length=100)] = ()
    """What one must know of the count: a loop that was counted once, shapes that are known only when it runs."""
