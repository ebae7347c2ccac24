"""`evaluate profile` on model files, as a user runs it: one network in all formats, and what goes wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluator.ingest import baselines_folder
from model_support import FORMATS, needed
from support import Run

CONV3 = 3 * 8 * 9 + 8, 8 * 3 * 9 + 3
"""Parameters of the small network: two 3×3 convolutions, 3 to 8 and 8 to 3 channels."""


def profile(evaluate: Run, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    done = evaluate("profile", *map(str, arguments), "--format", "json")
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("suffix", FORMATS)
def test_one_network_has_one_cost_in_every_format(evaluate: Run, request: pytest.FixtureRequest, suffix: str) -> None:
    framework = FORMATS[suffix]
    needed(framework)
    folder = request.getfixturevalue("torch_nets" if suffix in (".pt", ".pt2", ".onnx") else "tensorflow_nets")
    found = profile(evaluate, folder / (f"net{suffix}" if suffix else "exported"), "--input", "20x28")
    assert found["parameters"] == sum(CONV3)
    (counts,) = found["inputs"]
    assert counts["input"] == [20, 28]
    assert counts["macs"] == 20 * 28 * 9 * (3 * 8 + 8 * 3)
    assert counts["flops"] == 2 * counts["macs"]
    assert counts["activations"] == 20 * 28 * (8 + 3)
    assert counts["complete"]
    assert sum(layer["macs"] for layer in counts["layers"]) == counts["macs"]


def test_fast_dped_costs_what_the_authors_checkpoint_says(evaluate: Run, tmp_path: Path) -> None:
    needed("tensorflow")
    found = profile(evaluate, "fast-dped", "--input", "720x1280")
    # The variables of the authors' checkpoint; their convolutions, each at its resolution.
    assert found["parameters"] == 243_011
    assert found["inputs"][0]["macs"] == pytest.approx(27.456e9, abs=1e6)
    shutil.copy(baselines_folder() / "fast-dped" / "fast_dped.py", tmp_path / "net.py")
    with (tmp_path / "net.py").open("a", encoding="utf-8") as code:
        code.write("\n\ndef other():\n    return build((32, 64, 128), (4, 4), prelu=True)\n")
    found = profile(evaluate, f"{tmp_path / 'net.py'}:other", "--input", "64x96")
    # By hand, pixel by pixel of the input: two convolutions 9×9, two to other resolutions and back, four and two plain.
    weights = 2 * 81 * 3 * 32 + 4 * 16 * 64 * 128 // 16 + 4 * 16 * 128**2 // 16 + 2 * 16 * 32**2
    assert found["inputs"][0]["macs"] == 64 * 96 * weights
    kernels = 2 * 81 * 3 * 32 + 2 * 16 * (32 * 64 + 64 * 128) + 4 * 16 * 128**2 + 2 * 16 * 32**2
    channels = {"biases": 899, "norms": 2 * 800, "slopes": 800 + 3 * 32}
    assert found["parameters"] == kernels + sum(channels.values())


def test_lpienet_costs_what_paper_000_prints(evaluate: Run) -> None:
    needed("tensorflow")
    sizes = ["256x256", "800x800", "1080x1920", "1080x2048", "2160x3840"]
    found = profile(evaluate, "lpienet", *(word for size in sizes for word in ("--input", size)))
    assert found["parameters"] == 133_652
    # Table 6 of "Perceptual Image Enhancement for Smartphone Real-Time Applications", GFLOPs by TensorFlow's profiler.
    printed = [2.45, 23.95, 77.6, 82.8, 310.4]
    assert [c["tf_profiler_flops"] / 1e9 for c in found["inputs"]] == pytest.approx(printed, rel=2.5e-3)
    assert found["inputs"][0]["macs"] == pytest.approx(1.198e9, rel=1e-3)
    assert found["inputs"][1]["macs"] == pytest.approx(11.700e9, rel=1e-3)


def test_srcnn_is_timed_beside_itself_and_shown_on_a_board(evaluate: Run, tmp_path: Path) -> None:
    needed("torch")
    done = evaluate("profile", "srcnn", "--task", "dped", "--input", "64x64", "--runtime", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "69,249 parameters" in done.stdout
    record = json.loads((tmp_path / "leaderboards" / "costs" / "dped" / "srcnn.json").read_text(encoding="utf-8"))
    (timing,) = record["timings"]
    assert timing["reference"] == "srcnn"
    assert 0.2 < timing["ratio"] < 5, "of one model to itself; benchmarks/runtime.py says how near to 1"
    assert timing["failure"] == ""
    assert record["hardware"]["cores"] >= 1


def test_a_size_that_the_file_does_not_take_is_said_and_its_own_is_counted(evaluate: Run, tmp_path: Path) -> None:
    needed("tensorflow", "tflite")
    net = baselines_folder() / "lpienet" / "lpienet.py"
    made = evaluate("export", f"{net}:build", "--input", "32x48", "--out", "fixed.tflite")
    assert made.returncode == 0, made.stderr
    found = profile(evaluate, "fixed.tflite", "--input", "256x256", status=2)
    assert [f["code"] for f in found["findings"] if f["severity"] == "error"] == ["model-shape"]
    assert found["parameters"] == 133_652
    assert [c["input"] for c in found["inputs"]] == [[32, 48]]
    team = tmp_path / "team"
    team.mkdir()
    (tmp_path / "fixed.tflite").rename(team / "fixed.tflite")
    (team / "submission.toml").write_text(
        'kind = "model"\n[model]\nlayout = "NHWC"\nrange = [0, 1]\ntile_overlap = 16\n'
        '[artefacts.quality]\nfile = "fixed.tflite"\n',
        encoding="utf-8",
    )
    tiled = profile(evaluate, "team", "--input", "48x80")
    (counts,) = tiled["inputs"]
    assert counts["passes"] == 4, "two rows of tiles, two columns"
    assert counts["macs"] == 4 * found["inputs"][0]["macs"]


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix])
def test_an_unreadable_model_is_a_finding(evaluate: Run, tmp_path: Path, suffix: str) -> None:
    needed(FORMATS[suffix])
    (tmp_path / f"net{suffix}").write_bytes(b"no model" * 10)
    done = evaluate("profile", f"net{suffix}")
    assert done.returncode == 2
    assert "error [model-" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_operator_of_its_own_is_listed_and_the_rest_counted(evaluate: Run, tmp_path: Path) -> None:
    needed("onnx")
    script = """
import onnx, numpy as np
from onnx import helper as h, numpy_helper as n
nodes = [h.make_node("Conv", ["image", "w"], ["a"], pads=[1] * 4), h.make_node("Magic", ["a"], ["out"], domain="own")]
w = n.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
shape = [1, 3, "h", "w_"]
value = lambda name: h.make_tensor_value_info(name, 1, shape)
graph = h.make_graph(nodes, "g", [value("image")], [value("out")], [w])
onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("own", 1)]), "own.onnx")
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    found = profile(evaluate, "own.onnx", "--input", "10x12")
    (counts,) = found["inputs"]
    assert counts["macs"] == 10 * 12 * 81
    assert not counts["complete"]
    assert ("Magic", "unknown") in [(u["operator"].rpartition(".")[2], u["why"]) for u in counts["uncounted"]]
    assert "cost-uncounted" in [f["code"] for f in found["findings"]]
    assert "≥" in evaluate("profile", "own.onnx", "--input", "10x12").stdout


def test_a_scored_model_has_its_cost_beside_its_scores(evaluate: Run, tmp_path: Path, request: Any) -> None:
    needed("torch", "onnx")
    nets = request.getfixturevalue("torch_nets")
    team = tmp_path / "team"
    team.mkdir()
    for name in ("net.onnx", "net.onnx.data"):
        shutil.copyfile(nets / name, team / name)
    (team / "submission.toml").write_text(
        'kind = "model"\n[model]\nlayout = "NCHW"\nrange = [0, 1]\n[artefacts.quality]\nfile = "net.onnx"\n',
        encoding="utf-8",
    )
    done = evaluate("--task", "dped", "--split", "mini", "team", "--format", "json")
    assert done.returncode == 0, done.stderr
    ranked = evaluate("rank", "--task", "dped", "--split", "mini", "--format", "json")
    (row,) = json.loads(ranked.stdout)["rows"]
    assert row["costs"]["record"]["parameters"] == sum(CONV3)
    again = evaluate("--task", "dped", "--split", "mini", "team")
    assert again.returncode == 0
    assert "MACs" in again.stdout
