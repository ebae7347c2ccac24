"""What a list of operators comes to."""

from __future__ import annotations

from typing import Any

import pytest

from evaluator.efficiency.counts import Counts, count, layers
from evaluator.efficiency.ops import Graph, Op
from evaluator.findings import Finding

CONV = Op(
    kind="conv",
    operator="Conv",
    name="first",
    inputs=((1, 3, 10, 20),),
    output=(1, 8, 10, 20),
    weight=(8, 3, 3, 3),
    bias=True,
    parameters=224,
)
RELU = Op(kind="activation", operator="Relu", inputs=((1, 8, 10, 20),), output=(1, 8, 10, 20))
SHUFFLE = Op(kind="move", operator="Shuffle", inputs=((1, 8, 10, 20),), output=(1, 2, 20, 40))
MACS = 8 * 27 * 200


def custom(elements: int) -> Op:
    return Op(kind="unknown", operator="Custom", output=(elements,))


def counted(*ops: Op, passes: int = 1) -> Counts:
    return count(Graph(parameters=224, ops=ops), (10, 20), passes)


def test_a_network() -> None:
    found = counted(CONV, RELU, RELU, SHUFFLE)
    assert found.macs == MACS
    assert found.flops == 2 * MACS
    assert found.tf_profiler_flops == 2 * MACS + 1600
    assert found.activations == 1600
    assert found.complete
    assert [(u.operator, u.times, u.share, u.why) for u in found.uncounted] == [
        ("Relu", 2, 0.5, "convention"),
        ("Shuffle", 1, 0.25, "moves"),
    ]


def test_a_layer_that_runs_twice_counts_twice() -> None:
    assert counted(CONV, CONV).macs == 2 * MACS


def test_tiles() -> None:
    found = counted(CONV, RELU, passes=6)
    assert (found.macs, found.flops, found.activations, found.passes) == (6 * MACS, 12 * MACS, 6 * 1600, 6)
    assert found.uncounted == counted(CONV, RELU).uncounted


@pytest.mark.parametrize(("elements", "complete"), [(1, True), (1600, False), (2, False)])
def test_a_thousandth_of_unknown_operators_spoils_a_count(elements: int, complete: bool) -> None:
    # 1,600 elements beside the unknown ones: 1 is less than a thousandth, 2 are more.
    assert counted(CONV, custom(elements)).complete is complete


def test_shares_of_unknown_operators_add_up() -> None:
    others = [Op(kind="unknown", operator=f"Custom{n}", output=(1,)) for n in range(2)]
    assert not counted(CONV, *others).complete


def test_operators_without_shapes_spoil_a_count_although_they_have_no_share() -> None:
    finding = Finding.warning("cost-shape", "net.onnx", "shapes", "none", "Export again.")
    assert not count(Graph(parameters=1, ops=(CONV,), findings=(finding,)), (10, 20)).complete


def test_nothing_is_not_complete() -> None:
    found = counted()
    assert found.macs == 0
    assert not found.complete


def test_layers_are_what_computes() -> None:
    found = layers(Graph(parameters=224, ops=(CONV, SHUFFLE, RELU)))
    assert [(layer.name, layer.operator, layer.macs, layer.parameters) for layer in found] == [
        ("first", "Conv", MACS, 224),
        ("", "Relu", 0, 0),
    ]
    assert sum(layer.macs for layer in found) == counted(CONV, SHUFFLE, RELU).macs


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "conv_transpose", "inputs": [[1]], "output": [], "weight": [1]},
        {"kind": "conv", "inputs": [[]], "output": [1], "weight": [1]},
        {"kind": "matmul", "inputs": [[1]], "output": [1]},
        {"kind": "max_pool", "inputs": [[1, 1]], "output": [1]},
    ],
)
def test_an_operator_without_the_shapes_that_it_is_counted_by_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="lacks the shapes"):
        Op.model_validate({"operator": "x", **values})


def test_more_operations_than_any_computer_could_do_are_an_error_not_a_number() -> None:
    huge = ((1 << 40) - 1,) * 4
    graph = Graph(parameters=0, ops=(Op(kind="conv", operator="x", inputs=(huge,), output=huge, weight=huge),))
    with pytest.raises(ValueError, match="macs"):
        count(graph, (1, 1))


def test_of_many_kinds_of_operators_the_largest_are_listed_and_the_rest_together() -> None:
    ops = tuple(Op(kind="unknown", operator=f"op{n}", output=(n + 1,)) for n in range(200))
    found = count(Graph(parameters=0, ops=ops), (1, 1))
    assert len(found.uncounted) == 51
    assert found.uncounted[0].operator == "op199"
    assert found.uncounted[-1].operator == "others"
    assert found.uncounted[-1].times == 150
    assert sum(u.share for u in found.uncounted) == pytest.approx(1)


def test_no_reduction_costs_less_than_nothing() -> None:
    graph = Graph(parameters=0, ops=(Op(kind="sum", operator="x", inputs=((1,),), output=(100,)),))
    assert count(graph, (1, 1)).tf_profiler_flops == 0
