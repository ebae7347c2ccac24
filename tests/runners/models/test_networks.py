"""The networks among the baselines: what they cost, and that the harness can run them."""

from __future__ import annotations

import importlib.util
import tomllib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from evaluator.efficiency.counts import count
from evaluator.images import Pixels
from evaluator.ingest import baselines_folder
from evaluator.ingest.manifest import Manifest
from evaluator.runners.models import load_model

torch = pytest.importorskip("torch", reason="torch is an optional dependency")

from evaluator.runners.models.graphs.torch import module_graph  # noqa: E402

# Measured on the authors' own code by other counters (of DPDNet, by formula from the layers that its code lists).
# Function -> images that it takes, parameters, and billions of multiply-accumulates by height and width.
NETWORKS: dict[str, tuple[int, int, dict[tuple[int, int], float]]] = {
    "nafnet.nafnet:build": (1, 29_159_715, {(256, 256): 16.045}),
    "nafnet.nafnet:build_64": (1, 115_982_915, {(256, 256): 63.236}),
    # With the matrix products; convolutions alone are 140.99 and 141.377.
    "restormer.restormer:build": (1, 26_111_668, {(256, 256): 154.882}),
    "restormer.restormer:build_dual_pixel": (2, 26_132_548, {(256, 256): 155.269, (1120, 1680): 4457.92}),
    "disc-a.disc_a:build": (1, 1_422_883, {(256, 256): 15.213, (800, 800): 148.562}),
    "dpdnet.dpdnet:build": (2, 31_035_151, {(256, 256): 54.833, (720, 1280): 771.085, (1120, 1680): 1574.3}),
    # No code is public: VGG-16's first part (18.837), and the generator of EnlightenGAN, which has the same layers.
    "msfg-lle.msfg_lle:build": (1, 8_636_675 + 9_995_072, {(256, 256): 16.389 + 18.837}),
}
FOLDERS = sorted({name.split(".")[0] for name in NETWORKS})


def module_of(name: str) -> ModuleType:
    folder, _, rest = name.partition(".")
    stem = rest.partition(":")[0]
    spec = importlib.util.spec_from_file_location(f"{stem}_under_test", baselines_folder() / folder / f"{stem}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(name: str) -> Any:
    return getattr(module_of(name), name.partition(":")[2])()


def manifest_of(folder: str) -> Manifest:
    return Manifest.model_validate(tomllib.loads((baselines_folder() / folder / "submission.toml").read_text()))


@pytest.mark.parametrize("name", NETWORKS)
def test_costs(name: str) -> None:
    images, parameters, sizes = NETWORKS[name]
    network = built(name)
    for size, billions in sizes.items():
        graph = module_graph(network, [(1, 3, *size)] * images)
        counts = count(graph, size)
        assert graph.parameters == parameters
        assert counts.macs / 1e9 == pytest.approx(billions, rel=1e-4)
        assert counts.complete
        assert not graph.findings


def test_restormer_without_its_matrix_products() -> None:
    graph = module_graph(built("restormer.restormer:build"), [(1, 3, 256, 256)])
    convolutions = graph.model_copy(update={"ops": tuple(op for op in graph.ops if op.kind == "conv")})
    assert count(convolutions, (256, 256)).macs / 1e9 == pytest.approx(140.99, rel=1e-4)


def test_the_low_light_generator_is_counted_apart_from_the_frozen_features() -> None:
    whole, generator = built("msfg-lle.msfg_lle:build"), built("msfg-lle.msfg_lle:build_generator")
    graph = module_graph(generator, [(1, 3, 256, 256), (1, 1, 256, 256)])
    trained = sum(p.numel() for p in whole.parameters() if p.requires_grad)
    assert graph.parameters == trained == 8_636_675
    assert count(graph, (256, 256)).macs / 1e9 == pytest.approx(16.389, rel=1e-4)
    assert sum(p.numel() for p in whole.attention.parameters()) == 9_995_072


def test_the_low_light_map_is_high_where_an_image_is_dark() -> None:
    attention = built("msfg-lle.msfg_lle:build").attention.eval()
    image = torch.full((1, 3, 32, 32), -1.0)
    image[..., 16:] = 1.0
    with torch.inference_mode():
        plain = attention(image)
        attention.stretched = True
        stretched = attention(image)
    assert plain.shape == (1, 1, 32, 32)
    assert 0.5 <= float(plain.min()) < float(plain.max()) <= 0.7311
    assert torch.allclose(plain[..., 16:], torch.tensor(0.5))
    assert (float(stretched.min()), float(stretched.max())) == (0, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_the_same_at_every_call_and_nobody_elses_numbers_change(name: str) -> None:
    state = torch.random.get_rng_state()
    one, other = built(name), built(name)
    assert torch.equal(torch.random.get_rng_state(), state)
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("size", [(37, 50), (5, 9)])
def test_sizes_that_are_no_multiple(folder: str, size: tuple[int, int]) -> None:
    manifest = manifest_of(folder)
    assert manifest.model is not None
    random = np.random.default_rng(0)
    given = [Pixels(random.integers(0, 256, (*size, 3), dtype=np.uint8), 255.0) for _ in manifest.model.inputs]
    output = load_model(baselines_folder() / folder, manifest).restore(given).output
    assert output.shape == (*size, 3)
    assert output.std() > 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_card_names_what_is_counted(folder: str) -> None:
    card = (baselines_folder() / folder / "README.md").read_text(encoding="utf-8")
    for name, (_, parameters, _) in NETWORKS.items():
        if name.startswith(f"{folder}."):
            assert f"{parameters:,}" in card
    assert "No trained weights ship." in card
