"""Outputs that were not made from the inputs are pointed out, and honest ones are not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from evaluator.findings import Finding, Severity
from evaluator.images import Pixels, peak_of
from evaluator.metrics import strips
from evaluator.scoring.suspicions import Look, across, look, summarise

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]


@pytest.fixture(autouse=True, scope="module", params=["whole", "in strips"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every image is looked at in both ways."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in strips":
            patch.setattr(strips, "LARGE", 0)
            patch.setattr(strips, "_STRIP", 1000)
        yield


def pixels(array: NDArray[Any]) -> Pixels:
    return Pixels(array, peak_of(array.dtype))


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    """Case → a photograph's crop made dark and noisy, and the crop."""
    photograph = data.astronaut()
    random = np.random.default_rng(5)
    found = {}
    for number in range(6):
        clean = photograph[60 * number : 60 * number + 128, 40 * number : 40 * number + 150]
        dark = clean * (0.4 + 0.05 * number) + random.normal(0, 4, clean.shape)
        found[f"c{number}"] = (np.clip(np.rint(dark), 0, 255).astype(np.uint8), clean)
    return found


def marks(output: NDArray[Any], pair: Pair | None, reference: Image | None = None) -> tuple[str, ...]:
    degraded = pixels(pair[0]) if pair else None
    target = reference if reference is not None else pair[1]  # type: ignore[index]
    return look("c", pixels(output), degraded, pixels(target), sha256="1").marks


def as_saved(image: Image) -> list[NDArray[Any]]:
    """The same values as 8 bit, 16 bit and floats of each precision."""
    floats = image / 255
    return [image, image.astype(np.uint16) * 257, *(floats.astype(kind) for kind in ("f2", "f4", "f8"))]


def brightened(image: Image, gain: float) -> Image:
    return np.clip(np.rint(image * gain), 0, 255).astype(np.uint8)


def least_squares(pair: Pair) -> float:
    solution = np.linalg.lstsq(pair[0].reshape(-1, 1).astype(float), pair[1].reshape(-1).astype(float), rcond=None)
    return float(solution[0][0])


def codes(findings: list[Finding]) -> dict[str, Severity]:
    return {f.code: f.severity for f in findings}


def test_reference_itself_is_seen_in_any_format(pairs: dict[str, Pair]) -> None:
    for pair in pairs.values():
        for output in as_saved(pair[1]):
            assert marks(output, pair) == ("equals-reference",)
            assert marks(output, None, pair[1]) == ("equals-reference",)


def test_input_itself_is_seen_in_any_format(pairs: dict[str, Pair]) -> None:
    for pair in pairs.values():
        for output in as_saved(pair[0]):
            assert marks(output, pair) == ("equals-input",)


def test_one_value_off_is_no_copy(pairs: dict[str, Pair]) -> None:
    noisy, clean = pairs["c0"]
    for original, pair in ((clean, (noisy, clean)), (noisy, (noisy, clean))):
        output = original.copy()
        output[77, 3, 1] += 9
        assert marks(output, pair) == ()


def test_reference_file_is_known_by_its_digest(pairs: dict[str, Pair]) -> None:
    noisy, clean = (pixels(p) for p in pairs["c1"])
    found = look("c", noisy, None, clean, sha256="abc", reference_sha256="abc")
    assert found.marks == ("equals-reference",)
    assert look("c", noisy, None, clean, sha256="abc").marks == ()


def test_honest_outputs_have_no_marks(pairs: dict[str, Pair]) -> None:
    random = np.random.default_rng(1)
    for noisy, clean in pairs.values():
        near = np.clip(clean + random.integers(-2, 3, clean.shape), 0, 255).astype(np.uint8)
        gamma = np.rint((noisy / 255) ** 0.6 * 255).astype(np.uint8)
        for output in (near, gamma, np.zeros_like(clean), np.full_like(clean, 255), np.full_like(clean, 9)):
            assert marks(output, (noisy, clean)) == ()


def test_gain_that_is_fitted_to_the_reference_is_told_from_one_that_is_not(pairs: dict[str, Pair]) -> None:
    for pair in pairs.values():
        noisy, clean = pair
        best = least_squares(pair)
        assert marks(brightened(noisy, best), pair) == ("gain", "fitted-gain")
        assert marks((noisy / 255 * best).clip(0, 1), pair) == ("gain", "fitted-gain")
        assert marks(brightened(noisy, clean.mean() / noisy.mean()), pair) == ("gain", "fitted-gain")
        for honest in (best * 1.01, best - 0.002, 2.5):
            assert marks(brightened(noisy, honest), pair) == ("gain",)


def test_inputs_of_another_shape_are_not_compared(pairs: dict[str, Pair]) -> None:
    noisy, clean = pairs["c0"]
    assert marks(clean[:, ::-1].copy(), (noisy[::2], clean)) == ()


def test_one_finding_a_kind_with_counts() -> None:
    looks = [
        Look(f"{n}", f"{n}", ("equals-reference",) if n < 8 else ("equals-input",) if n < 10 else ())
        for n in range(1280)
    ]
    first, second = summarise(looks, lambda a, b: False)
    assert (first.code, first.severity, first.file) == (
        "equals-reference",
        Severity.WARNING,
        "0, 1, 2, 3, 4 and 3 more",
    )
    assert first.got.startswith("8 of 1280 ")
    assert (second.code, second.severity, second.got[:9]) == ("equals-input", Severity.NOTE, "2 of 1280")


def test_fitted_gains_by_chance_are_not_reported() -> None:
    def found(*fitted: bool) -> dict[str, Severity]:
        looks = [Look(f"{n}", f"{n}", ("gain", "fitted-gain") if f else ("gain",)) for n, f in enumerate(fitted)]
        return codes(summarise(looks, lambda a, b: False))

    assert found(True, False, False) == {}
    assert found(True, False) == {}
    assert found(True, True, False) == {"fitted-gain": Severity.WARNING}


def test_same_output_for_different_scenes_is_reported_once() -> None:
    looks = [
        Look("a", "x"),
        Look("b", "y"),
        Look("c", "x"),
        Look("d", "x"),
        Look("e", "y"),
        Look("f", ""),
        Look("g", ""),
    ]
    asked: list[tuple[str, str]] = []

    def same_reference(one: str, other: str) -> bool:
        asked.append((one, other))
        return {one, other} <= {"a", "d", "b", "e"}

    (finding,) = summarise(looks, same_reference)
    assert (finding.code, finding.file, finding.got[:6]) == ("duplicate-cases", "a, c", "2 of 7")
    assert asked == [("a", "c"), ("a", "d"), ("b", "e")], "only what is the same twice is looked at again"


def test_outputs_of_another_team_are_named_on_both_sides() -> None:
    def sha(*texts: str) -> list[bytes]:
        return [hashlib.sha256(text.encode()).digest() if text else b"" for text in texts]

    digests = {
        "one": sha("1", "2", "3"),
        "two": sha("1", "2", "4"),
        "three": sha("5", "2", "6"),
        "honest": sha("7", "1", ""),
        "empty": sha("", "", ""),
    }
    found = across(digests, "abc")
    assert set(found) == {"one", "two", "three"}
    assert all(codes(f) == {"equals-other": Severity.WARNING} for f in found.values())
    assert found["one"][0].got.startswith("2 of 3 ")
    assert found["one"][0].got.endswith("those of three, two")
    assert (found["three"][0].file, found["three"][0].got[:7]) == ("b", "1 of 3 ")


def test_nothing_to_say_of_nothing() -> None:
    assert summarise([], lambda a, b: True) == []
    assert across({}, []) == {}
    assert across({"one": [b"same", b"same"]}, "ab") == {}
