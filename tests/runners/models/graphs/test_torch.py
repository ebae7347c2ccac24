"""Networks in torch: live, as TorchScript, as files of torch.export, and inside of Python code."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.efficiency.counts import count
from evaluator.efficiency.ops import Graph
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.graphs import open_graph
from evaluator.runners.models.problem import ModelProblem
from model_support import needed

torch = pytest.importorskip("torch", reason="torch is an optional dependency")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from evaluator.runners.models.graphs.torch import function_graph, module_graph  # noqa: E402
from graph_support import MIXED_PARAMETERS, Mixed, baseline, conv, mixed_macs, srcnn  # noqa: E402

SIZE = (64, 96)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Calls(nn.Module):
    """A module made of a function."""

    def __init__(self, call: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.call = call
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.call(self, *inputs)


def macs(graph: Graph, size: tuple[int, int] = SIZE) -> int:
    return count(graph, size).macs


def read(path: Path, *shapes: tuple[int, ...]) -> Graph:
    return open_graph(path, Artefact(file=path.name)).read(shapes)  # type: ignore[call-arg]


def dynamic(multiple: int = 1) -> tuple[dict[int, Any]]:
    open_size = torch.export.Dim
    return ({2: multiple * open_size("h", min=1, max=1024), 3: multiple * open_size("w", min=1, max=1024)},)


def exported(module: nn.Module, path: Path, *shapes: tuple[int, ...], dynamic_shapes: Any = None) -> Path:
    program = torch.export.export(
        module.eval(), tuple(torch.rand(shape) for shape in shapes), dynamic_shapes=dynamic_shapes
    )
    torch.export.save(program, path)
    return path


def test_one_network_in_every_form(tmp_path: Path) -> None:
    network, example, wanted = Mixed().eval(), torch.rand(1, 3, 32, 48), (1, 3, *SIZE)
    torch.jit.trace(network, example).save(tmp_path / "traced.pt")
    torch.jit.script(network).save(tmp_path / "scripted.pt")
    exported(network, tmp_path / "open.pt2", (1, 3, 32, 48), dynamic_shapes=dynamic(8))
    exported(network, tmp_path / "fixed.pt2", wanted)
    graphs = {name: read(tmp_path / name, wanted) for name in ("scripted.pt", "open.pt2", "fixed.pt2")}
    graphs["live"] = module_graph(network, [wanted])
    # A trace keeps sizes that were computed, so that it is read at the size of its example.
    graphs["function"] = function_graph(lambda: network(torch.rand(wanted)))
    for name, graph in graphs.items():
        assert macs(graph) == mixed_macs(*SIZE), name
        assert graph.parameters == sum(op.parameters for op in graph.ops) == MIXED_PARAMETERS, name
        assert count(graph, SIZE).complete, name
        assert not graph.findings, name
    traced = read(tmp_path / "traced.pt", (1, 3, 32, 48))
    assert macs(traced) == mixed_macs(32, 48)
    assert traced.parameters == MIXED_PARAMETERS
    for name in ("live", "open.pt2", "fixed.pt2", "function"):
        named = [op.name for op in graphs[name].ops if op.kind.startswith("conv")]
        assert named[:4] == ["strided", "dilated", "grouped", "depthwise"], name
        assert named[4] == "up", name


# Counts measured on the original code: channels, parameters, billions of multiply-accumulates at 256×256. That of the
# U-Net, which was never released, follows from its widths.
MEASURED = {
    ("dncnn", "build"): (3, 668_227, 43.713),
    ("dncnn", "build_gray"): (1, 555_137, 36.314),
    ("dped-resnet", "build"): (3, 401_475, 26.198),
    ("dped-resnet", "build_8_32"): (3, 71_331, 4.643),
    ("unet", "build"): (3, 685_539, 5.908),
    ("zero-dce", "build"): (3, 79_416, 5.1905),
}


@pytest.mark.parametrize("name", MEASURED, ids=":".join)
def test_measured_networks(name: tuple[str, str]) -> None:
    channels, parameters, billions = MEASURED[name]
    build = getattr(baseline(name[0]), name[1])
    network = build()
    graph = module_graph(network, [(1, channels, 256, 256)])
    assert graph.parameters == parameters
    assert macs(graph) / 1e9 == pytest.approx(billions, abs=0.0006)
    assert count(graph, (256, 256)).complete
    for mine, theirs in zip(network.parameters(), build().parameters(), strict=True):
        assert torch.equal(mine, theirs), "the same at every call"
    with torch.no_grad():
        assert network(torch.rand(1, channels, 12, 16)).shape == (1, channels, 12, 16)


def test_dped_resnet_at_the_size_of_phones() -> None:
    # Measured on the original code.
    graph = module_graph(baseline("dped-resnet").build(), [(1, 3, 720, 1280)])
    assert macs(graph, (720, 1280)) / 1e9 == pytest.approx(368.404, abs=0.0006)


@pytest.mark.parametrize(
    # Counts measured on the original code.
    ("size", "billions"),
    [((256, 256), 4.532), ((720, 1280), 63.730), ((1120, 1680), 130.116), ((800, 800), 44.257)],
)
def test_srcnn(size: tuple[int, int], billions: float) -> None:
    graph = module_graph(srcnn().build(), [(1, 3, *size)])
    assert graph.parameters == 69_249
    assert macs(graph) / 1e9 == pytest.approx(billions, abs=0.0006)
    assert count(graph, size).complete


def test_srcnn_is_the_same_at_every_call_and_keeps_sizes() -> None:
    one, other = srcnn().build(), srcnn().build()
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert {p.unique().numel() == 1 for n, p in one.named_parameters() if n.endswith("bias")} == {True}
    spread = one.first.weight
    assert 0.008 < float(spread.detach().std()) < 0.01
    assert float(spread.detach().abs().max()) <= 0.02
    with torch.no_grad():
        assert one(torch.rand(1, 3, 11, 13)).shape == (1, 3, 11, 13)


def test_a_large_image_costs_no_memory() -> None:
    graph = module_graph(Mixed(), [(1, 3, 2160, 3840)])
    assert macs(graph, (2160, 3840)) == mixed_macs(2160, 3840)


# Where torch's own counter has a rule for all that runs.
AGREED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "strided": (lambda: nn.Conv2d(3, 8, 5, stride=3, padding=2), (2, 3, 33, 47)),
    "dilated": (lambda: nn.Conv2d(3, 8, 3, dilation=3), (1, 3, 33, 47)),
    "grouped": (lambda: nn.Conv2d(8, 16, 3, groups=4), (1, 8, 33, 47)),
    "depthwise": (lambda: nn.Conv2d(8, 8, 3, groups=8), (1, 8, 33, 47)),
    "same": (lambda: nn.Conv2d(3, 8, 4, padding="same"), (1, 3, 33, 47)),
    "line": (lambda: nn.Conv1d(3, 8, 3), (1, 3, 50)),
    "volume": (lambda: nn.Conv3d(3, 8, 3, padding=1), (1, 3, 5, 9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(6, 8, 4, stride=2, padding=1), (1, 6, 9, 11)),
    "dense": (lambda: nn.Linear(12, 7), (2, 5, 12)),
    "dense without bias": (lambda: nn.Linear(12, 7, bias=False), (4, 2, 5, 12)),
    "flat": (lambda: nn.Linear(12, 7), (5, 12)),
    "heads": (lambda: Calls(lambda s, x: s.m(x, x, x)[0], m=nn.MultiheadAttention(16, 4)), (2, 9, 16)),
    "batches": (lambda: Calls(lambda _, x: x @ x.transpose(-1, -2)), (2, 3, 5, 7)),
    "broadcast": (lambda: Calls(lambda _, x: x @ torch.ones(7, 4)), (2, 3, 5, 7)),
    "einsum": (lambda: Calls(lambda _, x: torch.einsum("bhnc,bhmc->bhnm", x, x)), (2, 3, 5, 7)),
    "recurrent cell": (lambda: Calls(lambda s, x: s.cell(x)[0], cell=nn.LSTMCell(6, 5)), (3, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", AGREED)
def test_torch_counts_the_same(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    make, shape = AGREED[name]
    module = make().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        torch.backends.mha.set_fastpath_enabled(False)
        module(torch.rand(shape))
        torch.backends.mha.set_fastpath_enabled(True)
    assert counter.get_total_flops() > 0
    for graph in (module_graph(module, [shape]), function_graph(lambda: module(torch.rand(shape)))):
        assert count(graph, SIZE).flops == counter.get_total_flops()
        assert count(graph, SIZE).complete


@pytest.mark.parametrize("name", ["strided", "dilated", "grouped", "depthwise", "dense", "batches", "einsum"])
def test_fvcore_counts_the_same(name: str) -> None:
    fvcore = pytest.importorskip("fvcore.nn", reason="only an oracle")
    make, shape = AGREED[name]
    module = make().eval()
    theirs = fvcore.FlopCountAnalysis(module, torch.rand(shape)).unsupported_ops_warnings(False).total()
    assert macs(module_graph(module, [shape])) == theirs


def test_a_transformer_layer() -> None:
    # torch's own counter has no rule for attention as processors compute it.
    graph = module_graph(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), [(2, 9, 16)])
    dense, attention = 18 * 16 * (48 + 16 + 32 + 32), 2 * 2 * 9 * 9 * 16
    assert macs(graph) == dense + attention
    assert count(graph, SIZE).complete


def kinds(call: Callable[..., Any], *shapes: tuple[int, ...], **parts: nn.Module) -> list[str]:
    graph = module_graph(Calls(call, **parts), shapes)
    return [f"{op.kind} {op.operator}" for op in graph.ops if op.kind != "move"]


IMAGE = (1, 4, 8, 12)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda _, x: F.adaptive_avg_pool2d(x, 1), ["mean aten.mean"]),
        (lambda _, x: F.adaptive_avg_pool2d(x, (4, 4)), ["avg_pool aten._adaptive_avg_pool2d"]),
        (lambda _, x: F.adaptive_avg_pool2d(x, 5), ["reduce aten._adaptive_avg_pool2d"]),
        (lambda _, x: F.max_pool2d(x, 2), ["max_pool aten.max_pool2d_with_indices"]),
        (lambda _, x: F.interpolate(x, scale_factor=2, mode="bicubic"), ["resize aten.upsample_bicubic2d"]),
        (lambda _, x: F.pixel_unshuffle(F.pad(x, (2, 2)), 2).permute(0, 2, 3, 1), []),
        (lambda _, x: torch.cat([x[:, :2], x[:, 2:]], 1).reshape(2, -1).expand(2, 2, -1), []),
        (lambda _, x: F.grid_sample(x, torch.zeros(1, 3, 3, 2)), ["unknown aten.grid_sampler_2d"]),
        (lambda _, x: torch.fft.rfft2(x), ["unknown aten._fft_r2c"]),
        (lambda _, x: x.relu_().add_(1).mul_(x).clamp_(0, 1),
         ["activation aten.relu", "add aten.add", "mul aten.mul", "elementwise aten.clamp"]),
        (lambda _, x: torch.add(x, x, out=torch.empty_like(x)), ["add aten.add"]),
        (lambda _, x: torch.maximum(x, x) + torch.max(x, x),
         ["maximum aten.maximum", "maximum aten.max", "add aten.add"]),
        (lambda _, x: x.amax(1), ["max aten.amax"]),
        (lambda _, x: F.group_norm(x, 2) + F.layer_norm(x, (12,)) + F.instance_norm(x),
         ["norm aten.group_norm", "norm aten.layer_norm", "add aten.add", "norm aten.instance_norm",
          "add aten.add"]),
        (lambda _, x: F.scaled_dot_product_attention(x, x, x), ["attention aten.scaled_dot_product_attention"]),
        (lambda _, x: F.gelu(x).softmax(1), ["activation aten.gelu", "softmax aten.softmax"]),
        (lambda _, x: torch.logcumsumexp(x, 1), ["unknown aten.logcumsumexp"]),
    ],
)  # fmt: skip
def test_operators_and_their_kinds(call: Callable[..., Any], found: list[str]) -> None:
    assert kinds(call, IMAGE) == found


@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_recurrent_layers_are_named_and_not_counted(make: Callable[..., nn.Module]) -> None:
    module = Calls(lambda s, x: s.cells(x)[0], cells=make(8, 6, batch_first=True))
    graph = module_graph(module, [(1, 20, 8)])
    (cells,) = [op for op in graph.ops if op.kind != "move"]
    assert (cells.kind, cells.operator, cells.name) == ("unknown", f"aten.{make.__name__.lower()}", "cells")
    assert cells.parameters == graph.parameters == sum(p.numel() for p in module.parameters())
    assert not count(graph, SIZE).complete


def test_deformable_convolutions_are_unknown() -> None:
    ops = pytest.importorskip("torchvision.ops")
    layer = ops.DeformConv2d(4, 6, 3, padding=1)
    graph = module_graph(Calls(lambda s, x: s.deform(x, torch.zeros(1, 18, 8, 12)), deform=layer), [IMAGE])
    assert [(op.kind, op.operator) for op in graph.ops if op.kind != "move"] == [
        ("unknown", "torchvision.deform_conv2d")
    ]


def test_statistics_and_buffers_are_no_parameters_and_training_stays() -> None:
    network = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4))
    network.register_buffer("other", torch.zeros(7))
    # Keras keeps statistics as parameters.
    for name in ("running_mean", "running_var"):
        value = getattr(network[1], name)
        delattr(network[1], name)
        setattr(network[1], name, nn.Parameter(value, requires_grad=False))
    for graph in (
        module_graph(network, [(1, 3, 8, 8)]),
        function_graph(lambda: network.eval()(torch.rand(1, 3, 8, 8))),
    ):
        assert graph.parameters == 112 + 8
        assert [op.parameters for op in graph.ops if op.kind == "norm"] == [8]
    network.train()
    module_graph(network, [(1, 3, 8, 8)])
    assert network.training
    assert network[1].training


KERAS = """
import keras
from evaluator.efficiency.counts import count
from evaluator.runners.models.graphs.torch import module_graph
layers = keras.layers
given = keras.Input((None, None, 3))
inner = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(8, 3, strides=2, padding="same")(given))
inner = layers.DepthwiseConv2D(5, padding="same")(layers.BatchNormalization()(inner))
model = keras.Model(given, layers.Conv2DTranspose(3, 4, strides=2, padding="same", name="up")(inner))
graph = module_graph(model, [(1, 720, 1280, 3)])
print(count(graph, (720, 1280)).macs, graph.parameters, model.count_params(), *{op.name for op in graph.ops})
"""


def test_keras_models_are_modules_under_the_torch_backend() -> None:
    needed("tensorflow")  # what else brings Keras
    done = subprocess.run(
        [sys.executable, "-c", KERAS], capture_output=True, text=True, check=False,
        env={**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    macs, parameters, all_weights, *names = done.stdout.split()
    assert int(macs) == 360 * 640 * (8 * 27 + 8 * 25 + 8 * 3 * 16)
    assert int(parameters) == int(all_weights) - 16 == 224 + 8 + 16 + 208 + 387
    assert "up" in names


def test_parameters_in_functions_are_counted_once_and_only_if_used() -> None:
    layer, idle = nn.Linear(8, 8), nn.Linear(9, 9)

    def call() -> object:
        with torch.inference_mode():
            return layer(layer(torch.from_numpy(np.zeros((2, 8), np.float32)))).numpy(), idle

    for wanted in (call, lambda: layer(layer(torch.rand(2, 8))).sum().backward()):
        graph = function_graph(wanted)
        assert graph.parameters == sum(op.parameters for op in graph.ops) == 72
    assert macs(function_graph(call)) == 2 * 2 * 64


def test_a_function_without_parameters_has_none_that_can_be_told() -> None:
    graph = function_graph(lambda: torch.rand(4, 5) @ torch.rand(5, 6))
    assert graph.parameters is None
    assert macs(graph) == 120
    assert function_graph(lambda: 1).ops == ()


def test_what_a_function_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        function_graph(lambda: 1 // 0)


def test_a_network_that_looks_at_values_is_run() -> None:
    module = Calls(lambda s, x: s.conv(x) if float(x.sum()) < 1 else x, conv=conv(3, 4))
    graph = module_graph(module, [(1, 3, 8, 8)])
    assert [f.code for f in graph.findings] == ["cost-ran"]
    assert macs(graph) == 4 * 27 * 64
    assert graph.parameters == 112


def test_a_network_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ModelProblem) as caught:
        module_graph(conv(3, 4), [(1, 5, 8, 8)])
    assert caught.value.code == "model-shape"
    torch.jit.script(conv(3, 4)).save(tmp_path / "net.pt")
    with pytest.raises(ModelProblem) as caught:
        read(tmp_path / "net.pt", (1, 5, 8, 8))
    assert caught.value.code == "model-shape"


def test_sizes_that_an_exported_file_does_not_take(tmp_path: Path) -> None:
    fixed = exported(conv(3, 4), tmp_path / "fixed.pt2", (1, 3, 16, 20))
    even = exported(Calls(lambda _, x: F.pixel_unshuffle(x, 2)), tmp_path / "even.pt2", (1, 3, 16, 20),
                    dynamic_shapes=None)  # fmt: skip
    multiple = exported(Mixed(), tmp_path / "open.pt2", (1, 3, 32, 48), dynamic_shapes=dynamic(8))
    for path, shape, said in (
        (fixed, (1, 3, 16, 24), "16 × 20"),
        (even, (1, 3, 15, 20), "16 × 20"),
        (multiple, (1, 3, 64, 100), "8*"),
        (multiple, (1, 4, 64, 96), "1 × 3"),
        (multiple, (1, 3, 8 * 1025, 96), "8*"),
        (multiple, (3, 64, 96), "1 × 3"),
    ):
        with pytest.raises(ModelProblem) as caught:
            read(path, shape)
        assert caught.value.code == "model-shape"
        assert said in caught.value.expected
    assert read(fixed, (1, 3, 16, 20)).parameters == 112


def test_shared_sizes_must_agree(tmp_path: Path) -> None:
    size = torch.export.Dim("h", min=2, max=100)
    path = exported(
        Calls(lambda _, x, y: x + y), tmp_path / "pair.pt2", (1, 3, 16, 20), (1, 3, 16, 20),
        dynamic_shapes=(({2: size}, {2: size}),),
    )  # fmt: skip
    assert [i.name for i in open_graph(path, Artefact(file="pair.pt2")).inputs]  # type: ignore[call-arg]
    assert read(path, (1, 3, 24, 20), (1, 3, 24, 20)).ops
    with pytest.raises(ModelProblem):
        read(path, (1, 3, 24, 20), (1, 3, 25, 20))


def test_branches_of_an_exported_file_are_not_counted(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cond(x.sum() > 0, lambda x: self.conv(x) * 2, lambda x: x - 1, (x,))

    graph = read(exported(Branch(), tmp_path / "branch.pt2", (1, 3, 8, 8)), (1, 3, 8, 8))
    assert [f.code for f in graph.findings] == ["cost-branch"]
    assert [op.operator for op in graph.ops if op.kind == "unknown"] == ["higher_order.cond"]
    assert macs(graph) == 0
    assert graph.parameters == 84


def test_frozen_scripts_keep_their_parameters(tmp_path: Path) -> None:
    network = nn.Sequential(conv(3, 8), nn.PReLU(8), nn.BatchNorm2d(8), conv(8, 1), nn.Tanh()).eval()
    with torch.no_grad():
        network[2].running_mean.normal_()  # a constant that equals another would be written once
        network[2].running_var.uniform_(1, 2)
    torch.jit.freeze(torch.jit.script(network)).save(tmp_path / "net.pt")
    graph = read(tmp_path / "net.pt", (1, 3, 16, 16))
    assert graph.parameters == sum(p.numel() for p in network.parameters())


def test_loops_of_scripts_are_unrolled(tmp_path: Path) -> None:
    class Repeats(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(3, 3)

        def forward(self, x: torch.Tensor, times: int = 3) -> torch.Tensor:
            for _ in range(times):
                x = self.conv(x)
            return x

    torch.jit.script(Repeats()).save(tmp_path / "net.pt")
    graph = read(tmp_path / "net.pt", (1, 3, 8, 8))
    assert macs(graph) == 3 * 3 * 27 * 64
    assert graph.parameters == 84


def test_half_precision(tmp_path: Path) -> None:
    torch.jit.script(conv(3, 4).half()).save(tmp_path / "net.pt")
    assert macs(read(tmp_path / "net.pt", (1, 3, 8, 8))) == 4 * 27 * 64
    assert macs(module_graph(conv(3, 4).half(), [(1, 3, 8, 8)], "float16")) == 4 * 27 * 64


def test_unsafe_files_are_refused(tmp_path: Path) -> None:
    torch.save(conv(3, 4).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelProblem) as caught:
        read(tmp_path / "weights.pt", (1, 3, 8, 8))
    assert caught.value.code == "model-format"
