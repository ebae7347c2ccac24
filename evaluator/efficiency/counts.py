"""Count what a network costs on inputs of one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from evaluator.efficiency.ops import Graph, Op, Shape
from evaluator.efficiency.rules import RULES

SUBSTANTIAL = 0.001
"""Share of output elements from which operators without a rule spoil a count."""


Amount = Annotated[int, Field(ge=0, lt=1 << 63)]
_LISTED = 50


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Uncounted(_Frozen):
    """An operator that gives no multiply-accumulates."""

    operator: str
    times: int
    share: float
    """Of the output elements of all operators."""
    why: Literal["convention", "moves", "unknown"]
    """Left out by convention (activations, norms, pooling, …), moves data only, or there is no rule for it."""


class Layer(_Frozen):
    """One operator's share of the cost."""

    name: str
    operator: str
    kind: str
    output: Shape
    parameters: int
    macs: int
    tf_profiler_flops: int


class Counts(_Frozen):
    """What a network costs on inputs of one size."""

    input: tuple[int, int]
    """Height and width."""
    macs: Amount
    """Multiply-accumulates of convolutions, dense layers, matrix products and attention."""
    flops: Amount
    """Two for each of these."""
    tf_profiler_flops: Amount
    """As TensorFlow's profiler counts."""
    activations: Amount
    """Output elements of the operators that `macs` counts."""
    uncounted: tuple[Uncounted, ...]
    complete: bool
    """False where operators without a rule make up a thousandth of the output elements or more, or some have no
    shape."""
    passes: int = 1
    """How often the network runs for an image of this size: once, or once for each tile."""


def count(graph: Graph, size: tuple[int, int], passes: int = 1) -> Counts:
    """Count a network.

    Args:
        graph: the network on the input of one pass.
        size: height and width of the image.
        passes: how often it runs for one image; tiles.

    Raises:
        ValueError: a total has more than 63 bits.
    """
    macs = profiler = activations = elements = 0
    times: Counter[tuple[str, str]] = Counter()
    outputs: Counter[tuple[str, str]] = Counter()
    for op in graph.ops:
        rules = RULES[op.kind]
        made = prod(op.output)
        elements += made
        macs += rules.macs(op)
        profiler += rules.tf_profiler(op)
        if rules.role == "counted":
            activations += made
        else:
            times[op.operator, rules.role] += 1
            outputs[op.operator, rules.role] += made
    uncounted = [
        Uncounted.model_validate(
            {"operator": key[0], "times": times[key], "share": outputs[key] / max(elements, 1), "why": key[1]}
        )
        for key in times
    ]
    unknown = sum(u.share for u in uncounted if u.why == "unknown")
    return Counts(
        input=size,
        macs=macs * passes,
        flops=2 * macs * passes,
        tf_profiler_flops=profiler * passes,
        activations=activations * passes,
        uncounted=_largest(uncounted),
        # Operators without shapes have no share, however large they are.
        complete=unknown < SUBSTANTIAL and bool(graph.ops) and all(f.code != "cost-shape" for f in graph.findings),
        passes=passes,
    )


def _largest(uncounted: Sequence[Uncounted]) -> tuple[Uncounted, ...]:
    """Return the operators with the largest shares, and the others of each reason as one."""
    ordered = sorted(uncounted, key=lambda u: (-u.share, u.operator))
    rest = ordered[_LISTED:]
    others = [
        Uncounted(operator="others", times=sum(u.times for u in rest if u.why == why), share=share, why=why)
        for why in dict.fromkeys(u.why for u in rest)
        for share in [sum(u.share for u in rest if u.why == why)]
    ]
    return (*ordered[:_LISTED], *others)


def layers(graph: Graph) -> list[Layer]:
    """Return what each operator costs, in the order in which they run, without those that move data only."""
    return [_layer(op) for op in graph.ops if op.kind != "move"]


def _layer(op: Op) -> Layer:
    rules = RULES[op.kind]
    return Layer(
        name=op.name,
        operator=op.operator,
        kind=op.kind,
        output=op.output,
        parameters=op.parameters,
        macs=rules.macs(op),
        tf_profiler_flops=rules.tf_profiler(op),
    )
