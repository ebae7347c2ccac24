"""Photographs, and the batches that are drawn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.tasks import load_task
from evaluator.tasks.mini import dark, display, dual_pixel, motion, noise, phone
from evaluator.tasks.mini.light import srgb_to_linear, to_light
from evaluator.tasks.mini.photographs import crops
from evaluator.training.degradations import DEGRADATIONS, Degradation, degradation_of
from evaluator.training.depth import scene_disparity
from evaluator.training.sampling import Photographs, Sampler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photographs of 40×36 px, each of its own level, and a file that is none."""
    random = np.random.default_rng(1)
    for number in range(12):
        image = random.integers(number * 10, number * 10 + 9, (40, 36, 3), dtype=np.uint8)
        (tmp_path / f"{number:02}.png").write_bytes(encode_png(image))
    (tmp_path / "terms.txt").write_text("none")
    return tmp_path


def test_every_tenth_photograph_is_held_out(folder: Path) -> None:
    found = Photographs(folder, 30)
    assert [int(image.min()) // 10 for image in found.held_out] == [0, 10]
    assert [int(image.min()) // 10 for image in found.training] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]


def test_the_digest_is_that_of_the_pixels(folder: Path) -> None:
    before = Photographs(folder, 30).sha256
    assert Photographs(folder, 30).sha256 == before
    (folder / "05.png").write_bytes(encode_png(np.zeros((40, 36, 3), np.uint8)))
    assert Photographs(folder, 30).sha256 != before


def test_what_cannot_be_trained_on(folder: Path) -> None:
    with pytest.raises(EvaluatorError, match="smaller than a crop") as caught:
        Photographs(folder, 37)
    assert "00.png" in caught.value.findings[0].got
    with pytest.raises(EvaluatorError, match="is no folder"):
        Photographs(folder / "none", 30)
    (folder / "03.png").write_bytes(encode_png(np.zeros((40, 36), np.uint8)))
    with pytest.raises(EvaluatorError, match="is no photograph"):
        Photographs(folder, 30)
    (folder / "03.png").write_bytes(b"\x89PNG")
    with pytest.raises(EvaluatorError, match="is no photograph"):
        Photographs(folder, 30)
    for number in range(3, 12):
        (folder / f"{number:02}.png").unlink()
    with pytest.raises(EvaluatorError, match="holds 3 images; at least 10"):
        Photographs(folder, 30)


def same(wide: np.ndarray, random: np.random.RandomState) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    return (wide[2:-2, 2:-2],), wide[2:-2, 2:-2]


def test_a_batch_hangs_on_seed_and_step_alone() -> None:
    images = [np.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=np.uint8) for _ in range(3)]
    sampler = Sampler(DEGRADATIONS["sidd_noise"], 4, 24, ("flip_horizontal", "rotate_90"), 5)
    one, again, other = sampler.draw(images, 7), sampler.draw(images, 7), sampler.draw(images, 8)
    (taken,), (twice,) = one.inputs, again.inputs
    assert taken.shape == one.targets.shape == (4, 24, 24, 3)
    assert taken.dtype == one.targets.dtype == np.float32
    assert 0 <= taken.min() < taken.max() <= 1
    assert np.array_equal(taken, twice)
    assert np.array_equal(one.targets, again.targets)
    assert not np.array_equal(one.targets, other.targets)
    another = Sampler(DEGRADATIONS["sidd_noise"], 4, 24, ("flip_horizontal", "rotate_90"), 6).draw(images, 7)
    assert not np.array_equal(one.targets, another.targets)


def test_inputs_and_targets_show_the_same_place() -> None:
    image = np.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    sampler = Sampler(Degradation(2, same), 8, 24, ("flip_horizontal", "flip_vertical", "rotate_90"), 0)
    for batch in (sampler.draw([image], 0), *sampler.fixed([image, image])):
        assert np.array_equal(batch.inputs[0], batch.targets)
    assert np.array_equal(sampler.fixed([image])[0].targets[0], image[20:44, 28:52] / np.float32(255))


def test_unpaired_targets_show_other_photographs_than_the_inputs() -> None:
    levels = [np.full((32, 32, 3), 20 * number, np.uint8) for number in range(5)]
    sampler = Sampler(Degradation(0, lambda wide, random: ((wide,), wide)), 4, 16, (), 1, unpaired=True)
    seen = set()
    for step in range(40):
        batch, again = sampler.draw(levels, step), sampler.draw(levels, step)
        inputs, targets = (set(np.rint(part[:, 0, 0, 0] * 255)) for part in (batch.inputs[0], batch.targets))
        assert not inputs & targets
        assert np.array_equal(batch.targets, again.targets)
        seen |= {*inputs, *(-level for level in targets if level)}
    assert len(seen) == 9, "each photograph gives inputs and targets in turn"
    (held,) = sampler.fixed(levels[1:2])
    assert np.array_equal(held.inputs[0], held.targets)


def test_augmentations_turn_and_flip() -> None:
    image = np.zeros((24, 24, 3), np.uint8)
    image[:12, :4] = 255  # no two of its eight orientations are the same

    def orientations(*names: str) -> int:
        sampler = Sampler(Degradation(0, lambda wide, random: ((wide,), wide)), 64, 24, names, 3)
        return len({target.tobytes() for target in sampler.draw([image], 0).targets})

    assert orientations() == 1
    assert orientations("flip_horizontal") == orientations("flip_vertical") == 2
    assert orientations("rotate_90") == orientations("flip_horizontal", "flip_vertical") == 4
    assert orientations("flip_horizontal", "flip_vertical", "rotate_90") == 8


@pytest.mark.parametrize("task", ["sidd", "gopro", "low-light", "dped", "udc"])
def test_degradations_of_tasks(task: str) -> None:
    degradation = degradation_of(load_task(task))
    rows = np.linspace(60, 200, 48 + 2 * degradation.margin).astype(np.uint8)
    wide = np.repeat(np.repeat(rows[:, None, None], len(rows), 1), 3, 2)
    ((one,), clean), ((other,), _) = (degradation.degrade(wide, np.random.RandomState(seed)) for seed in (1, 2))
    assert one.shape == clean.shape == (48, 48, 3)
    assert one.dtype == clean.dtype == (np.float32 if task == "udc" else np.uint8)
    assert not np.array_equal(one, other)
    inner = wide[
        degradation.margin : len(wide) - degradation.margin, degradation.margin : len(wide) - degradation.margin
    ]
    if task == "udc":
        assert np.allclose(clean, srgb_to_linear(inner / 255), atol=1e-4)  # no highlights in it
        assert abs(one.mean() / clean.mean() - 1) < 0.05
        return
    assert np.array_equal(clean, inner)
    if task == "low-light":
        assert one.mean() < 0.6 * inner.mean()
    else:
        assert abs(one.mean() - inner.mean()) < (30 if task == "dped" else 8)


@pytest.mark.parametrize(
    ("task", "generator", "tone"),
    [("sidd", noise, None), ("gopro", motion, None), ("dped", phone, None), ("udc", display, 0.25)],
)
def test_the_mini_splits_photographs_are_degraded_about_as_the_mini_split(
    task: str, generator: Any, tone: float | None
) -> None:
    """Not the same draws, but the same strength: the mean PSNR of inputs over the same crops."""

    def psnr(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        unit = [[i / 255 if i.dtype == np.uint8 else i.astype(np.float64) for i in pair] for pair in pairs]
        unit = [[i / (i + tone) for i in pair] if tone else pair for pair in unit]
        return float(np.mean([-10 * np.log10(np.mean((one - two) ** 2)) for one, two in unit]))

    degradation = degradation_of(load_task(task))
    margin, made = degradation.margin, list(generator.generate())
    random = np.random.RandomState(4)
    wide = list(crops(margin).values())[: len(made)]
    drawn = [degradation.degrade(np.ascontiguousarray(image), random) for image in wide for _ in range(3)]
    found = [(taken, clean) for (taken,), clean in drawn]
    assert psnr(found) == pytest.approx(psnr([(m.inputs["input"], m.reference) for m in made]), abs=1)


def test_light_falls_off_over_a_photograph_and_not_over_a_crop_of_it() -> None:
    gray = np.full((16, 384, 3), 200, np.uint8)
    whole = dark.darken(gray, 4, 6).astype(int)
    part = dark.darken(gray[:, 100:148], 4, 6, left=100, width=384).astype(int)
    assert np.abs(part.mean((0, 2)) - whole[:, 100:148].mean((0, 2))).max() < 2  # the noise is another
    (one,), _ = degradation_of(load_task("low-light")).degrade(gray[:, :48], np.random.RandomState(1))
    columns = one.mean((0, 2))
    assert 0 < abs(columns[:8].mean() - columns[-8:].mean()) < 0.2 * columns.mean()


VIEWS = {"dpd-blur": (np.uint16, dual_pixel.generate), "ddd-syn": (np.uint8, dual_pixel.generate_8),
         "rdpd": (np.uint16, dual_pixel.generate_radial)}  # fmt: skip


@pytest.mark.parametrize("task", VIEWS)
def test_views_are_those_of_the_tasks_lens(task: str) -> None:
    """Of the same kind as the mini split's, and of about the same strength on the same 128×128 px.

    Over 320 draws it is 1.2 dB stronger: the focus lies anywhere in the range, not only within a scene's middle half.
    A round of the photographs varies by 1.5 dB, three sigma of the mean of six are 1.8.
    """

    def psnr(taken: np.ndarray, clean: np.ndarray) -> float:
        one, two = (image / np.iinfo(image.dtype).max for image in (taken, clean))
        return float(-10 * np.log10(np.mean((one - two) ** 2)))

    dtype, generate = VIEWS[task]
    degradation = degradation_of(load_task(task))
    assert degradation.inputs == ("left", "right")
    random = np.random.RandomState(4)
    middle = slice(64, 192 + 2 * degradation.margin)
    wide = [image[middle, middle] for image in crops(degradation.margin).values() for _ in range(6)]
    found = []
    for image in wide:
        (left, right), clean = degradation.degrade(np.ascontiguousarray(image), random)
        assert left.dtype == right.dtype == dtype
        assert left.shape == right.shape == clean.shape == (128, 128, 3)
        assert np.array_equal(
            clean, image[degradation.margin : -degradation.margin, degradation.margin : -degradation.margin]
        )
        assert not np.array_equal(left, right)
        found.append(psnr(left, clean))
    inner = slice(64, 192)
    mini = [psnr(made.inputs["left"][inner, inner], made.reference[inner, inner]) for made in generate()]
    assert np.mean(found) == pytest.approx(np.mean(mini) - 1.2, abs=1.8)


def test_no_augmentation_exchanges_the_views() -> None:
    """Photographs are flipped before they are seen: behind the focus a point goes right in the right view."""
    side, lens = 33 + 2 * dual_pixel.MARGIN, dual_pixel.HARD
    image = np.zeros((side, side, 3), np.uint8)
    image[side // 2, side // 2] = 255

    def behind(wide: np.ndarray, random: np.random.RandomState) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        levels = np.full(wide.shape[:2], -8, np.int64)
        views = dual_pixel.see(to_light(wide), levels, lens.kernels)
        return tuple(lens.taken(views, random).values()), wide[9:-9, 9:-9]

    degradation = Degradation(dual_pixel.MARGIN, behind, ("left", "right"))
    sampler = Sampler(degradation, 16, 33, ("flip_horizontal", "flip_vertical", "rotate_90"), 0)
    left, right = sampler.draw([image], 0).inputs
    columns = np.arange(33)
    for one, other in zip(left, right, strict=True):
        middles = [
            float((view.sum((0, 2)) ** 2 * columns).sum() / (view.sum((0, 2)) ** 2).sum()) for view in (one, other)
        ]
        assert middles[0] < 16 < middles[1]


def test_invented_depth() -> None:
    scenes = [scene_disparity(64, np.random.RandomState(seed)) for seed in range(40)]
    assert all(scene.shape == (64, 64) and scene.dtype == np.int64 for scene in scenes)
    assert min(scene.min() for scene in scenes) == dual_pixel.FAR
    assert max(scene.max() for scene in scenes) == dual_pixel.NEAR
    assert len({scene.tobytes() for scene in scenes}) == 40
    steps = [np.abs(np.diff(scene, axis=1)).max() for scene in scenes]
    assert min(steps) < 64 < max(steps), "smooth scenes, and such with edges"


def test_tasks_that_photographs_cannot_be_degraded_for() -> None:
    with pytest.raises(EvaluatorError, match="task exdark"):
        degradation_of(load_task("exdark"))
