"""ONNX files: as exporters write them, and small ones made by hand."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.efficiency.counts import count
from evaluator.efficiency.ops import Graph, Op
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.graphs import GraphReader, open_graph
from evaluator.runners.models.problem import ModelProblem
from model_support import needed

onnx = pytest.importorskip("onnx", reason="onnx is an optional dependency")
helper = onnx.helper
FLOAT, INT64, UINT8, INT8, INT32 = 1, 7, 2, 3, 6
IMAGE = (1, 3, 8, 12)
MS = {"domain": "com.microsoft"}


def opened(path: Path) -> GraphReader:
    return open_graph(path, Artefact(file=path.name))  # type: ignore[call-arg]


def macs(graph: Graph) -> int:
    return count(graph, (8, 12)).macs


def weight(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    return onnx.numpy_helper.from_array(np.ones(shape, dtype), name)


def sizes(name: str, *values: int) -> Any:
    return onnx.numpy_helper.from_array(np.array(values, np.int64), name)


def model(
    nodes: Sequence[Any],
    held: Sequence[Any] = (),
    *,
    shape: Sequence[int | str] = IMAGE,
    dtype: int = FLOAT,
    functions: Sequence[Any] = (),
    known: Sequence[Any] = (),
) -> Any:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, [])],
        list(held),
        value_info=list(known),
    )
    domains = [("", 23), ("com.microsoft", 1), ("own", 1)]
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*domain) for domain in domains],
        ir_version=11,
        functions=list(functions),
    )


@pytest.fixture
def listed(tmp_path: Path) -> Any:
    """List the operators of nodes from `x` to `y`."""

    def read(
        nodes: Sequence[Any], held: Sequence[Any] = (), asked: tuple[int, ...] | None = None, **more: Any
    ) -> Graph:
        onnx.save(model(nodes, held, **more), tmp_path / "net.onnx")
        return opened(tmp_path / "net.onnx").read([asked or tuple(more.get("shape", IMAGE))])

    return read


def node(word: str, given: str, made: str = "y", **more: Any) -> Any:
    return helper.make_node(word, [name.strip("-") for name in given.split()], made.split(), **more)


def codes(graph: Graph) -> list[str]:
    return [finding.code for finding in graph.findings]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mixed network, by both of torch's exporters."""
    needed("torch", "onnx")
    import torch

    from graph_support import Mixed

    folder = tmp_path_factory.mktemp("exported")
    network, example = Mixed().eval(), torch.rand(1, 3, 32, 48)
    size = torch.export.Dim
    open_sizes = ({2: 8 * size("h", min=1, max=1024), 3: 8 * size("w", min=1, max=1024)},)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name, shapes, outside in (
            ("open", open_sizes, False),
            ("fixed", None, False),
            ("outside", open_sizes, True),
        ):
            torch.onnx.export(
                network,
                (example if shapes else torch.rand(1, 3, 64, 96),),
                str(folder / f"{name}.onnx"),
                dynamo=True,
                dynamic_shapes=shapes,
                external_data=outside,
            )
        torch.onnx.export(
            network,
            (example,),
            str(folder / "script.onnx"),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {2: "height", 3: "width"}},
        )
    return folder


@pytest.mark.parametrize("name", ["open", "fixed", "outside", "script"])
def test_one_network_from_every_exporter(exported: Path, name: str) -> None:
    from graph_support import MIXED_PARAMETERS, mixed_macs

    reader = opened(exported / f"{name}.onnx")
    assert reader.inputs[0].tensor.dtype == "float32"
    assert reader.inputs[0].tensor.shape == ((1, 3, 64, 96) if name == "fixed" else (1, 3, None, None))
    graph = reader.read([(1, 3, 64, 96)])
    assert count(graph, (64, 96)).macs == mixed_macs(64, 96)
    assert graph.parameters == sum(op.parameters for op in graph.ops) == MIXED_PARAMETERS
    assert count(graph, (64, 96)).complete
    assert not graph.findings
    if name != "fixed":
        assert count(reader.read([(1, 3, 2160, 3840)]), (2160, 3840)).macs == mixed_macs(2160, 3840)


def test_scalar_parameters_by_their_names(tmp_path: Path) -> None:
    needed("torch", "onnx")
    import torch

    from graph_support import srcnn

    # Counts measured on the original code: 69,249 with the one bias of the last layer.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(srcnn().build().eval(), (torch.rand(1, 3, 256, 256),), str(tmp_path / "n.onnx"), dynamo=True)
    graph = opened(tmp_path / "n.onnx").read([(1, 3, 256, 256)])
    assert graph.parameters == 69_249
    assert macs(graph) / 1e9 == pytest.approx(4.532, abs=0.0006)


CONV = [weight("w", 6, 3, 3, 3), weight("b", 6)]
CONV_MACS = 6 * 27 * 96
PADS = {"pads": [1, 1, 1, 1]}
SCALES = [weight("s", dtype=np.float32), onnx.numpy_helper.from_array(np.array(0, np.uint8), "z")]
ZERO = onnx.numpy_helper.from_array(np.array(0, np.int8), "iz")


@pytest.mark.parametrize(
    ("nodes", "held", "dtype", "cost", "parameters"),
    [
        ([node("Conv", "x w b", **PADS)], CONV, FLOAT, CONV_MACS, 168),
        ([node("Conv", "x w", strides=[2, 2], group=3, dilations=[2, 2], pads=[2] * 4)],
         [weight("w", 6, 1, 3, 3)], FLOAT, 6 * 9 * 24, 54),
        ([node("ConvTranspose", "x w b", strides=[2, 2])], [weight("w", 3, 5, 4, 4), weight("b", 5)],
         FLOAT, 96 * 3 * 5 * 16, 245),
        ([node("FusedConv", "x w b x", activation="Relu", **PADS, **MS)], CONV, FLOAT, CONV_MACS, 168),
        ([node("QLinearConv", "x s z w s iz s z b", **PADS)],
         [weight("w", 6, 3, 3, 3, dtype=np.int8), weight("b", 6, dtype=np.int32), *SCALES, ZERO],
         UINT8, CONV_MACS, 168),
        ([node("ConvInteger", "x w z", **PADS)], [weight("w", 6, 3, 3, 3, dtype=np.uint8), SCALES[1]],
         UINT8, CONV_MACS, 162),
        ([node("DequantizeLinear", "w s", "d"), node("Conv", "x d", **PADS)],
         [weight("w", 6, 3, 3, 3, dtype=np.int8), SCALES[0]], FLOAT, CONV_MACS, 162),
        ([node("MatMul", "x m")], [weight("m", 12, 5)], FLOAT, 24 * 12 * 5, 60),
        ([node("MatMul", "m x")], [weight("m", 1, 3, 7, 8)], FLOAT, 3 * 7 * 8 * 12, 168),
        ([node("FusedMatMul", "x x", transB=1, alpha=0.5, **MS)], [], FLOAT, 3 * 8 * 12 * 8, 0),
        ([node("FusedMatMul", "x x", transA=1, **MS)], [], FLOAT, 3 * 12 * 8 * 12, 0),
        ([node("Flatten", "x", "f"), node("Gemm", "f m c", transB=1)], [weight("m", 5, 288), weight("c", 5)],
         FLOAT, 288 * 5, 1445),
        ([node("Flatten", "x", "f"), node("FusedGemm", "f m c", activation="Relu", **MS)],
         [weight("m", 288, 5), weight("c", 1)], FLOAT, 288 * 5, 1441),
        ([node("Flatten", "x", "f"), node("Transpose", "f", "t"), node("Gemm", "t m", transA=1)],
         [weight("m", 288, 5)], FLOAT, 288 * 5, 1440),
        ([node("Einsum", "x m", equation="bchw,cd->bdhw")], [weight("m", 3, 5)], FLOAT, 96 * 15, 15),
        ([node("Einsum", "x x", equation="...mk,...nk->...mn")], [], FLOAT, 3 * 8 * 8 * 12, 0),
        ([node("Einsum", "x x", equation="bchw,bchw->bchw")], [], FLOAT, 0, 0),
        ([node("Attention", "x x x")], [], FLOAT, 2 * 3 * 8 * 8 * 12, 0),
        ([node("QuickGelu", "x", "g", **MS), node("Conv", "g w b", **PADS)], CONV, FLOAT, CONV_MACS, 168),
        ([node("QLinearAdd", "x s z x s z s z", "a", **MS),
          node("QLinearGlobalAveragePool", "a s z s z", **MS)], SCALES, UINT8, 0, 0),
    ],
)  # fmt: skip
def test_what_operators_cost(
    listed: Any, nodes: list[Any], held: list[Any], *, dtype: int, cost: int, parameters: int
) -> None:
    graph = listed(nodes, held, dtype=dtype)
    assert macs(graph) == cost
    assert graph.parameters == parameters
    assert count(graph, (8, 12)).complete
    assert codes(graph) == []


def test_attention_by_heads(listed: Any) -> None:
    # Two heads of three channels; keys and values of one head are shared.
    projections = [weight("k", 6, 3)]
    nodes = [
        node("MatMul", "x k", "kv"),
        node("Attention", "x kv kv", q_num_heads=2, kv_num_heads=1),
    ]
    graph = listed(nodes, projections, shape=(1, 10, 6))
    assert macs(graph) == 10 * 18 + 2 * 2 * 10 * 10 * 3
    graph = listed([node("MultiHeadAttention", "x x x", num_heads=2, **MS)], shape=(1, 10, 6))
    assert macs(graph) == 2 * 2 * 10 * 10 * 3
    graph = listed(
        [node("Attention", "x w b", num_heads=2, **MS)], [weight("w", 6, 18), weight("b", 18)], shape=(1, 10, 6)
    )
    assert macs(graph) == 10 * 6 * 18 + 2 * 2 * 10 * 10 * 3
    assert graph.parameters == sum(op.parameters for op in graph.ops) == 126


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


@pytest.mark.parametrize(
    ("nodes", "held", "found"),
    [
        ([node("AveragePool", "x", "p", kernel_shape=[2, 2]), node("MaxPool", "p", kernel_shape=[2, 1])],
         [], ["avg_pool", "max_pool"]),
        ([node("GlobalAveragePool", "x", "p"), node("ReduceMax", "p", keepdims=1)], [], ["mean", "max"]),
        ([node("Resize", "x - s")], [onnx.numpy_helper.from_array(np.float32([1, 1, 2, 2]), "s")], ["resize"]),
        ([node("SpaceToDepth", "x", "d", blocksize=2), node("DepthToSpace", "d", blocksize=2)], [], ["move"] * 2),
        ([node("LSTM", "l w r", "all y")], [weight("w", 1, 8, 12), weight("r", 1, 8, 2)], None),
        ([node("GridSample", "x g")], [weight("g", 1, 4, 4, 2)], ["unknown"]),
        ([node("Clip", "x", "c"), node("Softmax", "c", "s"), node("Div", "s c")], [],
         ["elementwise", "softmax", "div"]),
        ([node("InstanceNormalization", "x g b", "i"), node("PRelu", "i p")],
         [weight("g", 3), weight("b", 3), weight("p", 1)], ["norm", "activation"]),
    ],
)  # fmt: skip
def test_kinds(listed: Any, nodes: list[Any], held: list[Any], found: list[str] | None) -> None:
    if found is None:
        graph = listed([node("Squeeze", "x a", "l"), *nodes], [*held, sizes("a", 0)])
        assert (graph.ops[-1].kind, graph.ops[-1].operator) == ("unknown", "LSTM")
        assert graph.parameters == 8 * 14
        return
    graph = listed(nodes, held)
    assert kinds(graph) == found
    assert codes(graph) == []


def test_windows(listed: Any) -> None:
    (pool,) = listed([node("AveragePool", "x", kernel_shape=[3, 2])]).ops
    assert pool.window == (3, 2)
    assert pool.output == (1, 3, 6, 11)


def parameters_of(listed: Any, nodes: list[Any], held: list[Any]) -> int:
    found = listed(nodes, held).parameters
    assert isinstance(found, int)
    return found


def test_which_constants_are_parameters(listed: Any) -> None:
    def of(nodes: list[Any], *held: Any) -> int:
        return parameters_of(listed, nodes, list(held))

    stats = [weight("mean", 3), weight("var", 3)]
    assert of([node("BatchNormalization", "x g b mean var")], weight("g", 3), weight("b", 3), *stats) == 6
    assert of([node("Add", "x b")], weight("b", 3, 1, 1)) == 3
    # One number: a parameter's own name, or one that an exporter made up.
    assert of([node("Relu", "x")], weight("last.bias", 1)) == 0  # it is not used
    assert of([node("Add", "x last.bias")], weight("last.bias", 1)) == 1
    for name in ("val_3", "_val_12", "onnx::Add_7", "/body/Constant_output_0", "scalar_tensor_default", "123"):
        assert of([node("Mul", f"x {name}")], weight(name, 1)) == 0, name
    assert of([node("Conv", "x w val_1", **PADS)], weight("w", 1, 3, 3, 3), weight("val_1", 1)) == 28
    # One weight for two layers, and one that reaches its layer through a reshape.
    assert of([node("Conv", "x w", "i", **PADS), node("Conv", "i w", **PADS)], weight("w", 3, 3, 3, 3)) == 81
    shared = [node("Reshape", "flat s", "w"), node("Conv", "x w", **PADS)]
    assert of(shared, weight("flat", 81), sizes("s", 3, 3, 3, 3)) == 81
    assert of([node("Clip", "x low", "c"), node("Pad", "c p v")], weight("low"), sizes("p", *[0] * 8), weight("v")) == 0
    # A constant node is a weight where only weights stand.
    constant = helper.make_node("Constant", [], ["c"], value=weight("", 3, 1, 1))
    assert of([constant, node("Add", "x c")]) == 0
    constant = helper.make_node("Constant", [], ["c"], value=weight("", 2, 3, 1, 1))
    assert of([constant, node("Conv", "x c")]) == 6


def test_sizes_that_are_computed(listed: Any) -> None:
    # Half of the height, by a division that shape inference alone does not follow.
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s two", "h"),
        node("Cast", "h", "hf", to=FLOAT),
        node("Div", "hf val_2", "half"),
        node("Floor", "half", "floor"),
        node("Cast", "floor", "hi", to=INT64),
        node("Concat", "one three hi rest", "to", axis=0),
        node("Reshape", "x to", "r"),
        node("Conv", "r w", pads=[1, 1, 1, 1]),
    ]
    held = [
        sizes("two", 2), sizes("one", 1), sizes("three", 3), sizes("rest", -1), weight("w", 6, 3, 3, 3),
        onnx.numpy_helper.from_array(np.array([2], np.float32), "val_2"),
    ]  # fmt: skip
    graph = listed(nodes, held, shape=("n", 3, "h", "w"), asked=(1, 3, 9, 12))
    assert graph.ops[-1].output == (1, 6, 4, 27)
    assert [op.operator for op in graph.ops] == ["Reshape", "Conv"]
    assert graph.parameters == 162
    assert codes(graph) == []


def branch(name: str, *nodes: Any) -> Any:
    return helper.make_graph(list(nodes), name, [], [helper.make_tensor_value_info(name, FLOAT, [None] * 4)])


def test_branches(listed: Any) -> None:
    ways = {
        "then_branch": branch("one", node("Conv", "x w b", "one", **PADS)),
        "else_branch": branch("two", node("Conv", "x v", "two", **PADS)),
    }
    held = [*CONV, weight("v", 6, 3, 3, 3), sizes("zero", 0), sizes("axis", 1)]
    by_value = [node("ReduceMax", "x", "m", keepdims=0), node("Cast", "m", "c", to=9), node("If", "c", **ways)]
    graph = listed(by_value, held)
    assert codes(graph) == ["cost-branch"]
    assert kinds(graph)[-1] == "unknown"
    assert graph.ops[-1].output == (1, 6, 8, 12)
    assert graph.parameters == 168 + 162
    assert macs(graph) == 0
    assert not count(graph, (8, 12)).complete
    # By a size, the way is known.
    by_size = [
        node("Shape", "x", "s"),
        node("Gather", "s axis", "n"),
        node("Greater", "n zero", "g"),
        node("If", "g", **ways),
    ]
    graph = listed(by_size, held)
    assert codes(graph) == []
    assert macs(graph) == CONV_MACS
    assert graph.parameters == 168


def test_loops(listed: Any) -> None:
    body = helper.make_graph(
        [node("Conv", "before w", "after", **PADS), node("Identity", "go", "on")],
        "body",
        [
            helper.make_tensor_value_info("n", INT64, []),
            helper.make_tensor_value_info("go", 9, []),
            helper.make_tensor_value_info("before", FLOAT, IMAGE),
        ],
        [helper.make_tensor_value_info("on", 9, []), helper.make_tensor_value_info("after", FLOAT, IMAGE)],
    )
    graph = listed([node("Loop", "times - x", body=body)], [sizes("times", 3), weight("w", 3, 3, 3, 3)])
    assert codes(graph)[0] == "cost-loop"
    assert graph.parameters == 81
    assert macs(graph) == 0
    assert not count(graph, (8, 12)).complete


def test_foreign_operators_are_listed(listed: Any) -> None:
    nodes = [node("Conv", "x w b", "c", **PADS), node("Magic", "c", "m", domain="own"), node("Relu", "m")]
    graph = listed(nodes, CONV)
    assert [(op.kind, op.operator) for op in graph.ops] == [
        ("conv", "Conv"),
        ("unknown", "own.Magic"),
        ("unknown", "Relu"),
    ]
    assert codes(graph) == ["cost-shape"]
    assert "own.Magic" in graph.findings[0].got
    assert not count(graph, (8, 12)).complete
    # Where the file tells its shape, what follows is known.
    graph = listed(
        nodes, CONV, known=[helper.make_tensor_value_info("m", FLOAT, [1, 6, "h", "w"])], shape=(1, 3, "h", "w"),
        asked=IMAGE,
    )  # fmt: skip
    assert codes(graph) == []
    assert [op.output for op in graph.ops] == [(1, 6, 8, 12)] * 3


def test_functions_are_put_in_place(listed: Any) -> None:
    function = helper.make_function(
        "own", "Twice", ["a", "v"], ["d"],
        [node("Conv", "a v", "c", **PADS), node("Conv", "c v", "d", **PADS)], [helper.make_opsetid("", 23)],
    )  # fmt: skip
    graph = listed([node("Twice", "x w", domain="own")], [weight("w", 3, 3, 3, 3)], functions=[function])
    assert kinds(graph) == ["conv", "conv"]
    assert macs(graph) == 2 * 81 * 96
    assert graph.parameters == 81


@pytest.mark.parametrize(
    ("shape", "asked"),
    [
        ((1, 3, 8, 12), (1, 3, 8, 16)),
        ((1, 3, "n", "n"), (1, 3, 8, 12)),
        ((1, 3, "h", "w"), (1, 8, 12, 3)),
        ((1, 3, "h", "w"), (3, 8, 12)),
    ],
)
def test_sizes_that_a_file_does_not_take(listed: Any, shape: tuple[Any, ...], asked: tuple[int, ...]) -> None:
    with pytest.raises(ModelProblem) as caught:
        listed([node("Relu", "x")], shape=shape, asked=asked)
    assert caught.value.code == "model-shape"
    assert "×".join(map(str, asked)) in caught.value.got


def test_open_sizes_are_taken(listed: Any) -> None:
    for shape in ((1, 3, None, None), (1, 3, "h", "w"), ("n", "c", "h", "w")):
        (op,) = listed([node("Relu", "x")], shape=shape, asked=IMAGE).ops
        assert op == Op(kind="activation", operator="Relu", inputs=(IMAGE,), output=IMAGE)


def test_data_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    made = model([node("Conv", "x w b", **PADS)], CONV)
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../weights"
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelProblem) as caught:
        opened(tmp_path / "net.onnx")
    assert caught.value.code == "model-unsafe"
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(ModelProblem) as caught:
        opened(tmp_path / "net.onnx")
    assert caught.value.code == "model-load"
