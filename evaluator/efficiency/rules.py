"""What each kind of operator costs: one table for all frameworks.

Two conventions are counted side by side. `macs`: multiply-accumulates of convolutions, transposed convolutions, dense
layers, matrix products and attention, positions in the padding included, biases left out. `tf_profiler`: floating
point operations as TensorFlow's profiler counts them (the functions that its sources register by `RegisterStatistics`
with the key `flops`), which is what several papers print. The tool keras-flops adds the maximum over an axis to these;
so do we, as LPIENet's printed numbers come out with it only. Of `Einsum` the profiler knows nothing: it is counted as
the matrix product that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from evaluator.efficiency.ops import Kind, Op, Shape

Role = Literal["counted", "convention", "moves", "unknown"]
Rule = Callable[[Op], int]


def _none(_: Op) -> int:
    return 0


def _conv_macs(op: Op) -> int:
    """Return output elements x input channels of a group x kernel area."""
    return prod(op.output) * prod(_weight(op)[1:])


def _conv_transpose_macs(op: Op) -> int:
    """Return input elements x output channels of a group x kernel area: each input pixel is spread over a kernel."""
    return prod(op.inputs[0]) * prod(_weight(op)[1:])


def _conv_transpose_profiler(op: Op) -> int:
    """Return two operations for each multiplication of the convolution that it is the gradient of.

    That counts each output pixel, divided by the stride: where the output is larger than stride x input (no padding),
    more than is multiplied. The stride is told by the two sizes.
    """
    strides = [max(1, round(o / max(i, 1))) for i, o in zip(op.inputs[0][2:], op.output[2:], strict=False)]
    made = 2 * op.output[0] * prod(op.output[2:]) * prod(_weight(op)) // max(prod(strides), 1)
    return made + (prod(op.output) if op.bias else 0)


def _added(op: Op) -> int:
    """Return one for each operand but the first."""
    return prod(op.output) * max(len(op.inputs) - 1, 1)


def _dense_macs(op: Op) -> int:
    return prod(op.inputs[0]) * _weight(op)[0]


def _matmul_macs(op: Op) -> int:
    """Return output elements x contracted length; batch axes may be broadcast."""
    return prod(op.output) * op.inputs[0][-1]


def _attention_macs(op: Op) -> int:
    """Return those of query x key and of weights x value; softmax and scaling are none."""
    query, key, value = op.inputs[:3]
    scores = prod(query[:-1]) * key[-2]
    return scores * query[-1] + scores * value[-1]


def _weight(op: Op) -> Shape:
    assert op.weight is not None  # noqa: S101 - an `Op` has what its rule needs
    return op.weight


def _doubled(rule: Rule) -> Rule:
    def flops(op: Op) -> int:
        return 2 * rule(op) + (prod(op.output) if op.bias else 0)

    return flops


def _each_output(per_element: int = 1) -> Rule:
    return lambda op: per_element * prod(op.output)


def _each_input(per_element: int = 1) -> Rule:
    return lambda op: per_element * prod(op.inputs[0])


def _reduced(op: Op) -> int:
    """Return one operation for each input element but the first of each output."""
    return max(0, prod(op.inputs[0]) - prod(op.output))


def _pooled(op: Op) -> int:
    assert op.window is not None  # noqa: S101 - an `Op` has what its rule needs
    return prod(op.output) * prod(op.window)


@dataclass(frozen=True)
class Costs:
    """The rules of one kind of operator."""

    role: Role
    macs: Rule = _none
    tf_profiler: Rule = _none


def _counted(macs: Rule) -> Costs:
    return Costs("counted", macs, _doubled(macs))


def _plain(tf_profiler: Rule = _none) -> Costs:
    return Costs("convention", tf_profiler=tf_profiler)


RULES: Mapping[Kind, Costs] = {
    "conv": _counted(_conv_macs),
    "conv_transpose": Costs("counted", _conv_transpose_macs, _conv_transpose_profiler),
    "dense": _counted(_dense_macs),
    "matmul": _counted(_matmul_macs),
    "attention": _counted(_attention_macs),
    "add": _plain(_added),
    "sub": _plain(_each_output()),
    "mul": _plain(_each_output()),
    "div": _plain(_each_output()),
    "maximum": _plain(_each_output()),
    "minimum": _plain(_each_output()),
    "pow": _plain(_each_output()),
    "square": _plain(_each_input()),
    "squared_difference": _plain(_each_output(2)),
    "neg": _plain(_each_input()),
    "reciprocal": _plain(_each_input()),
    "rsqrt": _plain(_each_input(2)),
    "log": _plain(_each_input()),
    "compare": _plain(_each_output()),
    "softmax": _plain(_each_input(5)),
    "activation": _plain(),
    "elementwise": _plain(),
    "norm": _plain(),
    "mean": _plain(_each_input()),
    "sum": _plain(_reduced),
    "max": _plain(_reduced),
    "argmax": _plain(_reduced),
    "reduce": _plain(),
    "max_pool": _plain(_pooled),
    "avg_pool": _plain(_pooled),
    "resize": _plain(),
    "move": Costs("moves"),
    "unknown": Costs("unknown"),
}
"""Kind → its rules. A kind that no framework's reader can name is `unknown`, and counts nothing."""
