"""Under a display: the spread is a diffraction pattern, is really applied, and the light stays in its range."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from evaluator.tasks.mini import display, light
from evaluator.tasks.mini.made import Made


@pytest.fixture
def cases(made: Callable[[str], tuple[Made, ...]]) -> tuple[Made, ...]:
    return made("display_psf")


@pytest.mark.parametrize("grid", display.DISPLAYS)
def test_spread_is_positive_symmetric_and_sums_to_one(grid: display.Display) -> None:
    psf = display.point_spread(grid)
    assert (psf.shape, psf.dtype) == ((65, 65, 1), np.float32)
    assert psf.min() >= 0
    assert float(psf.sum(dtype=np.float64)) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(psf, psf[::-1, ::-1])
    assert psf.argmax() == 65 * 32 + 32
    assert 0.4 < psf.max() < 0.7


@pytest.mark.parametrize("grid", display.DISPLAYS)
def test_spread_has_orders_at_the_grids_period_and_long_tails(grid: display.Display) -> None:
    psf = display.point_spread(grid)[:, :, 0].astype(float)
    for period, line in ((grid.period[0], psf[32:, 32]), (grid.period[1], psf[32, 32:])):
        middle = round(period / 2)
        first = middle + int(line[middle : round(1.5 * period)].argmax())
        assert abs(first - period) <= 1
        assert line[first] > 2 * line[middle]
    assert psf[:, 32][:8].sum() > 0
    rows, columns = np.mgrid[-32:33, -32:33]
    assert psf[np.hypot(rows, columns) > 10].sum() > 0.05


def test_wider_openings_keep_more_light_in_the_middle() -> None:
    # An opening of the whole display pixel is no grid at all: only the order 0 is left.
    middles = [display.point_spread(display.Display((6, 6), (o, o), 0.5)).max() for o in (0.5, 0.7, 0.9, 1.0)]
    assert middles == sorted(middles)
    closed, half = (display.factors(display.Display((6, 6), (o, o), 0.01))[2][1][0] for o in (1.0, 0.5))
    assert closed.tolist() == [0] * 32 + [closed.sum()] + [0] * 32
    # sinc²(½) = 4/π² in the first order, nothing in the second.
    assert half[38] / half[32] == pytest.approx(4 / np.pi**2, rel=1e-3)
    assert half[44] == 0


def test_a_point_of_light_becomes_the_spread() -> None:
    point = np.zeros((129, 129, 1), np.int64)
    point[64, 64] = 100 << 17
    for grid in display.DISPLAYS:
        seen = display.seen_through(point, grid) / (100 << 17)
        assert np.abs(seen - display.point_spread(grid)).max() < 1e-7


def test_spread_that_is_handed_out_is_the_one_applied() -> None:
    source = np.random.RandomState(1).randint(0, 500 << 17, (96, 96, 3)).astype(np.int64)
    seen = display.seen_through(source, display.DISPLAYS[1])
    psf = display.point_spread(display.DISPLAYS[1])[:, :, 0].astype(np.float64)
    wanted = cv2.filter2D(source.astype(np.float64), cv2.CV_64F, psf[::-1, ::-1])[32:-32, 32:-32]
    assert np.abs(seen / wanted - 1).max() < 1e-5


def test_exact_route_agrees_with_whole_numbers_of_any_length() -> None:
    source = np.random.RandomState(2).randint(0, 500 << 17, (66, 65, 1)).astype(np.int64)
    pairs = display.factors(display.DISPLAYS[2])
    kernel = sum(column.astype(object) * row.astype(object) for column, row in pairs)
    total = [int((kernel[::-1, ::-1] * source[r : r + 65, :, 0].astype(object)).sum()) for r in (0, 1)]
    by = int(kernel.sum())
    assert display.seen_through(source, display.DISPLAYS[2]).ravel().tolist() == [(t + by // 2) // by for t in total]


def test_only_white_highlights_are_made_brighter() -> None:
    colours = np.array([[[255, 255, 255], [255, 0, 0], [210, 210, 210], [235, 240, 250]]], np.uint8)
    light_of = display.bright(colours, 40) / (1 << 17)
    plain = light.srgb_to_linear(colours / 255.0)
    assert light_of[0, 0] == pytest.approx([40, 40, 40], rel=1e-3)
    assert light_of[0, 1:3] == pytest.approx(plain[0, 1:3], abs=1e-4)
    gain = light_of[0, 3] / plain[0, 3]
    assert gain == pytest.approx([1 + 39 * (20 / 40) ** 4] * 3, rel=1e-3)
    assert display.bright(colours, 600).max() == 500 << 17


def test_light_stays_between_black_and_the_sensors_limit(cases: tuple[Made, ...]) -> None:
    peaks = []
    for case in cases:
        assert case.reference is not None
        for image in (case.inputs["input"], case.reference):
            assert np.isfinite(image.astype(float)).all()
            assert image.min() >= 0
            assert image.max() <= 500
        peaks.append(float(case.reference.max()))
    assert max(peaks) == 500
    assert min(peaks) >= 1


def test_input_is_worse_than_the_truth_but_not_lost(cases: tuple[Made, ...]) -> None:
    values = []
    for case in cases:
        assert case.reference is not None
        one, other = (image / (image + 0.25) for image in (case.inputs["input"].astype(float), case.reference))
        values.append(-10 * np.log10(np.mean((one - other) ** 2)))
    assert 18 < np.mean(values) < 30
    assert min(values) > 12


def test_all_displays_are_used(cases: tuple[Made, ...]) -> None:
    assert len({case.inputs["psf"].tobytes() for case in cases}) == len(display.DISPLAYS)
