"""NIQE on made images: its parts against plain definitions, its limits, and the compiled path against the exact one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from evaluator.metrics import niqe
from evaluator.metrics.contract import Measured, NotApplicable, Unavailable, Undefined

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def params() -> niqe.Params:
    """A made pristine model: what counts here is agreement, not the value."""
    random = np.random.default_rng(1)
    root = random.normal(size=(36, 80))
    return niqe.Params(random.uniform(0.2, 2, 36), root @ root.T / 80)


def texture(shape: tuple[int, int], seed: int = 0) -> Array:
    """Whole numbers 0 to 255 with structure at several scales."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    smooth = 120 + 60 * np.sin(rows / 17) * np.cos(columns / 23)
    return np.asarray(np.clip(np.rint(smooth + random.laplace(0, 12, shape)), 0, 255))


def with_flat_areas(shape: tuple[int, int]) -> Array:
    image = texture(shape, 5)
    image[:40, :130] = 255
    image[60:, 100:150] = 0
    image[100:140, 30:70] = 77
    image[:, 170:180] = np.arange(shape[0])[:, None] % 256  # a ramp: I − μ is 0 but for round-off
    return image


def test_window_is_a_gaussian_of_sigma_seven_sixths() -> None:
    axis = np.arange(-3, 4)
    expected = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (7 / 6) ** 2))
    np.testing.assert_allclose(niqe.WINDOW, expected / expected.sum(), rtol=0, atol=1e-16)


def test_blur_repeats_the_border() -> None:
    image = texture((20, 31))
    blurred = niqe.blur(image)
    for row, column in ((0, 0), (10, 30), (19, 7), (9, 15)):
        rows = np.clip(np.arange(row - 3, row + 4), 0, 19)
        columns = np.clip(np.arange(column - 3, column + 4), 0, 30)
        assert blurred[row, column] == pytest.approx((image[np.ix_(rows, columns)] * niqe.WINDOW).sum(), abs=1e-10)


def test_half_is_the_stretched_cubic_with_a_mirrored_border() -> None:
    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    size = 24
    matrix = np.zeros((size // 2, size))
    for out in range(size // 2):
        for tap in range(2 * out - 5, 2 * out + 7):
            inside = tap if 0 <= tap < size else (-1 - tap if tap < 0 else 2 * size - 1 - tap)
            matrix[out, inside] += cubic((tap - (2 * out + 0.5)) / 2) / 2
    image = texture((size, size))
    np.testing.assert_array_equal(niqe.half(image), matrix @ image @ matrix.T)


def test_a_constant_stays_constant_at_half_size() -> None:
    np.testing.assert_array_equal(niqe.half(np.full((16, 24), 201.0)), np.full((8, 12), 201.0))


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0])
def test_fit_finds_the_shape_of_a_generalised_gaussian(shape: float) -> None:
    random = np.random.default_rng(3)
    draws = random.gamma(1 / shape, size=400_000) ** (1 / shape) * random.choice([-1, 1], 400_000)
    found, left, right = niqe._fit(draws * 3)
    assert found == pytest.approx(shape, rel=0.02)
    assert (left, right) == (pytest.approx(3, rel=0.02), pytest.approx(3, rel=0.02))


def test_ratios_increase_and_the_grid_is_the_releases() -> None:
    assert (np.diff(niqe.ratios()) > 0).all()
    assert (niqe.SHAPES[0], len(niqe.SHAPES)) == (0.2, 9801)
    assert niqe.SHAPES[-1] == pytest.approx(10)
    assert niqe.ratios()[800] == pytest.approx(special.gamma(2) ** 2 / (special.gamma(1) * special.gamma(3)))


def test_fit_without_negative_values_is_nan_and_the_first_shape() -> None:
    shape, left, right = niqe._fit(np.array([0.0, 1.0, 2.0]))
    assert shape == 0.2
    assert math.isnan(left)
    assert right > 0


def test_distance_leaves_nans_out_as_nanmean_and_nancov_do(params: niqe.Params) -> None:
    features = np.random.default_rng(2).normal(size=(6, 36))
    features[2, 5] = np.nan
    mean = np.array([column[~np.isnan(column)].mean() for column in features.T])
    covariance = np.cov(np.delete(features, 2, axis=0).T)
    apart = params.mean - mean
    expected = math.sqrt(apart @ np.linalg.inv((params.covariance + covariance) / 2) @ apart)
    assert niqe.distance(features, params) == pytest.approx(expected, rel=1e-9)


def test_gray_is_rounded_and_clipped() -> None:
    image = np.array([[[255.0, 255.0, 255.0], [10.0, 200.0, 30.0], [300.0, 300.0, 300.0], [-5.0, -5.0, -5.0]]])
    assert niqe.gray_live(image, 255).tolist() == [[255.0, 124.0, 255.0, 0.0]]
    assert niqe.gray_live(image / 255, 1).tolist() == [[255.0, 124.0, 255.0, 0.0]]
    assert niqe.gray_live(np.array([[[12.25]]]), 255).tolist() == [[12.25]]
    assert niqe.gray_basicsr(image, 255)[0, :2].tolist() == [235.0, 122.0]


def test_peak_only_scales(params: niqe.Params) -> None:
    image = texture((100, 200))[:, :, None].repeat(3, axis=2)
    eight = niqe.niqe_exact(niqe.gray_live(image, 255), params)
    sixteen = niqe.niqe_exact(niqe.gray_live(image * 257, 65535), params)
    assert sixteen == eight


@pytest.mark.parametrize("function", [niqe.niqe_exact, niqe.niqe_basicsr])
def test_what_is_beyond_whole_blocks_does_not_count(
    function: Callable[[NDArray[np.float32], niqe.Params], float], params: niqe.Params
) -> None:
    image = texture((230, 300)).astype(np.float32)
    assert function(image, params) == function(image[:192, :288], params)


@pytest.mark.parametrize("shape", [(95, 400), (96, 191), (191, 191), (20, 20)])
def test_less_than_two_blocks_is_not_applicable(shape: tuple[int, int], params: niqe.Params) -> None:
    with pytest.raises(NotApplicable, match="two whole blocks"):
        niqe.niqe_exact(texture(shape), params)


def test_a_flat_image_has_no_value(params: niqe.Params) -> None:
    for level in (0.0, 128.0, 255.0):
        with pytest.raises(Undefined, match="texture"):
            niqe.niqe_exact(np.full((192, 192), level), params)


def test_other_channels_are_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="channels"):
        niqe.gray_live(np.zeros((192, 192, 4)), 255)


def test_flat_fraction_counts_windows_that_hold_one_value() -> None:
    image = texture((96, 192))
    image[image == 9] = 10
    assert niqe.flat_fraction(image) == 0
    image[20:30, 40:60] = 9  # 4×14 windows lie inside
    image[:10, :10] = 9  # at the border they are smaller: 7×7
    assert niqe.flat_fraction(image) == (4 * 14 + 7 * 7) / (96 * 192)


def test_metrics_publish_the_flat_fraction(monkeypatch: pytest.MonkeyPatch, params: niqe.Params) -> None:
    monkeypatch.setattr(niqe, "load_params", lambda: params)
    image = texture((100, 200))[:, :, None].repeat(3, axis=2)
    for metric in niqe.METRICS:
        measured = metric.measure(image, image, 255)
        assert isinstance(measured, Measured)
        assert set(measured.extra) == set(metric.contract.extra) == {"flat_fraction"}
        assert not metric.contract.reference
        assert metric.contract.direction == "lower"


def test_without_the_parameters_it_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("evaluator.metrics.weights.find_spec", lambda name: None)
    image = texture((100, 200))[:, :, None]
    with pytest.raises(Unavailable, match="niqe_live"):
        niqe.measure_live(image, image, 255)


class TestFast:
    """The compiled path. Its round-off is its own, but never the signs that are counted."""

    @pytest.fixture(autouse=True)
    def _numba(self) -> None:
        pytest.importorskip("numba")

    @pytest.mark.parametrize("shape", [(96, 192), (200, 300), (390, 100)])
    def test_equals_the_exact_path(self, shape: tuple[int, int], params: niqe.Params) -> None:
        from evaluator.metrics.niqe_fast import niqe_fast

        image = texture(shape)
        assert niqe_fast(image, params) == pytest.approx(niqe.niqe_exact(image, params), abs=1e-9)

    def test_equals_the_exact_path_where_it_is_flat(self, params: niqe.Params) -> None:
        from evaluator.metrics.niqe_fast import niqe_fast

        image = with_flat_areas((200, 300))
        assert niqe.flat_fraction(image) > 0.1
        assert niqe_fast(image, params) == pytest.approx(niqe.niqe_exact(image, params), abs=1e-9)

    def test_measures_the_same(self, monkeypatch: pytest.MonkeyPatch, params: niqe.Params) -> None:
        from evaluator.metrics.niqe_fast import measure_live_fast

        monkeypatch.setattr(niqe, "load_params", lambda: params)
        gray = with_flat_areas((200, 300))
        colours = np.stack([gray, np.clip(gray + 20, 0, 255), gray[::-1]], axis=2)
        for image in (colours, gray[:, :, None]):
            for peak in (255.0, 1.0):
                exact = niqe.measure_live(image * (peak / 255), image, peak)
                fast = measure_live_fast(image * (peak / 255), image, peak)
                assert fast.value == pytest.approx(exact.value, abs=1e-9)
                assert fast.extra == exact.extra

    def test_has_the_same_limits(self, params: niqe.Params) -> None:
        from evaluator.metrics.niqe_fast import niqe_fast

        with pytest.raises(Undefined):
            niqe_fast(np.full((192, 192), 9.0), params)
        with pytest.raises(NotApplicable):
            niqe_fast(texture((100, 100)), params)
