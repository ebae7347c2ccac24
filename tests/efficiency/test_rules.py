"""The rules against counting by hand: every multiply-accumulate of small operators is enumerated."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evaluator.efficiency.ops import Kind, Op
from evaluator.efficiency.rules import RULES


def op(kind: Kind, **fields: Any) -> Op:
    return Op(kind=kind, operator=kind, **fields)


def macs(kind: Kind, **fields: Any) -> int:
    return RULES[kind].macs(op(kind, **fields))


def flops(kind: Kind, **fields: Any) -> int:
    return RULES[kind].tf_profiler(op(kind, **fields))


@pytest.mark.parametrize("channels", [(2, 4, 1), (4, 6, 2), (4, 4, 4), (3, 6, 3)])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [
    ((3, 3), 1, 1, 1),
    ((3, 5), 2, 2, 1),
    ((3, 3), 1, 0, 2),
    ((1, 1), 3, 0, 1),
])  # fmt: skip
def test_convolutions(
    channels: tuple[int, int, int], kernel: tuple[int, int], stride: int, padding: int, dilation: int
) -> None:
    taken, given, groups = channels
    batch, rows, columns = 2, 7, 9
    padded = np.zeros((rows + 2 * padding, columns + 2 * padding))
    counted = 0
    reach = [dilation * (k - 1) for k in kernel]
    tops = range(0, padded.shape[0] - reach[0], stride)
    lefts = range(0, padded.shape[1] - reach[1], stride)
    for _, channel, top, left in product(range(batch), range(given), tops, lefts):
        group = channel // (given // groups)
        for one in range(taken):
            if one // (taken // groups) == group:
                for i, j in product(*map(range, kernel)):
                    _ = padded[top + i * dilation, left + j * dilation]  # lies inside, or in the padding
                    counted += 1
    fields = {
        "inputs": [(batch, taken, rows, columns)],
        "output": (batch, given, len(tops), len(lefts)),
        "weight": (given, taken // groups, *kernel),
        "groups": groups,
    }
    assert macs("conv", **fields) == counted
    assert flops("conv", **fields) == 2 * counted
    assert flops("conv", bias=True, **fields) == 2 * counted + batch * given * len(tops) * len(lefts)


@pytest.mark.parametrize("channels", [(2, 4, 1), (4, 6, 2)])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 1), (2, 3)])
def test_transposed_convolutions_spread_each_input_pixel(
    channels: tuple[int, int, int], kernel: int, stride: int
) -> None:
    taken, given, groups = channels
    rows, columns = 3, 5
    made = np.zeros((given, (rows - 1) * stride + kernel, (columns - 1) * stride + kernel))
    for one, channel, row, column in product(range(taken), range(given), range(rows), range(columns)):
        if one // (taken // groups) == channel // (given // groups):
            made[channel, row * stride : row * stride + kernel, column * stride : column * stride + kernel] += 1
    # One for each of its kernel, whatever is cut off at the borders.
    for output in (made.shape, (given, rows * stride, columns * stride)):
        assert macs(
            "conv_transpose",
            inputs=[(1, taken, rows, columns)],
            output=(1, *output),
            weight=(taken, given // groups, kernel, kernel),
            groups=groups,
        ) == int(made.sum())


def test_one_and_three_axes() -> None:
    assert macs("conv", inputs=[(1, 2, 8)], output=(1, 3, 6), weight=(3, 2, 3)) == 3 * 6 * 2 * 3
    shape = {"inputs": [(1, 2, 4, 5, 6)], "output": (1, 3, 2, 3, 4), "weight": (3, 2, 3, 3, 3)}
    assert macs("conv", **shape) == 3 * 24 * 2 * 27


@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (1, 4, 4)])
def test_dense_layers_with_leading_axes(leading: tuple[int, ...]) -> None:
    counted = sum(1 for _ in product(*map(range, (*leading, 7, 3))))
    fields = {"inputs": [(*leading, 7)], "output": (*leading, 3), "weight": (3, 7)}
    assert macs("dense", **fields) == counted
    assert flops("dense", bias=True, **fields) == 2 * counted + prod(leading) * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [((4, 5), (5, 6)), ((2, 4, 5), (2, 5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((4, 5), (3, 5, 6)), ((3, 4, 5), (5, 1))],
)
def test_matrix_products_with_batches(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    batch = np.broadcast_shapes(one[:-2], other[:-2])
    output = np.matmul(np.zeros(one), np.zeros(other)).shape
    counted = sum(1 for _ in product(*map(range, (*batch, one[-2], other[-1], one[-1]))))
    assert macs("matmul", inputs=[one, other], output=output) == counted


def test_attention() -> None:
    query, key, value = (2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6)
    scores = sum(1 for _ in product(range(2), range(3), range(5), range(7), range(4)))
    weighted = sum(1 for _ in product(range(2), range(3), range(5), range(7), range(6)))
    assert macs("attention", inputs=[query, key, value], output=(2, 3, 5, 6)) == scores + weighted
    # Heads that share keys and values cost the same.
    shared = [query, (2, 1, 7, 4), (2, 1, 7, 6)]
    assert macs("attention", inputs=shared, output=(2, 3, 5, 6)) == scores + weighted


def test_pools_count_their_windows_for_tensorflow_only() -> None:
    fields = {"inputs": [(1, 4, 8, 8)], "output": (1, 4, 3, 3), "window": (3, 2)}
    counted = sum(1 for _ in product(range(4), range(3), range(3), range(3), range(2)))
    for kind in ("max_pool", "avg_pool"):
        assert macs(kind, **fields) == 0
        assert flops(kind, **fields) == counted


@pytest.mark.parametrize(
    ("kind", "each"),
    [("add", 1), ("sub", 1), ("mul", 1), ("div", 1), ("maximum", 1), ("compare", 1), ("squared_difference", 2)],
)
def test_what_two_operands_cost_is_by_output_element(kind: Kind, each: int) -> None:
    assert flops(kind, inputs=[(1, 3, 4, 5), (1, 3, 1, 1)], output=(1, 3, 4, 5)) == each * 60
    assert macs(kind, inputs=[(1, 3, 4, 5), (1, 3, 1, 1)], output=(1, 3, 4, 5)) == 0


@pytest.mark.parametrize(
    ("kind", "each"), [("square", 1), ("neg", 1), ("reciprocal", 1), ("rsqrt", 2), ("log", 1), ("softmax", 5)]
)
def test_what_one_operand_costs_is_by_input_element(kind: Kind, each: int) -> None:
    assert flops(kind, inputs=[(2, 30)], output=(2, 30)) == each * 60


def test_reductions() -> None:
    fields = {"inputs": [(2, 3, 4)], "output": (2, 1, 1)}
    assert flops("mean", **fields) == 24
    assert flops("sum", **fields) == 24 - 2  # three additions less one make four numbers one
    assert flops("argmax", **fields) == 24 - 2
    assert flops("max", **fields) == 24 - 2  # not TensorFlow itself, but keras-flops counts it


@pytest.mark.parametrize("kind", ["activation", "elementwise", "norm", "resize", "move", "unknown", "reduce"])
def test_the_rest_costs_nothing(kind: Kind) -> None:
    assert macs(kind, inputs=[(1, 3, 4, 5)], output=(1, 3, 4, 5)) == 0
    assert flops(kind, inputs=[(1, 3, 4, 5)], output=(1, 3, 4, 5)) == 0


def test_every_kind_has_a_rule() -> None:
    from typing import get_args

    assert set(RULES) == set(get_args(Kind))
    counted = {kind for kind, rule in RULES.items() if rule.role == "counted"}
    assert counted == {"conv", "conv_transpose", "dense", "matmul", "attention"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("conv", {"inputs": [(1, 3, 4, 4)]}),
        ("conv", {"weight": (1, 3, 3, 3)}),
        ("dense", {"inputs": [(1, 3)], "weight": ()}),
        ("matmul", {"inputs": [(3, 4)]}),
        ("matmul", {"inputs": [(3, 4), ()]}),
        ("attention", {"inputs": [(3, 4), (3, 4), (3,)]}),
        ("max_pool", {"inputs": [(1, 3, 4, 4)]}),
        ("mean", {}),
    ],
)
def test_an_operator_without_what_its_rule_needs_is_none(kind: Kind, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        op(kind, **fields)
