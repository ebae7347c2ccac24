"""Every generator makes the published mini split, the same one each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import evaluator
from evaluator.tasks.manifests import manifest_digest, parse_manifest
from evaluator.tasks.mini import GENERATORS, manifest_of
from evaluator.tasks.mini.made import Made

DEFINITIONS = Path(evaluator.__file__).parent / "tasks" / "definitions"
Cases = Callable[[str], tuple[Made, ...]]

TASKS = {
    "sidd_noise": "sidd",
    "motion_blur": "gopro",
    "display_psf": "udc",
    "dual_pixel": "dpd-blur",
    "dual_pixel_8": "ddd-syn",
    "dual_pixel_radial": "rdpd",
    "dual_pixel_disparity": "dpd-disp",
    "phone_to_dslr": "dped",
    "under_exposed": "low-light",
    "under_exposed_boxes": "exdark",
}
# Mean PSNR of the input, dB, as the real set's input has it within some dB: neither solved nor hopeless.
PSNR = {
    "motion_blur": (20, 27, 15),
    "dual_pixel": (22, 29, 20),
    "dual_pixel_8": (25, 33, 22),
    "dual_pixel_radial": (22, 29, 20),
    "phone_to_dslr": (16, 23, 15),
    "sidd_noise": (20, 30, 15),
}


def psnr(one: np.ndarray, other: np.ndarray, peak: float) -> float:
    error = np.mean(np.square((one.astype(np.float64) - other) / peak))
    return float(-10 * np.log10(error))


def test_every_generator_is_tested() -> None:
    assert tuple(TASKS) == tuple(GENERATORS)


@pytest.mark.parametrize("name", GENERATORS)
def test_first_run_and_second_run_are_the_published_split(name: str, made: Cases) -> None:
    file = DEFINITIONS / f"{TASKS[name]}-mini.sha256"
    published = parse_manifest(file.read_text(encoding="utf-8"), file.name)
    assert {n: d for case in made(name) for n, d in case.digests().items()} == published
    assert manifest_of(name) == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "entries", "digest"),
    [
        ("motion_blur", 32, "22b6b3e06f93b698f72b87c6b4a5a9fe0a184860aa8ad7e59d0506bcab26baae"),
        ("display_psf", 36, "a562f3e07ae2953fbd63930871398a1bbcc9c91492c1b3230a0bb794ec41ed19"),
        ("dual_pixel", 64, "72de062e553c403a25e9ceb27ba338ae4dfd8687d13241c6c1a219009e845454"),
        ("dual_pixel_8", 64, "3f7f545237da6f2e40c3b731bc01201775ea2fd749e6a30f08c5b7a1f7221000"),
        ("dual_pixel_radial", 64, "6b589d3cd52e19912f899d196a8cc71ad36032673e5f3cb5c0c914a96f6e1169"),
        ("dual_pixel_disparity", 36, "d4f72d869da6f4027004704055cb8832fefcfc6c9971b64005df47f2c520be4f"),
        ("phone_to_dslr", 32, "725b3e90be2cd56771b2cf8be5e9c9c57ecfa307f666659a55f49f2b95daad91"),
        ("under_exposed", 12, "2af44696bce6466a1d558097ab0aa81f0d62d75a861223f0f050af785bdb73a3"),
        ("under_exposed_boxes", 15, "2fbf9bf054e84a6b44ab76e127f34f37ccc75eee0acf76f214d15e3739cd9fef"),
    ],
)
def test_published_splits_stay(name: str, entries: int, digest: str) -> None:
    # Published scores name these digests: another one means that scores cannot be compared any more.
    text = (DEFINITIONS / f"{TASKS[name]}-mini.sha256").read_text(encoding="utf-8")
    manifest = parse_manifest(text, name)
    assert (len(manifest), manifest_digest(manifest)) == (entries, digest)


@pytest.mark.parametrize("name", GENERATORS)
def test_cases_are_several_different_and_whole(name: str, made: Cases) -> None:
    cases = made(name)
    assert 12 <= len({case.case for case in cases}) == len(cases) <= 16
    digests = [digest for case in cases for n, digest in case.digests().items() if n.startswith(("input", "left"))]
    assert len(set(digests)) == len(cases)
    for case in cases:
        pixels = [array for role, array in case.inputs.items() if role != "psf"]
        pixels += [case.reference] if case.reference is not None else []
        assert len({(array.shape, array.dtype) for array in pixels}) == 1
        assert all(array.flags.c_contiguous and array.shape[2] == 3 for array in pixels)
        if case.mask is not None:
            assert (case.mask.shape, case.mask.dtype) == (pixels[0].shape[:2], np.bool_)


@pytest.mark.parametrize(
    ("name", "roles", "kind", "size"),
    [
        ("motion_blur", {"input"}, "uint8", 256),
        ("display_psf", {"input", "psf"}, "float32", 256),
        ("dual_pixel", {"left", "right"}, "uint16", 256),
        ("dual_pixel_8", {"left", "right"}, "uint8", 256),
        ("dual_pixel_radial", {"left", "right"}, "uint16", 256),
        ("dual_pixel_disparity", {"left", "right"}, "uint8", 256),
        ("phone_to_dslr", {"input"}, "uint8", 100),
        ("under_exposed", {"input"}, "uint8", 384),
        ("under_exposed_boxes", {"input"}, "uint8", None),
    ],
)
def test_inputs_are_of_the_tasks_form(name: str, roles: set[str], kind: str, size: int | None, made: Cases) -> None:
    for case in made(name):
        assert set(case.inputs) == roles
        for role, array in case.inputs.items():
            assert array.dtype == kind
            assert role == "psf" or size is None or array.shape[:2] == (size, size)


@pytest.mark.parametrize("name", PSNR)
def test_inputs_are_neither_solved_nor_hopeless(name: str, made: Cases) -> None:
    values = []
    for case in made(name):
        assert case.reference is not None
        peak = float(np.iinfo(case.reference.dtype).max)
        view = case.inputs["input" if "input" in case.inputs else "left"]
        values.append(psnr(view, case.reference, peak))
    low, high, least = PSNR[name]
    assert low < np.mean(values) < high
    assert least < min(values)
    assert max(values) < 41


@pytest.mark.parametrize("name", ["dual_pixel_disparity", "under_exposed", "under_exposed_boxes"])
def test_tasks_without_a_truth_have_none(name: str, made: Cases) -> None:
    assert all(case.reference is None for case in made(name))


def test_arrays_and_digests_go_by_role_and_case() -> None:
    gray = np.zeros((2, 3, 1), np.uint8)
    mask = np.array([[True, False, True], [False, False, False]])
    case = Made("a-1", {"left": gray, "right": gray + np.uint8(1)}, gray, mask)
    assert list(case.arrays()) == list(case.digests()) == ["left/a-1", "right/a-1", "reference/a-1", "mask/a-1"]
    assert case.arrays()["mask/a-1"][:, :, 0].tolist() == [[255, 0, 255], [0, 0, 0]]
    assert list(Made("b", {"input": gray}, None).arrays()) == ["input/b"]
