"""The linter of pairs, on pairs whose faults are known because they were put there, and on real sets."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels, encode_png
from evaluator.tasks import Split, lint_pairs, load_task
from evaluator.tasks.lint import Lint
from evaluator.tasks.mini.photographs import crops, photograph
from evaluator.tasks.pairs import Sides, compare_sides, find_shift, luma, measure, thumbnail
from support import TOML

Image = NDArray[np.uint8]
MINI = ("sidd", "gopro", "udc-float", "dpd-blur")


def noisy(image: NDArray[np.generic], sigma: float, seed: int = 1) -> Image:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def blurred(image: Image, sigma: float = 2.0) -> Image:
    return np.rint(ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0))).astype(np.uint8)


def scaled(image: Image, gain: float) -> Image:
    return np.clip(np.rint(image * gain), 0, 255).astype(np.uint8)


def plane(image: Image) -> NDArray[np.float64]:
    return luma(Pixels(image, 255))


def sampled(right: int, down: int) -> Image:
    """Return a photograph at a quarter of its size, taken `right` and `down` quarters of a pixel further on."""
    whole = photograph("astronaut")[40 + down : 440 + down, 40 + right : 440 + right].astype(float)
    return np.rint(whole.reshape(100, 4, 100, 4, 3).mean(axis=(1, 3))).astype(np.uint8)


@cache
def scenes() -> dict[str, Image]:
    """Eight photographs, gently noisy, as cameras take them."""
    return {name: noisy(image[:200, :240], 1.5, n) for n, (name, image) in enumerate(list(crops().items())[::2])}


# --- one pair -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, -2), (3, 2), (-5, 7), (13, -30), (26, 20)])
@pytest.mark.parametrize("sigma", [0.0, 15.0])
def test_shift_is_found_to_a_tenth_of_a_pixel(right: int, down: int, sigma: float) -> None:
    # What is seen from further right lies further left: the input is `right / 4` px to the right of the reference.
    found = find_shift(plane(noisy(sampled(0, 0), sigma, 3)), plane(sampled(right, down)))
    assert found is not None
    assert (found.right, found.down) == pytest.approx((right / 4, down / 4), abs=0.1)


def test_a_blur_around_the_middle_is_no_shift() -> None:
    path = np.zeros((13, 13))
    path[6, 6:] = [1, 1, 1, 1, 1, 1, 6]  # rests at the right end, and starts long before
    path /= path.sum()
    middle = (path * np.arange(13)).sum() - 6
    image = plane(crops()["coffee-0"])
    smeared = ndimage.shift(ndimage.correlate(image, path, mode="nearest"), (0, middle), mode="nearest")
    found = find_shift(smeared, image)
    assert found is None or found.length < 0.5


def test_shift_of_what_has_nothing_in_common_or_in_it_is_not_told() -> None:
    one, other = (np.random.default_rng(n).random((64, 64)) for n in (1, 2))
    found = find_shift(one, other)
    assert found is None or found.length < 64
    flat = Pixels(np.full((32, 32, 3), 7, np.uint8), 255)
    pair = measure(flat, Pixels(sampled(0, 0)[:32, :32], 255))
    assert (pair.shift, pair.sides, pair.thumbnails) == (None, None, None)


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.0, 1.3, 3.0])
def test_gain_is_found_beside_noise_and_white(gain: float) -> None:
    image = crops()["chelsea-0"].copy()
    image[:60] = 255  # what is white on one side says nothing
    sides = (noisy(image, 10), noisy(scaled(image, gain), 10, 2))
    assert measure(*(Pixels(side, 255) for side in sides)).gain == pytest.approx(gain, rel=0.02)


def test_gain_of_black_and_white_is_not_told_and_linear_light_has_no_white() -> None:
    black, white = (Pixels(np.full((32, 32, 3), level, np.uint8), 255) for level in (0, 255))
    assert measure(black, white).gain is None
    four, six = (Pixels(np.full((32, 32, 3), level, np.float32), 1) for level in (4, 6))
    assert measure(four, six).gain == pytest.approx(1.5)
    narrow = [Pixels(np.full((5, 3, 1), level, np.uint16), 65535) for level in (20000, 30000)]
    assert measure(*narrow).gain == pytest.approx(1.5)


@pytest.mark.parametrize("sigma", [5.0, 10.0, 25.0])
def test_noise_is_measured_and_is_no_sharpness(sigma: float) -> None:
    image = crops()["motorcycle-0"]
    sides = compare_sides(plane(noisy(image, sigma)), plane(image))
    spread = float(np.std(plane(noisy(np.full(image.shape, 128), sigma))))
    assert sides.noise_input == pytest.approx(spread, rel=0.35)  # texture counts as noise
    assert sides.noise_input > 1.7 * sides.noise_reference
    assert sides.sharpness == pytest.approx(1, abs=0.1)
    assert sides.swapped == ""


def test_only_sharper_without_noise_or_noisier_without_sharpness_is_swapped() -> None:
    assert Sides(0.01, 0.01, 1.5).swapped == "an input that is 1.50 times as sharp as its reference"
    assert Sides(0.03, 0.01, 1.5).swapped == ""
    assert Sides(0.01, 0.001, 1.5).swapped.startswith("an input")
    assert Sides(0.01, 0.04, 1.0).swapped == "a reference with 4.0 times the noise of its input"
    assert Sides(0.01, 0.08, 0.8).swapped.startswith("a reference with 8.0 times")
    assert Sides(0.01, 0.03, 0.8).swapped == ""
    assert Sides(0.01, 0.08, 0.6).swapped == ""
    assert Sides(0.001, 0.004, 1.0).swapped == ""


def test_a_pair_of_two_sizes_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="input is"):
        measure(Pixels(sampled(0, 0), 255), Pixels(sampled(0, 0)[:50], 255))


def test_plain_skies_have_no_sides() -> None:
    sky = np.full((100, 100, 3), 180, np.uint8)
    pair = measure(Pixels(noisy(sky, 9, 1), 255), Pixels(noisy(sky, 3, 2), 255))
    assert pair.thumbnails is not None
    assert pair.sides is None


def test_thumbnails_do_not_depend_on_exposure() -> None:
    image = plane(crops()["coffee-1"])
    assert float(thumbnail(image) @ thumbnail(0.3 * image + 0.1)) == pytest.approx(1, abs=1e-5)


# --- a set --------------------------------------------------------------------------------------------------------


def written(folder: Path, inputs: dict[str, Image], references: dict[str, Image]) -> Split:
    for side, images in (("in", inputs), ("ref", references)):
        for case, image in images.items():
            file = folder / "tiny" / side / f"{case}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png(image))
    toml = folder / "tiny.toml"
    toml.write_text(TOML.replace("count = 5", f"count = {len(inputs)}").replace("size = [24, 20]\n", ""))
    return load_task(toml).split("five", folder)


def said(found: Lint) -> set[tuple[str, str]]:
    return {(f.code, f.file) for f in found.findings}


@pytest.mark.parametrize("degrade", [lambda i, n: noisy(i, 12, n + 50), lambda i, n: blurred(i)])
def test_clean_sets_have_no_findings_and_swapped_sets_are_seen(tmp_path: Path, degrade: object) -> None:
    inputs = {name: degrade(image, n) for n, (name, image) in enumerate(scenes().items())}  # type: ignore[operator]
    found = lint_pairs(written(tmp_path / "right", inputs, scenes()))
    assert said(found) == set()
    assert (found.summary.cases, found.summary.pairs, found.summary.identical) == (8, 8, 0)
    wrong = lint_pairs(written(tmp_path / "wrong", scenes(), inputs))
    assert said(wrong) == {("pair-sides", name) for name in scenes()} | {("pair-sides", "tiny/five")}
    assert {f.severity.value for f in wrong.findings} == {"warning"}


def test_each_fault_is_named_where_it_was_put(tmp_path: Path) -> None:
    references = dict(scenes())
    inputs = {name: noisy(image, 12, n + 50) for n, (name, image) in enumerate(references.items())}
    names = list(references)
    moved, brighter, turned, one, other, same = names[:6]
    inputs[moved] = np.roll(inputs[moved], 2, axis=1)
    references[brighter] = scaled(references[brighter], 1.3)
    inputs[turned], references[turned] = references[turned], inputs[turned]
    inputs[one], inputs[other] = inputs[other], inputs[one]
    inputs[same] = references[same]
    inputs["twice"], references["twice"] = inputs[names[6]], references[names[6]]
    inputs["again"], references["again"] = noisy(references[names[7]], 12, 99), references[names[7]]
    found = lint_pairs(written(tmp_path, inputs, references))
    by_code: dict[str, set[str]] = {}
    for finding in found.findings:
        by_code.setdefault(finding.code, set()).add(finding.file)
    assert by_code["pair-shift"] - {one, other} == {moved}
    assert by_code["pair-exposure"] - {one, other} == {brighter}
    assert by_code["pair-sides"] - {one, other} == {turned}
    assert by_code["pair-partner"] == {one, other}
    assert by_code["pair-identical"] == {same}
    assert by_code["pair-twice"] == {f"{names[6]}, twice", f"again, {names[7]}"}
    assert {f.severity.value for f in found.findings if f.file == f"again, {names[7]}"} == {"note"}
    (shift,) = [f for f in found.findings if (f.code, f.file) == ("pair-shift", moved)]
    assert shift.got.startswith(("+2.0", "+1.9"))
    (partner,) = [f for f in found.findings if (f.code, f.file) == ("pair-partner", one)]
    assert f"the reference of {other}" in partner.got
    assert (found.summary.pairs, found.summary.identical) == (10, 1)


def test_one_input_with_two_references_is_a_fault(tmp_path: Path) -> None:
    references = dict(list(scenes().items())[:3])
    inputs = {name: noisy(image, 12) for name, image in references.items()}
    first, second = list(inputs)[:2]
    inputs[second] = inputs[first]
    found = lint_pairs(written(tmp_path, inputs, references))
    (twice,) = [f for f in found.findings if f.code == "pair-twice"]
    assert (twice.severity.value, twice.got) == ("warning", "the same input, with different references")


def test_a_set_that_brightens_is_noted_once(tmp_path: Path) -> None:
    references = dict(list(scenes().items())[:4])
    inputs = {name: noisy(scaled(image, 0.5), 8) for name, image in references.items()}
    found = lint_pairs(written(tmp_path, inputs, references))
    assert [(f.code, f.severity.value, f.file) for f in found.findings] == [("pair-exposure", "note", "tiny/five")]
    assert found.summary.median_gain == pytest.approx(2, rel=0.03)


def test_what_cannot_be_compared_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    references = dict(list(scenes().items())[:3])
    inputs = {name: noisy(image, 12) for name, image in references.items()}
    small, broken, good = references
    inputs[small] = inputs[small][:100]
    split = written(tmp_path, inputs, references)
    (tmp_path / "tiny" / "in" / f"{broken}.png").write_bytes(b"junk")
    seen: list[int] = []
    found = lint_pairs(split, lambda: seen.append(1))
    assert {(f.code, f.severity.value) for f in found.findings} == {("pair-size", "note"), ("data-unreadable", "error")}
    assert list(found.pairs) == [good]
    assert len(seen) == 3


def test_a_set_without_references_has_no_pairs() -> None:
    with pytest.raises(EvaluatorError, match="no references"):
        lint_pairs(load_task("dpd-disp").split("mini"))


@pytest.mark.parametrize("task", MINI)
def test_mini_splits_are_clean(task: str) -> None:
    # Defocus spreads what is near over what is far, and some edges move with it: too little to be a shift.
    assert lint_pairs(load_task(task).split("mini")).findings == ()


def test_a_pair_alone_is_looked_at(tmp_path: Path) -> None:
    name, image = next(iter(scenes().items()))
    assert lint_pairs(written(tmp_path, {name: noisy(image, 12)}, {name: image})).findings == ()
    flat = np.full((40, 40, 3), 255, np.uint8)
    found = lint_pairs(written(tmp_path / "flat", {"white": flat}, {"white": flat}))
    assert said(found) == {("pair-identical", "white")}
    assert (found.summary.median_shift, found.summary.median_gain) == (None, None)


# --- real sets ----------------------------------------------------------------------------------------------------


def test_the_identical_pairs_of_pirm_2018_are_found(data_root: Path) -> None:
    found = lint_pairs(load_task("dped").split("pirm2018", data_root))
    white = ["103", "177", "221", "308"]
    assert [f.file for f in found.findings if f.code == "pair-identical"] == white
    assert [f.file for f in found.findings if f.code == "pair-twice"] == [", ".join(white)]
    assert [f for f in found.findings if f.code == "pair-partner"] == []
    assert found.summary.identical == 4
    # Phone and camera differ in exposure and by fractions of a pixel; hardly any input is the better photograph.
    assert len([f for f in found.findings if f.code == "pair-sides"]) <= 4


@pytest.mark.parametrize(("task", "split"), [("sidd", "samples"), ("gopro", "samples"), ("ddd-syn", "sample")])
def test_published_samples_are_clean(task: str, split: str, data_root: Path) -> None:
    assert lint_pairs(load_task(task).split(split, data_root)).findings == ()
