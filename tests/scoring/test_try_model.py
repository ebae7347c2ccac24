"""A model tried on one crop before the upload: does it run, do its artefacts agree, does its contract fit?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evaluator.findings import Severity
from evaluator.images import encode_png
from evaluator.runners.sandbox import Level, isolation
from evaluator.scoring import Outcome, check
from model_support import needed

if TYPE_CHECKING:
    from support import Tiny

SHIFT = 40


@pytest.fixture(autouse=True)
def _isolated() -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine: no model is run")


@pytest.fixture
def tried(tiny: Tiny) -> Callable[..., Outcome]:
    """Check a model of the given manifest and files."""

    def run(manifest: str, files: dict[str, bytes | str]) -> Outcome:
        folder = tiny.root / "model"
        folder.mkdir()
        for name, content in {"submission.toml": manifest, **files}.items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        before = sorted(tiny.root.rglob("*"))
        (outcome,) = check([folder], tiny.split)
        assert sorted(tiny.root.rglob("*")) == before, "check wrote something"
        return outcome

    return run


PYTHON = 'kind = "python"\n[python]\nentry = "model:restore"\n'


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return image", None, ""),
        ("return image[:-1]", "size", "24×19"),
        ("return image[:, :, :1]", "gray", "1 channel"),
        ("return image / 0.5", "range", "values from"),
        ("return image * float('nan')", "not-finite", "nan"),
        ("raise ValueError('no such layer')", "run-failed", "no such layer"),
        ("return None", "model-output", "NoneType"),
        ("import os; os._exit(1)", "stopped", "status 1"),
    ],
)
def test_what_code_gives_is_judged_as_a_teams_file_is(tried: Any, body: str, code: str | None, said: str) -> None:
    outcome = tried(PYTHON, {"model.py": f"def restore(image):\n    {body}\n"})
    assert [f.code for f in outcome.findings] == ([code] if code else [])
    for finding in outcome.findings:
        assert said in f"{finding.got}"
        assert "a-1" in finding.file


def onnx_net(*, scale: tuple[float, ...] = (1, 1, 1), shift: float = 0) -> bytes:
    """Return a graph that takes `(1, 3, H, W)` and gives x · scale + shift."""
    needed("onnx")
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    sides = [1, 3, None, None]
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32).reshape(1, 3, 1, 1), "scale"),
        numpy_helper.from_array(np.array(shift, np.float32), "shift"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["input", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "shift"], ["output"]),
        ],
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, sides)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def says(latency: str = "", **model: Any) -> str:
    table = {"layout": "NCHW", "range": [0, 1], **model}
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    more = f'[artefacts.latency]\nfile = "{latency}"\n' if latency else ""
    return "\n".join(['kind = "model"', "[model]", *lines, "[artefacts.quality]", 'file = "net.onnx"', more])


def degrade(tiny: Tiny, degraded: Callable[[Any], Any]) -> None:
    """Make inputs from references, so that what restores them is known."""
    for case, bright in tiny.references.items():
        clean = (bright // 2 + SHIFT + 8).astype(np.uint8)
        (tiny.root / "tiny" / "ref" / f"{case}.png").write_bytes(encode_png(clean))
        (tiny.root / "tiny" / "in" / f"{case}.png").write_bytes(encode_png(degraded(clean)))


def halved_blue(clean: Any) -> Any:
    return np.ascontiguousarray(np.rint(clean * [1, 1, 0.5]).astype(np.uint8))


def darker(clean: Any) -> Any:
    return clean - SHIFT


@pytest.mark.parametrize(
    ("declared", "net", "degraded", "true"),
    [
        ({"colour": "RGB"}, {"scale": (2, 1, 1)}, halved_blue, 'colour = "BGR"'),
        ({"colour": "BGR"}, {"scale": (1, 1, 2)}, halved_blue, 'colour = "RGB"'),
        ({"range": [0, 1]}, {"shift": SHIFT}, darker, "range = [0.0, 255.0]"),
        ({"range": [0, 255]}, {"shift": SHIFT / 255}, darker, "range = [0.0, 1.0]"),
        ({"range": [0, 1]}, {"shift": 2 * SHIFT / 255}, darker, "range = [-1.0, 1.0]"),
    ],
)
def test_a_contract_that_fits_far_better_is_named(  # noqa: PLR0917 - a column each
    tiny: Tiny, tried: Any, declared: Any, net: Any, degraded: Any, true: str
) -> None:
    graph = onnx_net(**net)
    degrade(tiny, degraded)
    outcome = tried(says(**declared), {"net.onnx": graph})
    found = [f for f in outcome.findings if f.code == "contract"]
    assert [f.severity for f in found] == [Severity.WARNING]
    assert true in found[0].got


@pytest.mark.parametrize(
    ("declared", "net", "degraded"),
    [
        ({"colour": "BGR"}, {"scale": (2, 1, 1)}, halved_blue),
        ({"range": [0, 255]}, {"shift": SHIFT}, darker),
        ({}, {}, lambda clean: clean),
    ],
)
def test_a_contract_that_fits_is_not_remarked_on(
    tiny: Tiny, tried: Any, declared: Any, net: Any, degraded: Any
) -> None:
    graph = onnx_net(**net)
    degrade(tiny, degraded)
    assert tried(says(**declared), {"net.onnx": graph}).findings == ()


@pytest.mark.parametrize(("shift", "agree"), [(0.1, True), (0.103, True), (0.2, False)])
def test_artefacts_must_give_the_same(tried: Any, shift: float, agree: bool) -> None:
    files = {"net.onnx": onnx_net(shift=0.1), "fast.onnx": onnx_net(shift=shift)}
    outcome = tried(says(latency="fast.onnx"), files)
    found = [f for f in outcome.findings if f.code == "artefacts-differ"]
    assert [f.file for f in found] == ([] if agree else ["fast.onnx"])
    assert all("20.0 dB" in f.got for f in found)


def test_an_artefact_for_speed_that_does_not_run_is_said(tried: Any) -> None:
    files = {"net.onnx": onnx_net(), "fast.onnx": b"no graph"}
    outcome = tried(says(latency="fast.onnx"), files)
    assert [f.code for f in outcome.findings] == ["model-load"]
