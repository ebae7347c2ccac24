"""The networks among the baselines: what they cost, and that the harness can run them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.efficiency.counts import count
from evaluator.images import Pixels
from evaluator.ingest import baseline_files, baseline_manifest, baseline_names, baselines_folder
from evaluator.runners.models import load_model
from evaluator.runners.models.contract import Restorer
from evaluator.runners.models.cost import describe
from evaluator.runners.models.problem import ModelProblem
from evaluator.runners.models.python import import_entry

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
    # With the products of features and their neighbourhoods. Large is the authors' code; that of the others is theirs
    # with the settings whose numbers are the printed ones.
    "k3dn.k3dn:build": (2, 15_915_030, {(1120, 1680): 3352.22}),  # resized to 1152×1792
    "k3dn.k3dn:build_lightweight": (2, 4_973_254, {(1152, 1792): 1033.8}),
    "k3dn.k3dn:build_tiny": (2, 3_040_358, {(1152, 1792): 571.14}),
    # No code is public: VGG-16's first part (18.837), and the generator of EnlightenGAN, which has the same layers.
    "msfg-lle.msfg_lle:build": (1, 8_636_675 + 9_995_072, {(256, 256): 16.389 + 18.837}),
}
FOLDERS = sorted({name.split(".")[0] for name in NETWORKS})


def built(name: str) -> Any:
    """Return what a function gives: FOLDER.MODULE:FUNCTION."""
    folder, _, entry = name.partition(".")
    return import_entry(baselines_folder() / folder, entry, "[network]")()


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


def test_the_small_low_light_network_has_a_quarter_of_the_channels_and_no_vgg() -> None:
    small = built("msfg-lle.msfg_lle:build_small")
    widths, counted, taken = (8, 16, 32, 64, 128), 0, 4
    for given in widths:  # down: two convolutions each, and their norms
        counted += 9 * given * (taken + given) + 6 * given
        taken = given
    for given in widths[-2::-1]:  # up: one to halve the channels, then two
        counted += 9 * 2 * given * given + given + 9 * given * 3 * given + 6 * given
    counted += -2 * 8 + 8 * 3 + 3  # the last norm is left out
    assert sum(p.numel() for p in small.parameters()) == counted
    assert all(name.startswith("generator.") for name in small.state_dict())
    gradients, image = small.attention.gradients, torch.full((1, 3, 64, 64), 0.5)
    assert float(gradients(image).max()) == 0
    image[..., 40:] = 0.1
    found = gradients(image)
    assert found.shape == (1, 3, 4, 4)
    assert float(found[..., 2].min()) > 0 == float(found[..., 0].max())
    assert torch.allclose(gradients(image * 0.5), found, rtol=0.2)  # as strong in half the light


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


def k3dn(name: str, entry: str) -> Any:
    """Return a function of one of K3DN's modules."""
    return import_entry(baselines_folder() / "k3dn", f"{name}:{entry}", "[network]")


def test_k3dn_has_constant_kernels_once_it_is_trained() -> None:
    # The authors' code: 16.099 M while it is trained.
    assert sum(p.numel() for p in built("k3dn.k3dn:build_training").parameters()) == 15_915_030 + 8 * 192 * 10 * 6 * 2
    assert not any(p.is_complex() for p in built("k3dn.k3dn:build_tiny").buffers())


def test_k3dn_compares_features_with_those_around_them(monkeypatch: pytest.MonkeyPatch) -> None:
    products = k3dn("k3dn", "near_products")
    query, key = torch.rand(2, 3, 13, 11), torch.rand(2, 3, 13, 11)
    found = products(query, key)
    for row, column, dy, dx in ((6, 5, 0, 0), (6, 5, -4, 3), (0, 0, 4, 4), (12, 10, -2, -4), (0, 0, -1, 0)):
        y, x = row + dy, column + dx
        inside = 0 <= y < 13 and 0 <= x < 11
        wanted = (query[:, :, row, column] * key[:, :, y, x]).sum(1) if inside else torch.zeros(2)
        assert torch.allclose(found[:, (dy + 4) * 9 + dx + 4, row, column], wanted, atol=1e-5)
    monkeypatch.setitem(products.__globals__, "_AT_ONCE", 1)
    assert torch.allclose(products(query, key), found, atol=1e-5)


@pytest.mark.parametrize("size", [(13, 11), (5, 16), (9, 35)])
def test_k3dn_compares_alike_in_training(size: tuple[int, int]) -> None:
    plain, banded = k3dn("k3dn", "near_products"), k3dn("k3dn", "banded_products")
    query, key = (torch.rand(2, 3, *size, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weight = torch.rand(2, 81, *size, dtype=torch.float64)
    found, wanted = banded(query, key), plain(query, key)
    assert torch.allclose(found, wanted, rtol=1e-12)
    slopes = [torch.autograd.grad((products * weight).sum(), (query, key)) for products in (found, wanted)]
    assert all(torch.allclose(one, other, rtol=1e-12) for one, other in zip(*slopes, strict=True))


def test_k3dn_fits_small_crops_in_training_and_the_papers_sizes_after() -> None:
    network = k3dn("k3dn", "build_tiny_training")().eval()
    seen: list[tuple[int, ...]] = []
    network.last.register_forward_hook(lambda module, taken, given: seen.append(tuple(given.shape[-2:])))
    with torch.inference_mode():
        for crop in (96, 128):
            network(*torch.rand(2, 1, 3, crop, crop) - 0.5)
        network.freeze()(*torch.rand(2, 1, 3, 128, 128) - 0.5)
    assert seen == [(144, 112), (144, 224), (288, 224)]


def test_k3dn_kernels_are_symmetric_and_of_length_one() -> None:
    torch.manual_seed(1)
    kernels = k3dn("k3dn_psf", "Kernels")(6)
    trained = [kernels(reblur=reblur).detach() for reblur in (False, True)]
    kernels.freeze()
    for found, frozen in zip(trained, [kernels(reblur=reblur) for reblur in (False, True)], strict=True):
        assert found.shape == (6, 1, 9, 9)
        assert torch.equal(found, found.flip(-1))
        assert torch.allclose(found.flatten(1).norm(dim=1), torch.ones(6), atol=1e-5)
        assert torch.equal(found, frozen)
    assert not torch.allclose(*trained)


def test_k3dn_mixing_of_channels_can_be_undone() -> None:
    torch.manual_seed(1)
    mixing, features = k3dn("k3dn_psf", "Mixing")(6), torch.rand(2, 6, 4, 5)
    with torch.no_grad():
        matrix = mixing.matrix()
        assert torch.allclose(matrix @ matrix.T, torch.eye(6), atol=1e-5)
        mixing.size += 0.1
        assert torch.allclose(mixing(mixing(features), inverse=True), features, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_is_the_same_at_every_call_and_nobody_elses_numbers_change(name: str) -> None:
    state = torch.random.get_rng_state()
    one, other = built(name), built(name)
    assert torch.equal(torch.random.get_rng_state(), state)
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def restorer(name: str, folder: Path) -> tuple[Restorer, int]:
    """Return a baseline's network with fresh weights, its files put together in a folder, and its number of inputs."""
    for file, path in baseline_files(name).items():
        shutil.copyfile(path, folder / file)
    manifest = baseline_manifest(name)
    assert manifest.model is not None
    return load_model(folder, manifest), len(manifest.model.inputs)


def pictures(count: int, *shape: int) -> list[Pixels]:
    random = np.random.default_rng(0)
    return [Pixels(random.integers(0, 256, shape, dtype=np.uint8), 255.0) for _ in range(count)]


ALL = [name for name in baseline_names() if not baseline_manifest(name).has_weights]
OF_TORCH = [name for name in ALL if baseline_manifest(name).model.layout == "NCHW"]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", OF_TORCH)
@pytest.mark.parametrize("size", [(37, 50), (1, 2), pytest.param((5, 9), marks=pytest.mark.slow)])
def test_sizes_that_are_no_multiple(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    network, inputs = restorer(name, tmp_path)
    output = network.restore(pictures(inputs, *size, 3)).output
    assert output.shape == (*size, 3)
    assert np.isfinite(output).all()
    assert output.std() > 0


@pytest.mark.parametrize("name", OF_TORCH)
def test_other_channels_and_other_numbers_of_images_are_said(tmp_path: Path, name: str) -> None:
    network, inputs = restorer(name, tmp_path)
    with pytest.raises(ModelProblem) as problem:
        network.restore(pictures(inputs, 32, 32, 1))
    assert problem.value.code == "run-failed"
    assert "32×32" in problem.value.expected
    with pytest.raises(ModelProblem) as problem:
        network.restore(pictures(inputs + 1, 32, 32, 3))
    assert problem.value.code == "model-shape"
    assert str(inputs + 1) in problem.value.got


@pytest.mark.parametrize("name", ["nafnet.nafnet:build", "dpdnet.dpdnet:build", "restormer.restormer:build_dual_pixel"])
def test_a_lone_network_says_what_it_takes(name: str) -> None:
    folder, _, entry = name.partition(".")
    table = describe(baselines_folder() / folder, None, entry)
    assert table["layout"] == "NCHW"
    assert list(table.get("inputs", ["input"])) == (["input"] if NETWORKS[name][0] == 1 else ["left", "right"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_card_names_what_is_counted(folder: str) -> None:
    card = (baselines_folder() / folder / "README.md").read_text(encoding="utf-8")
    for name, (_, parameters, _) in NETWORKS.items():
        if name.startswith(f"{folder}."):
            assert f"{parameters:,}" in card
