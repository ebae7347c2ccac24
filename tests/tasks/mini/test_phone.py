"""A phone's rendering: duller, softer, darker in the corners, and with JPEG's blocks."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from evaluator.tasks.mini import light, phone
from evaluator.tasks.mini.made import Made
from evaluator.tasks.mini.photographs import photograph


@pytest.fixture
def cases(made: Callable[[str], tuple[Made, ...]]) -> tuple[Made, ...]:
    return made("phone_to_dslr")


def saturation(image: np.ndarray) -> float:
    return float((image.max(axis=2).astype(float) - image.min(axis=2)).mean())


def test_loss_is_that_of_a_real_codec() -> None:
    # Quality 50 of libjpeg is annex K's tables as they stand.
    image = photograph("coffee")[:400, :600]
    options = [cv2.IMWRITE_JPEG_QUALITY, 50, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    coded = cv2.imencode(".jpg", image[:, :, ::-1], options)[1]
    wanted = cv2.imdecode(coded, cv2.IMREAD_COLOR)[:, :, ::-1]
    got = phone.compressed(image, 100)
    difference = np.abs(got.astype(int) - wanted)
    assert difference.mean() < 0.4
    assert np.abs(got.astype(int) - image).mean() > 5 * difference.mean()


@pytest.mark.parametrize("level", [0, 1, 100, 254, 255])
def test_flat_gray_survives_compression(level: int) -> None:
    image = np.full((16, 24, 3), level, np.uint8)
    assert np.abs(phone.compressed(image, 20).astype(int) - level).max() <= 1


def test_finer_steps_lose_less() -> None:
    image = photograph("chelsea")[:296, :448]
    errors = [np.square(phone.compressed(image, p).astype(float) - image).mean() for p in (5, 30, 100, 300)]
    assert errors == sorted(errors)


def test_patches_are_those_of_the_photograph(cases: tuple[Made, ...]) -> None:
    whole = photograph("astronaut")
    assert cases[3].case == "astronaut-3"
    assert np.array_equal(cases[3].reference, whole[331:431, 331:431])


def test_phone_is_duller_and_softer_and_lies_on_the_same_place(cases: tuple[Made, ...]) -> None:
    dull, soft = [], []
    for case in cases:
        assert case.reference is not None
        image, truth = case.inputs["input"], case.reference
        dull.append(saturation(image) / saturation(truth))
        soft.append(
            np.abs(np.diff(image.astype(float), axis=0)).mean() / np.abs(np.diff(truth.astype(float), axis=0)).mean()
        )
        # Registered: any shift by one pixel or more fits worse than none.
        one, other = (cv2.GaussianBlur(i.mean(axis=2), (0, 0), 1) for i in (image, truth))
        fits = {
            (dy, dx): np.corrcoef(one[3:-3, 3:-3].ravel(), np.roll(other, (dy, dx), (0, 1))[3:-3, 3:-3].ravel())[0, 1]
            for dy in (-2, -1, 0, 1, 2)
            for dx in (-2, -1, 0, 1, 2)
        }
        assert max(fits, key=lambda shift: fits[shift]) == (0, 0), case.case
    assert np.mean(dull) < 0.9
    assert np.mean(soft) < 0.85


def test_corners_get_half_the_light() -> None:
    gray = np.full((124, 124, 3), 150, np.uint8)
    near, far = (phone.degrade(gray, np.full((124, 124, 1), a, np.int64), 0).astype(float) for a in (0, 4096))
    ratio = light.srgb_to_linear(far.mean(axis=(0, 1)) / 255) / light.srgb_to_linear(near.mean(axis=(0, 1)) / 255)
    # Stray light adds a little to both.
    assert ratio == pytest.approx([0.5] * 3, abs=0.04)
