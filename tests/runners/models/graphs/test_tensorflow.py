"""What Keras files, SavedModels and frozen graphs cost: by hand, as published, and as TensorFlow's profiler counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from graph_process import GraphProcess, Read

from evaluator.efficiency.ops import Op
from evaluator.efficiency.rules import RULES
from model_support import needed

FORMATS = [".keras", "", ".pb", ".tflite", ".half.tflite"]
SHAPES = {
    "mixed": (1, 24, 24, 8),
    "normed": (1, 24, 24, 3),
    "attentive": (1, 12, 12, 8),
    "bare": (1, 20, 24, 3),
    "lpienet": (1, 256, 256, 3),
}
# By hand, from the layers in make_networks.py: (parameters, MACs).
STRIDED, DILATED, GROUPED = (584, 144 * 8 * 72), (584, 144 * 8 * 72), (296, 144 * 8 * 36)
DEPTHWISE, TRANSPOSED = (160, 144 * 16 * 9), (580, 144 * 16 * 4 * 9)
DENSE, PRODUCTS = (40 + 27, 144 * (4 * 8 + 8 * 3)), (0, 2 * 144 * 144 * 8)
MIXED = [STRIDED, DILATED, GROUPED, DEPTHWISE, TRANSPOSED, DENSE, PRODUCTS]
HAND = {
    "mixed": (sum(p for p, _ in MIXED), sum(m for _, m in MIXED)),
    # A convolution without a bias, scale and shift, a transposed convolution, scale and shift, slopes.
    "normed": (162 + 12 + 220 + 8 + 4, 576 * 27 * 6 + 144 * 6 * 4 * 9),
    # Query, key, value and output are dense layers with 2 heads of 4.
    "attentive": (4 * (8 * 8 + 8), 4 * 144 * 64 + 2 * 144 * 144 * 8),
    "bare": (108, 18 * 22 * 108),
}


def read(process: GraphProcess, folder: Path, name: str, form: str, **more: Any) -> Read:
    says = {"": {"format": "savedmodel"}}.get(form, {})
    return process(folder / f"{name}{form}", SHAPES[name], **says, **more)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["mixed", "attentive"])
def test_every_format_has_what_was_counted_by_hand(
    read_graph: GraphProcess, counted_nets: Path, name: str, form: str
) -> None:
    found = read(read_graph, counted_nets, name, form)
    counts = found.counts()
    assert (found.ops.parameters, counts.macs) == HAND[name]
    assert counts.complete
    assert sum(op.parameters for op in found.ops.ops) == found.ops.parameters


@pytest.mark.parametrize("form", [".keras", "", ".pb"])
@pytest.mark.parametrize("name", ["normed", "bare"])
def test_statistics_of_normalisation_are_no_parameters(
    read_graph: GraphProcess, counted_nets: Path, name: str, form: str
) -> None:
    found = read(read_graph, counted_nets, name, form)
    assert (found.ops.parameters, found.counts().macs) == HAND[name]


def test_operators_have_canonical_shapes(read_graph: GraphProcess, counted_nets: Path) -> None:
    for form in FORMATS:
        ops = read(read_graph, counted_nets, "mixed", form).ops.ops
        grouped, depthwise = (next(op for op in ops if test(op)) for test in (_is_grouped, _is_depthwise))
        assert (grouped.inputs[0], grouped.output, grouped.weight) == ((1, 8, 12, 12), (1, 8, 12, 12), (8, 4, 3, 3))
        assert (depthwise.inputs[0], depthwise.output, depthwise.weight) == (
            (1, 8, 12, 12),
            (1, 16, 12, 12),
            (16, 1, 3, 3),
        )
        transposed = next(op for op in ops if op.kind == "conv_transpose")
        assert (transposed.inputs[0], transposed.output, transposed.weight) == (
            (1, 16, 12, 12),
            (1, 4, 24, 24),
            (16, 4, 3, 3),
        )
        assert next(op for op in ops if op.kind == "max_pool").window == (2, 2)
        assert [op.inputs for op in ops if op.kind == "matmul"] == [
            ((1, 144, 8), (1, 8, 144)),
            ((1, 144, 144), (1, 144, 8)),
        ]


def _is_grouped(op: Op) -> bool:
    return op.kind == "conv" and op.groups == 2


def _is_depthwise(op: Op) -> bool:
    return op.kind == "conv" and op.groups == 8


@pytest.mark.parametrize("name", SHAPES)
def test_the_profiler_counts_the_same(read_graph: GraphProcess, counted_nets: Path, name: str) -> None:
    profiled = json.loads((counted_nets / "profiler.json").read_text())[name]
    found = read(read_graph, counted_nets, name, ".pb")
    einsum = sum(RULES["matmul"].tf_profiler(op) for op in found.ops.ops if op.operator == "Einsum")
    assert (einsum > 0) == (name == "attentive")  # the profiler does not know it
    assert found.counts().tf_profiler_flops - einsum == profiled


# Source: Conde et al., "Perceptual Image Enhancement for Smartphone Real-Time Applications", Table 6, and
# leaderboards/published/counts.toml: MACs and the profiler's operations, in G.
LPIENET = {
    (256, 256): (1.198, 2.453),
    (800, 800): (11.700, 23.955),
    (1080, 1920): (37.907, 77.616),
    (1080, 2048): (40.435, 82.790),
    (2160, 3840): (151.630, 310.463),
}


@pytest.mark.parametrize("form", [".keras", ".tflite", ".half.tflite"])
@pytest.mark.parametrize("size", LPIENET)
def test_lpienet_costs_what_its_paper_says(
    read_graph: GraphProcess, counted_nets: Path, size: tuple[int, int], form: str
) -> None:
    found = read_graph(counted_nets / f"lpienet{form}", (1, *size, 3))
    counts = found.counts()
    assert found.ops.parameters == 133_652
    assert (round(counts.macs / 1e9, 3), round(counts.tf_profiler_flops / 1e9, 3)) == LPIENET[size]


def test_the_large_lpienet(read_graph: GraphProcess, counted_nets: Path) -> None:
    # Source: leaderboards/published/counts.toml, and the same graph at 800×800.
    small, large = (read_graph(counted_nets / "large.keras", (1, n, n, 3)) for n in (256, 800))
    assert small.ops.parameters == 514_308
    assert small.counts().macs / 1e9 == pytest.approx(4.3916, abs=5e-5)
    assert large.counts().macs / 1e9 == pytest.approx(42.887, abs=5e-4)


def test_a_loop_is_said(read_graph: GraphProcess, counted_nets: Path) -> None:
    found = read_graph(counted_nets / "loop", (1, 8, 8, 3), format="savedmodel")
    assert found.codes() == {"cost-loop"}
    assert not found.counts().complete


def test_a_flat_graph_and_numbers_that_are_no_weights(read_graph: GraphProcess, counted_nets: Path) -> None:
    found = read_graph(counted_nets / "flat.pb", (1, 24 * 20 * 3), input=["pixels"], output="enhanced")
    assert found.inputs == ("pixels",)
    assert (found.ops.parameters, found.counts().macs) == (81, 480 * 81)


@pytest.mark.parametrize("form", ["keras", "pb", "tflite"])
def test_another_size_than_the_fixed_one_is_a_problem(read_graph: GraphProcess, counted_nets: Path, form: str) -> None:
    found = read_graph(counted_nets / f"mixed.{form}", (1, 48, 24, 8))
    assert found.code == "model-shape"
    assert "1 × 48 × 24 × 8" in found.said


# By hand, from the shapes of the checkpoints' variables: weights that each pixel meets once, and all parameters.
SRCNN = 81 * 3 * 64 + 25 * 64 * 32 + 25 * 32 * 3
RESNET_64, RESNET_32 = (2 * 81 * 3 * width + convolutions * 9 * width**2 for width, convolutions in ((64, 10), (32, 6)))
DPED = {
    "dped_srcnn": (SRCNN + 64 + 32 + 1, SRCNN),  # its last bias is one number
    "dped_resnet_12_64": (RESNET_64 + 11 * 64 + 3 + 8 * 2 * 64, RESNET_64),
    "dped_resnet_8_32": (RESNET_32 + 7 * 32 + 3 + 4 * 2 * 32, RESNET_32),
}


@pytest.mark.parametrize("name", DPED)
def test_the_networks_of_pirm_2018(read_graph: GraphProcess, data_root: Path, tmp_path: Path, name: str) -> None:
    needed("tensorflow")
    models = data_root / "dped" / "models"
    path = models / f"{name}.pb"
    if not path.is_file():
        path = tmp_path / path.name
        script = Path(__file__).parent.parent / "freeze_dped.py"
        given = [sys.executable, str(script), str(models / name), str(path)]
        subprocess.run(given, capture_output=True, check=True, timeout=300)
    found = read_graph(path, (1, 720, 1280, 3))
    parameters, weights = DPED[name]
    assert (found.ops.parameters, found.counts().macs) == (parameters, 720 * 1280 * weights)
