"""Camera shake: paths with inertia, kernels that keep the light and do not shift the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from evaluator.tasks.mini import light, motion
from evaluator.tasks.mini.photographs import crops


@pytest.mark.parametrize("extent", motion.EXTENTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_path_has_its_extent_its_centre_and_inertia(extent: int, seed: int) -> None:
    places = motion.trajectory(extent, np.random.RandomState(seed))
    assert np.ptp(places, axis=0).max() == pytest.approx(extent, abs=0.01)
    assert np.abs(places.mean(axis=0)).max() < 0.01
    steps = np.diff(places, axis=0)
    # A walk without inertia turns as often as not: the cosine between successive steps would average 0.
    turn = (steps[1:] * steps[:-1]).sum(axis=1) / (np.hypot(*steps[1:].T) * np.hypot(*steps[:-1].T) + 1e-12)
    assert np.mean(turn) > 0.8


@pytest.mark.parametrize("seed", range(5))
def test_kernel_keeps_the_light_and_its_centre(seed: int) -> None:
    places = motion.trajectory(17, np.random.RandomState(seed))
    kernel = motion.shake(places)
    assert kernel.sum() == light.SUM
    assert kernel.min() >= 0
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    reach = kernel.shape[0] // 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    assert abs((kernel * rows).sum() / light.SUM) < 0.02
    assert abs((kernel * columns).sum() / light.SUM) < 0.02
    filled = np.argwhere(kernel)
    assert 17 <= np.ptp(filled, axis=0).max() <= 19


def test_a_place_between_pixels_is_shared_between_them() -> None:
    kernel = motion.shake(np.array([[0.25, -0.5]]))
    wanted = np.zeros((3, 3))
    wanted[1:, :2] = [[0.375, 0.375], [0.125, 0.125]]
    assert np.array_equal(kernel / light.SUM, wanted)


def test_standing_still_changes_nothing() -> None:
    kernel = motion.shake(np.zeros((4, 2)))
    assert kernel.tolist() == [[light.SUM]]


def test_longer_paths_blur_more() -> None:
    scene = light.to_light(crops(24)["motorcycle-1"])
    contrasts = []
    for extent in (0.5, *motion.EXTENTS):
        kernel = motion.shake(motion.trajectory(extent, np.random.RandomState(6)))
        contrasts.append(light.blurred(scene, kernel).std())
    assert contrasts == sorted(contrasts, reverse=True)
    assert contrasts[-1] < 0.9 * contrasts[0]


def test_pictures_are_the_crops_under_a_kernel_of_their_extent() -> None:
    plain = crops()
    for number, case in enumerate(motion.generate()):
        assert np.array_equal(case.reference, plain[case.case])
        # The random stream is spent on the path first, so that the picture can be made again beside it.
        random = np.random.RandomState(20170721 + number)
        kernel = motion.shake(motion.trajectory(motion.EXTENTS[number % 4], random))
        wide = light.to_light(crops(len(kernel) // 2)[case.case]) / light.WHITE
        wanted = cv2.filter2D(wide, cv2.CV_64F, kernel[::-1, ::-1] / light.SUM)
        inner = wanted[len(kernel) // 2 : -(len(kernel) // 2), len(kernel) // 2 : -(len(kernel) // 2)]
        error = light.srgb_to_linear(case.inputs["input"] / 255.0) - inner
        assert abs(error.mean()) < 5e-4
        assert error.std() < 0.01
