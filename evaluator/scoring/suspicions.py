"""What an organiser should look at before believing a score: outputs that were not made from the inputs.

No sandbox sees these, and none is proof: nothing here keeps a submission from being scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import Finding, some
from evaluator.images import Pixels
from evaluator.metrics.strips import bounds, is_large, total

EQUALS_REFERENCE, EQUALS_INPUT, GAIN, FITTED_GAIN = "equals-reference", "equals-input", "gain", "fitted-gain"
_SAME = 0.25  # of a level of the reference: what saving as 16-bit or half-precision values leaves
_HALF_PRECISION = 2**-11  # what saving as half-precision values leaves
_SAMPLE = 64  # rows and columns of the sample by which most outputs are told to be none of these
_UNCLIPPED = 64  # values, at least, that a gain is told from
_JUDGE = "For the organiser to judge; the score stands."


@dataclass(frozen=True)
class Look:
    """What one output gave away; small, so that it can be kept with a case's result."""

    case: str
    sha256: str
    """Of the output's file."""
    marks: tuple[str, ...] = ()


def look(
    case: str,
    output: Pixels,
    degraded: Pixels | None,
    reference: Pixels,
    *,
    sha256: str,
    reference_sha256: str | None = None,
) -> Look:
    """Compare an output with what it should be, and with what it was made from.

    Args:
        case: the case's id.
        output: the output as read, `(H, W, C)`.
        degraded: what the method was given; None where it is not one image.
        reference: what the output is scored against, of the output's shape.
        sha256: the digest of the output's file.
        reference_sha256: the digest of the reference's file, where it has one of its own.

    Returns:
        The marks: `equals-reference`, `equals-input`, `gain` (the output is the input times one number) and
        `fitted-gain` (that number is, as far as rounding lets it be known, the best towards the reference).
    """
    if degraded is not None and _same(degraded, reference):
        return Look(case, sha256)  # nothing to restore: every honest output is the reference
    marks = []
    if sha256 == reference_sha256 or _same(output, reference):
        marks.append(EQUALS_REFERENCE)
    if degraded is not None and degraded.array.shape == reference.array.shape == output.array.shape:
        if _same(output, degraded):
            marks.append(EQUALS_INPUT)
        else:
            gains = _gains(output, degraded, reference.peak)
            if gains is not None:
                marks.append(GAIN)
                if any(gains[0] <= best <= gains[1] for best in _best_gains(degraded, reference)):
                    marks.append(FITTED_GAIN)
    return Look(case, sha256, tuple(marks))


def summarise(looks: Sequence[Look], same_reference: Callable[[str, str], bool]) -> list[Finding]:
    """Return what a submission's outputs gave away, one finding a kind.

    Args:
        looks: one a case that was read.
        same_reference: tells whether two cases have the same reference; asked only where their outputs are the same.
    """
    marked = {mark: [x.case for x in looks if mark in x.marks] for mark in (EQUALS_REFERENCE, EQUALS_INPUT)}
    findings = []

    def share(cases: Sequence[str], of: int = len(looks)) -> str:
        return f"{len(cases)} of {of}"

    if cases := marked[EQUALS_REFERENCE]:
        got = f"{share(cases)} equal to them, value for value"
        findings.append(
            Finding.warning("equals-reference", some(cases), "outputs that differ from the references", got, _JUDGE)
        )
    if cases := marked[EQUALS_INPUT]:
        got = f"{share(cases)} equal to them, value for value"
        findings.append(Finding.note("equals-input", some(cases), "outputs that differ from the inputs", got, _JUDGE))
    gains = [x for x in looks if GAIN in x.marks]
    fitted = [x.case for x in gains if FITTED_GAIN in x.marks]
    if 2 * len(fitted) > len(gains):  # one among many gains may hit the best by chance
        got = f"{share(fitted)} are the input times the number that brings it nearest to the reference"
        findings.append(
            Finding.warning("fitted-gain", some(fitted), "outputs made without the references", got, _JUDGE)
        )
    if cases := _duplicates(looks, same_reference):
        got = f"{share(cases)} have a file that another case has too"
        findings.append(
            Finding.warning("duplicate-cases", some(cases), "an output of its own for each case", got, _JUDGE)
        )
    return findings


def across(digests: Mapping[str, Sequence[bytes]], cases: Sequence[str]) -> dict[str, list[Finding]]:
    """Return, for each submission of a run, which others sent the same files.

    Args:
        digests: by submission, the sha256 of each output's file in the order of `cases`, empty where there is none.
        cases: the ids of all cases.
    """
    if len(digests) < 2:
        return {}
    shared: dict[str, tuple[list[str], set[str]]] = {}
    for number, case in enumerate(cases):
        holders: dict[bytes, list[str]] = {}
        for submission, files in digests.items():
            if files[number]:
                holders.setdefault(files[number], []).append(submission)
        for holding in holders.values():
            for one in holding if len(holding) > 1 else ():
                same, others = shared.setdefault(one, ([], set()))
                same.append(case)
                others.update(other for other in holding if other != one)
    findings = {}
    for submission, (same, others) in shared.items():
        got = f"{len(same)} of {len(cases)} are byte for byte those of {some(sorted(others))}"
        findings[submission] = [Finding.warning("equals-other", some(same), "outputs of its own", got, _JUDGE)]
    return findings


def _duplicates(looks: Sequence[Look], same_reference: Callable[[str, str], bool]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for x in looks:
        groups.setdefault(x.sha256, []).append(x.case)
    found = []
    for sha256, cases in groups.items():
        differ = [case for case in cases[1:] if not same_reference(cases[0], case)] if sha256 else []
        found += [cases[0], *differ] if differ else []
    return found


def _sample(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array[:: max(1, array.shape[0] // _SAMPLE), :: max(1, array.shape[1] // _SAMPLE)]


def _scaled(array: NDArray[np.generic], peak: float, wanted: float) -> NDArray[np.float64]:
    values = array.astype(np.float64)
    return values if peak == wanted else values * (wanted / peak)


def _parts(*images: NDArray[np.generic]) -> Iterator[tuple[NDArray[np.generic], ...]]:
    """Yield the same part of images of one shape, and so all of them: strips of large ones."""
    height, width = images[0].shape[:2]
    for first, last in bounds(height, width) if is_large(images[0].shape) else [(0, height)]:
        yield tuple(image[first:last] for image in images)


def _sample_and_parts(*images: NDArray[np.generic]) -> Iterator[tuple[NDArray[np.generic], ...]]:
    yield tuple(_sample(image) for image in images)
    yield from _parts(*images)


def _same(one: Pixels, other: Pixels) -> bool:
    """Tell whether two images hold the same values, on the other's scale, a sample first."""
    if one.array.shape != other.array.shape:
        return False
    level = 1.0 if other.peak > 1 else 1 / 255
    for a, b in _sample_and_parts(one.array, other.array):
        if one.array.dtype == other.array.dtype and one.kind != "float":
            if not np.array_equal(a, b):
                return False
        elif np.abs(_scaled(a, one.peak, other.peak) - b.astype(np.float64)).max(initial=0) > _SAME * level:
            return False
    return True


def _gains(output: Pixels, degraded: Pixels, peak: float) -> tuple[float, float] | None:
    """Return the least and greatest number by which the input gives the output, clipped and rounded; None if none."""
    rounding = 0.5 * peak / output.peak if output.kind != "float" else _HALF_PRECISION * peak
    pair = output.array, degraded.array
    low = high = np.nan
    for parts in ([(_sample(pair[0]), _sample(pair[1]))], _parts(*pair)):
        low, high, size, unclipped = 0.0, np.inf, 0, 0
        for out, given in parts:
            y, x = _scaled(out, output.peak, peak), _scaled(given, degraded.peak, peak)
            if np.any(y[x <= 0] > rounding):
                return None
            y, x = y[x > 0], x[x > 0]
            size, unclipped = size + y.size, unclipped + int(np.count_nonzero((y > 0) & (y < peak)))
            low = max(((y[y > 0] - rounding) / x[y > 0]).max(initial=0.0), low)
            high = min(((y[y < peak] + rounding) / x[y < peak]).min(initial=np.inf), high)
            if low > high:
                return None
        if unclipped < min(_UNCLIPPED, size):
            return None
    return low, high


def _best_gains(degraded: Pixels, reference: Pixels) -> tuple[float, float]:
    """Return the gains that bring the input nearest to the reference: by least squares, and by its mean."""
    sums = []
    for given, target in _parts(degraded.array, reference.array):
        x, r = _scaled(given, degraded.peak, reference.peak), target.astype(np.float64)
        sums.append([float(np.sum(values)) for values in (x * r, x**2, r, x)])
    products, squares, of_reference, of_input = (np.float64(total(each)) for each in zip(*sums, strict=True))
    return float(products / squares), float(of_reference / of_input)
