"""LPIPS: its contract, with random weights of the right shapes, and the lpips package as oracle."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.metrics import lpips, lpips_net
from evaluator.metrics.contract import Metric, NotApplicable, Unavailable
from evaluator.metrics.weights import KNOWN, Weights

METRICS = {metric.contract.id: metric for metric in lpips.METRICS}
ALEX_IDS = [i for i in METRICS if ".alex." in i]
ALEX_SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def pair(height: int = 70, width: int = 93, seed: int = 5) -> Pair:
    random = np.random.default_rng(seed)
    reference = random.integers(0, 256, (height, width, 3)).astype(np.float64)
    return np.clip(reference + random.integers(-40, 41, reference.shape), 0, 255), reference


def known(path: Path) -> Weights:
    return Weights(path.stem, ((path.name, hashlib.sha256(path.read_bytes()).hexdigest()),), "", "", "test")


@pytest.fixture
def alex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in place of AlexNet's, as `.npz`, and of its heads, as torch saves them."""
    torch = pytest.importorskip("torch", reason="torch is an optional dependency")
    random = np.random.default_rng(0)
    arrays, heads = {}, {}
    for number, (layer, shape) in enumerate(ALEX_SHAPES.items()):
        spread = np.sqrt(2 / np.prod(shape[1:]))
        arrays[f"features.{layer}.weight"] = (random.standard_normal(shape) * spread).astype(np.float32)
        arrays[f"features.{layer}.bias"] = random.standard_normal(shape[0]).astype(np.float32) * 0.1
        heads[f"lin{number}.model.1.weight"] = torch.from_numpy(random.random((1, shape[0], 1, 1), np.float32))
    np.savez(tmp_path / "random_features.npz", **arrays)
    torch.save(heads, tmp_path / "random_heads.pth")
    features, trained = known(tmp_path / "random_features.npz"), known(tmp_path / "random_heads.pth")
    replaced = replace(lpips_net.BACKBONES["alex"], weights=features, heads=trained)
    monkeypatch.setitem(lpips_net.BACKBONES, "alex", replaced)
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    monkeypatch.delenv("EVALUATOR_DEVICE", raising=False)


def prepared_and_compared(metric: Metric, output: Any, reference: Any, peak: float = 255) -> float:
    assert metric.prepare is not None
    assert metric.compare is not None
    value = metric.compare(output, metric.prepare(reference, peak), peak)
    assert isinstance(value, float)
    return value


def test_importing_the_module_does_not_import_torch() -> None:
    code = "import sys, evaluator.metrics.lpips; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("metric", METRICS)
def test_without_torch_it_is_unavailable_and_says_what_to_type(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Unavailable, match=r"needs torch: pip install 'restoration-evaluator\[torch\]'"):
        METRICS[metric].measure(*pair(), 255)


@pytest.mark.parametrize("net", lpips_net.BACKBONES)
def test_without_weights_it_is_unavailable_and_says_what_to_type(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="torch is an optional dependency")
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    name = lpips_net.BACKBONES[net].weights.name
    with pytest.raises(Unavailable, match=f"evaluate weights fetch {name}"):
        METRICS[f"lpips.{net}.v0.1"].measure(*pair(), 255)


def test_a_file_of_the_right_name_and_other_content_is_not_used(tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("torch", reason="torch is an optional dependency")
    for name, _ in lpips_net.BACKBONES["alex"].weights.files:
        (tmp_path / name).write_bytes(b"something else")
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    with pytest.raises(Unavailable, match="evaluate weights fetch"):
        METRICS["lpips.alex.v0.1"].measure(*pair(), 255)


def test_every_file_is_known_to_the_weights_command() -> None:
    for backbone in lpips_net.BACKBONES.values():
        for weights in (backbone.weights, backbone.heads):
            assert KNOWN[weights.name] is weights
            assert weights.url.startswith("https://")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:0", "cuda:99"])
def test_a_device_that_is_not_there_is_unavailable(device: str, alex: None, monkeypatch: Any) -> None:
    monkeypatch.setenv("EVALUATOR_DEVICE", device)
    with pytest.raises(Unavailable, match="EVALUATOR_DEVICE"):
        METRICS["lpips.alex.v0.1"].measure(*pair(), 255)


@pytest.mark.parametrize("metric", ALEX_IDS)
def test_identical_images_give_zero_exactly(metric: str, alex: None) -> None:
    _, reference = pair()
    assert METRICS[metric].measure(reference, reference.copy(), 255) == 0
    assert prepared_and_compared(METRICS[metric], reference, reference.copy()) == 0


@pytest.mark.parametrize("metric", ALEX_IDS)
def test_a_prepared_reference_gives_the_same_digits(metric: str, alex: None) -> None:
    output, reference = pair()
    compared = prepared_and_compared(METRICS[metric], output, reference)
    assert compared > 0
    assert METRICS[metric].measure(output, reference, 255) == compared


@pytest.mark.parametrize("metric", ALEX_IDS)
def test_8_bit_16_bit_and_float_give_the_same_digits(metric: str, alex: None) -> None:
    output, reference = pair()
    value = METRICS[metric].measure(output, reference, 255)
    assert METRICS[metric].measure(output * 257, reference * 257, 65535) == value
    assert METRICS[metric].measure(output / 255, reference / 255, 1) == value


def test_the_published_mistakes_are_made(alex: None) -> None:
    output, reference = pair()
    straight, range01, bgr = (METRICS[i] for i in ALEX_IDS)
    shown = straight.measure(output / 2 + 127.5, reference / 2 + 127.5, 255)
    assert range01.measure(output, reference, 255) == pytest.approx(shown, rel=1e-5)
    assert bgr.measure(output, reference, 255) == straight.measure(output[..., ::-1], reference[..., ::-1], 255)
    assert bgr.measure(output + 0.4, reference - 0.4, 255) == bgr.measure(output, reference, 255)
    assert straight.contract.flaw == ""
    assert range01.contract.flaw
    assert bgr.contract.flaw


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_images_of_other_than_three_channels_are_not_scored(channels: int, alex: None) -> None:
    image = np.zeros((64, 64, channels))
    for metric in ALEX_IDS:
        with pytest.raises(NotApplicable, match="three channels"):
            METRICS[metric].measure(image, image, 255)


def test_threads_give_the_same_digits_as_one(alex: None) -> None:
    metric = METRICS["lpips.alex.v0.1"]
    pairs = [pair(40 + 7 * n, 90 - 5 * n, seed=n) for n in range(8)]
    alone = [metric.measure(output, reference, 255) for output, reference in pairs]
    lpips_net._LOADED.clear()  # so that the threads race to load it, too
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda p: metric.measure(p[0], p[1], 255), pairs * 3))
    assert together == alone * 3


def test_a_scoring_thread_uses_as_many_of_torchs_threads_as_it_was_told(alex: None) -> None:
    # The engine says one: with more, oneDNN splits its sums, and on some processors the last digits move.
    torch = pytest.importorskip("torch")
    metric, (output, reference) = METRICS["lpips.alex.v0.1"], pair(120, 131)
    found = []
    try:
        for count in (1, 2, 3, 1):
            lpips_net.limit_threads(count)
            with ThreadPoolExecutor(1) as pool:
                found.append(pool.submit(metric.measure, output, reference, 255).result())
                assert pool.submit(torch.get_num_threads).result() == count
    finally:
        lpips_net.limit_threads(None)
    assert found[0] == found[3]
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)


def test_the_network_is_loaded_once(alex: None) -> None:
    assert lpips_net.load("alex") is lpips_net.load("alex")


@pytest.mark.parametrize("net", lpips_net.BACKBONES)
def test_it_is_the_lpips_package_on_the_same_weights(net: str, tmp_path: Path, monkeypatch: Any) -> None:
    package = pytest.importorskip("lpips", reason="only an oracle")
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    oracle = package.LPIPS(net=net, pnet_rand=True, verbose=False)  # its own heads, a random backbone
    layers = {f"features.{name.partition('.')[2]}": tensor for name, tensor in oracle.net.state_dict().items()}
    path = tmp_path / f"random_{net}.pth"
    torch.save({**layers, "classifier.1.weight": torch.zeros(2)}, path)
    ours = replace(lpips_net.BACKBONES[net], weights=known(path))
    monkeypatch.setitem(lpips_net.BACKBONES, net, ours)
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    metric, least = METRICS[f"lpips.{net}.v0.1"], ours.minimum_size
    for height, width in ((least, least + 20), (64, 64), (75, 98), (least, least)):
        images = pair(height, width)
        with torch.no_grad():
            fed = [torch.from_numpy(i / 255).float().permute(2, 0, 1)[None] * 2 - 1 for i in images]
            expected = float(oracle(*fed))
        assert metric.measure(*images, 255) == pytest.approx(expected, abs=1e-6, rel=1e-5)

    # The least size is what the layers need, not a rule of ours: the package fails one pixel below it.
    small = pair(least - 1, 64)
    with pytest.raises(NotApplicable, match=f"{least}×{least}"):
        metric.measure(*small, 255)
    with pytest.raises(RuntimeError):
        oracle(*(torch.from_numpy(i).float().permute(2, 0, 1)[None] for i in small))
    assert metric.contract.minimum_size == least
