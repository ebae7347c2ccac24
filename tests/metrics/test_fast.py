"""The compiled metrics give what the plain definitions give, on photographs and on what float32 finds hardest."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

from evaluator import metrics
from evaluator.metrics import State, fast, strips
from evaluator.metrics.fast import IDS, measure_bundle

Array = NDArray[Any]
Pair = tuple[Array, Array]
ERRORS = ("psnr.f64", "mae", "rmse_rel", "rmse_mean")
RNG = np.random.default_rng(7)
SIZE = (176, 201)  # large enough for every metric; odd sides halve in two ways


def photograph(name: str, height: int = SIZE[0], width: int = SIZE[1]) -> NDArray[np.uint8]:
    image = getattr(data, name)()
    image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    reps = -(-height // image.shape[0]), -(-width // image.shape[1]), 1
    return np.ascontiguousarray(np.tile(image, reps)[:height, :width])


def noisy(image: Array, sigma: float) -> Array:
    top = np.iinfo(image.dtype).max
    return np.clip(image + RNG.normal(0, sigma, image.shape), 0, top).astype(image.dtype)


def flat(value: int) -> Array:
    return np.full((*SIZE, 3), value, np.uint8)


def halves(left: int, right: int, at: int = 58) -> Array:
    image = flat(left)
    image[:, at:] = right
    return image


def checkers(period: int, top: int = 255) -> Array:
    rows, columns = np.indices(SIZE)
    return ((rows // period + columns // period) % 2 * top).astype(np.uint8)[:, :, None].repeat(3, axis=2)


def one_pixel(image: Array) -> Array:
    image = image.copy()
    image[90, 80, 1] ^= 64
    return image


def pairs() -> Iterator[tuple[str, Pair]]:
    for name in ("astronaut", "page", "chelsea"):
        image = photograph(name)
        for sigma in (1, 3, 10, 25, 50):
            yield f"{name}, noise {sigma}", (noisy(image, sigma), image)
        binary = np.where(image > 128, np.uint8(255), np.uint8(0))
        yield f"{name}, blurred", (ndimage.gaussian_filter(image, (2, 2, 0)), image)
        yield f"{name}, binary", (binary, image)
        yield f"{name}, binary, shifted", (np.roll(binary, 1, axis=1), binary)
        yield f"{name}, saturated", (np.clip(image * 3.0, 0, 255).astype(np.uint8), image)
        yield f"{name}, offset", (np.clip(image + 30.0, 0, 255).astype(np.uint8), image)
        yield f"{name}, inverted", (255 - image, image)
        yield f"{name}, dark", (image // 20, image // 16)
        yield f"{name}, one pixel", (one_pixel(image), image)
    for values in ((200, 100), (0, 255), (255, 0), (1, 0), (255, 254)):
        yield f"flat {values}", (flat(values[0]), flat(values[1]))
    for period in (1, 2, 16, 40):
        image = checkers(period)
        yield f"checkers {period}, flat reference", (image, flat(127))
        yield f"checkers {period}, bright reference", (image, flat(200))
        yield f"checkers {period}, shifted", (image, np.roll(image, 1, axis=0))
        yield f"checkers {period}, inverted", (255 - image, image)
        yield f"checkers {period}, faint", (checkers(period, 5), flat(2))
    for left, right in ((155, 100), (250, 3), (5, 250), (254, 17), (240, 0)):
        for at in (37, 58, 100):
            output = halves(left, right, at)
            yield f"halves {left} {right} at {at}", (output, halves(255, 0, at))
            output[::2] = np.minimum(output[::2], 252) + 3
            yield f"halves {left} {right} at {at}, striped", (output, halves(255, 0, at))
    yield "random", (RNG.integers(0, 256, (*SIZE, 3), np.uint8), RNG.integers(0, 256, (*SIZE, 3), np.uint8))
    coarse = np.kron(RNG.integers(0, 256, (20, 23)), np.ones((9, 9)))[: SIZE[0], : SIZE[1], None].repeat(3, axis=2)
    yield "coarse", ((coarse // 8 * 8).astype(np.uint8), coarse.astype(np.uint8))


PAIRS = dict(pairs())


def plain(metric: str, output: Array, reference: Array, peak: float) -> float | None:
    """Return the value of the plain definition, None where it has none."""
    score = metrics.evaluate(metric, output=output.astype(float), reference=reference.astype(float), peak=peak)
    return math.inf if score.state is State.INFINITE else score.value


def check(output: Array, reference: Array, peak: float) -> None:
    found = measure_bundle(output, reference, peak)
    for metric in IDS:
        wanted = plain(metric, output, reference, peak)
        if metric not in found:
            # Left to the plain definition: MS-SSIM around zero, and what it does not define either.
            assert wanted is None or (metric.startswith("ms_ssim") and wanted < 0.1), metric
        elif metric in ERRORS:
            assert found[metric] == pytest.approx(wanted, rel=1e-12), metric
        else:
            assert found[metric] == pytest.approx(wanted, abs=1e-6, rel=0), metric


def deep(image: Array) -> Array:
    """16 bit, full range, with something in the low bytes."""
    return np.asarray(np.clip(image * 257.0 + RNG.integers(-128, 129, image.shape), 0, 65535).astype(np.uint16))


SCALES: dict[str, Callable[[Array], Array]] = {
    "8 bit": lambda image: image,
    "16 bit": deep,
    "16 bit, times 257": lambda image: image.astype(np.uint16) * np.uint16(257),
    "16 bit, low values": lambda image: image.astype(np.uint16),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PAIRS)
def test_values_are_those_of_the_plain_definitions(name: str, scale: str) -> None:
    output, reference = (SCALES[scale](image) for image in PAIRS[name])
    check(output, reference, float(np.iinfo(output.dtype).max))


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    sigma=st.sampled_from([0.001, 0.01, 0.1, 1]),
    seed=st.integers(0, 2**31),
)
def test_every_size(*, height: int, width: int, channels: int, dtype: Any, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    reference = rng.integers(0, top, (height, width, channels), dtype, endpoint=True)
    output = np.clip(reference + rng.normal(0, sigma * top, reference.shape), 0, top).astype(dtype)
    check(output, reference, float(top))


@pytest.mark.parametrize("shape", [(11, 2000), (2000, 11), (13, 400), (161, 161), (161, 162), (257, 331), (100, 100)])
def test_strips_and_edges_of_tiles(shape: tuple[int, int]) -> None:
    reference = photograph("astronaut", *shape)
    check(noisy(reference, 8), reference, 255.0)


@settings(deadline=None, max_examples=60)
@given(
    levels=st.lists(st.integers(0, 255), min_size=4, max_size=4),
    at=st.integers(10, 128),
    period=st.integers(1, 6),
    swings=st.tuples(st.sampled_from([0, 1, 2, 3, 10, 30]), st.sampled_from([0, 1, 2, 3, 10, 30])),
    deeper=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_steps_with_periodic_texture(
    *, levels: list[int], at: int, period: int, swings: tuple[int, int], deeper: bool, seed: int
) -> None:
    """Every window of a period rounds alike here, so that errors add up instead of cancelling."""
    rng = np.random.default_rng(seed)
    images = []
    for (left, right), swing in zip((levels[:2], levels[2:]), swings, strict=True):
        step = np.where(np.arange(138) < at, left, right)
        texture = np.tile(rng.integers(-swing, swing + 1, (period, period)), (138 // period + 1, 138 // period + 1))
        image = np.clip(step + texture[:42, :138], 0, 255)[:, :, None]
        images.append(image.astype(np.uint16) * np.uint16(257) if deeper else image.astype(np.uint8))
    check(*images, peak=65535.0 if deeper else 255.0)


def test_identical_images_score_exactly() -> None:
    image = photograph("astronaut")
    perfect = dict.fromkeys(IDS, 1.0) | {"psnr.f64": math.inf, "mae": 0.0, "rmse_rel": math.inf, "rmse_mean": 0.0}
    assert measure_bundle(image, image.copy(), 255.0) == perfect


def test_only_what_is_wanted_and_defined_is_returned() -> None:
    image = photograph("chelsea", 10, 12)
    assert set(measure_bundle(noisy(image, 5), image, 255.0)) == {
        *ERRORS,
        "ssim.sk_u7",
        "ssim.matlab3d",
        "ms_ssim.pirm",
    }
    assert set(measure_bundle(image, image, 255.0)) == {*ERRORS, "ssim.sk_u7", "ssim.matlab3d", "ms_ssim.pirm"}
    large = photograph("chelsea")
    assert list(measure_bundle(noisy(large, 5), large, 255.0, ids=["mae", "ms_ssim.common"])) == [
        "mae",
        "ms_ssim.common",
    ]


def test_what_is_kept_of_a_reference_serves_its_other_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, kept = photograph("astronaut"), dict[Any, Any]()
    for sigma in (5, 20):
        output = noisy(reference, sigma)
        wanted = plain("ssim.matlab3d", output, reference, 255.0)
        assert measure_bundle(output, reference, 255.0, kept=kept)["ssim.matlab3d"] == pytest.approx(wanted, abs=1e-12)
    assert len(kept) == 1
    (name,) = kept
    monkeypatch.setitem(kept, name, np.zeros_like(kept[name]))
    assert measure_bundle(output, reference, 255.0, kept=kept)["ssim.matlab3d"] != pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 7), (41, 60), (200, 330)])
def test_moments_of_large_references_are_not_kept(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    reference, kept = photograph("chelsea", *shape), dict[Any, Any]()
    output = noisy(reference, 9)
    wanted = plain("ssim.matlab3d", output, reference, 255.0)
    monkeypatch.setattr(fast, "KEPT", 0)
    monkeypatch.setattr(strips, "_STRIP", 640)
    assert measure_bundle(output, reference, 255.0, kept=kept)["ssim.matlab3d"] == pytest.approx(wanted, abs=1e-12)
    assert not kept


def test_negative_means_are_left_to_the_plain_definition() -> None:
    image = photograph("chelsea")
    assert plain("ms_ssim.pirm", 255 - image, image, 255.0) is None
    assert "ms_ssim.pirm" not in measure_bundle(255 - image, image, 255.0)


def test_arrays_of_any_layout_are_taken() -> None:
    output, reference = PAIRS["astronaut, noise 10"]
    wanted = measure_bundle(output, reference, 255.0)
    turned = [np.asfortranarray(image) for image in (output, reference)]
    locked = output.copy()
    locked.flags.writeable = False
    assert measure_bundle(*turned, 255.0) == wanted
    assert measure_bundle(locked, reference, 255.0) == wanted
    assert locked.flags.writeable is False
    assert output.flags.writeable is True


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        (flat(1), flat(1)[:-1]),
        (flat(1), flat(1).astype(np.uint16)),
        (flat(1).astype(float), flat(1).astype(float)),
        (flat(1)[:, :, 0], flat(1)[:, :, 0]),
        (flat(1)[:0], flat(1)[:0]),
    ],
)
def test_what_is_no_pair_is_refused(output: Array, reference: Array) -> None:
    with pytest.raises(ValueError, match="needed"):
        measure_bundle(output, reference, 255.0)


def test_unknown_ids_are_refused() -> None:
    with pytest.raises(ValueError, match=r"niqe"):
        measure_bundle(flat(1), flat(2), 255.0, ids=["niqe"])


def test_the_worst_tiles_are_computed_again_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that, the errors of a tile of flat parts would show."""
    output, reference = halves(5, 250)[:42, :138], halves(255, 0)[:42, :138]
    wanted = plain("ssim.basicsr", output, reference, 255.0)
    monkeypatch.setattr(fast, "_TOLERANCE", math.inf)
    assert measure_bundle(output, reference, 255.0)["ssim.basicsr"] != pytest.approx(wanted, abs=1e-9, rel=0)
    monkeypatch.setattr(fast, "_TOLERANCE", 0.0)
    assert measure_bundle(output, reference, 255.0)["ssim.basicsr"] == pytest.approx(wanted, abs=1e-11, rel=0)


def test_importing_the_module_compiles_nothing() -> None:
    code = (
        "import evaluator.metrics.fast, evaluator.metrics.fast_kernels as f\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "print([k.__name__ for k in vars(f).values() if isinstance(k, Dispatcher) and k.signatures])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
