"""What TFLite files cost: what the converter changes, sizes far larger than there is memory for, custom operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from graph_process import GraphProcess


@pytest.mark.parametrize("form", ["tflite", "half.tflite"])
def test_normalisation_is_folded_into_the_convolution(read_graph: GraphProcess, counted_nets: Path, form: str) -> None:
    found = read_graph(counted_nets / f"normed.{form}", (1, 24, 24, 3))
    # Its scale and shift (12) have become a bias (6); by hand.
    assert (found.ops.parameters, found.counts().macs) == (406 - 12 + 6, 576 * 27 * 6 + 144 * 6 * 4 * 9)
    assert found.codes() == set()


def test_a_bias_that_the_converter_wrote_is_said(read_graph: GraphProcess, counted_nets: Path) -> None:
    found = read_graph(counted_nets / "bare.tflite", (1, 20, 24, 3))
    assert found.ops.parameters == 108 + 4
    assert found.codes() == {"cost-zero-bias"}


def test_a_size_far_beyond_memory_is_counted_without_being_held(read_graph: GraphProcess, counted_nets: Path) -> None:
    for height, width in ((300, 500), (4321, 7654), (40_000, 40_000)):
        found = read_graph(counted_nets / "bare.tflite", (1, height, width, 3))
        assert found.counts().macs == (height - 2) * (width - 2) * 108


def test_fitted_shapes_are_those_that_the_interpreter_gives(read_graph: GraphProcess, counted_nets: Path) -> None:
    # Halved twice and joined again; 256 is asked of the interpreter itself, larger sizes are led back to small ones.
    small = read_graph(counted_nets / "lpienet.tflite", (1, 256, 252, 3)).ops
    large = read_graph(counted_nets / "lpienet.tflite", (1, 512, 504, 3)).ops
    for one, other in zip(small.ops, large.ops, strict=True):
        assert one.kind == other.kind
        if len(one.output) == 4 and one.kind != "move":
            assert other.output == (*one.output[:2], *(2 * n for n in one.output[2:]))


def test_custom_operators_are_listed_at_the_files_own_size(read_graph: GraphProcess, counted_nets: Path) -> None:
    found = read_graph(counted_nets / "normed.custom.tflite", (1, 24, 24, 3))
    assert "FlexOwn" in {op.operator for op in found.ops.ops if op.kind == "unknown"}
    assert not found.counts().complete
    assert found.counts().macs == 144 * 6 * 4 * 9  # the transposed convolution is left


def test_custom_operators_keep_an_open_size_from_being_known(read_graph: GraphProcess, counted_nets: Path) -> None:
    found = read_graph(counted_nets / "bare.custom.tflite", (1, 20, 24, 3))
    assert found.code == "cost-shape"
    assert "FlexOwn" in found.said
    assert read_graph(counted_nets / "mixed.tflite", (1, 48, 24, 8)).code == "model-shape"
