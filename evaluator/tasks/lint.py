"""Look for what is wrong with the pairs of a data set: shifted, exposed otherwise, swapped, mixed up, twice there.

It reports, by measures that can err; it changes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding, some
from evaluator.tasks.pairs import Pair, agreement, luma, measure
from evaluator.tasks.task import Split

SHIFT_LIMIT = 0.5
"""Pixels."""
GAIN_LIMIT = 1.1
"""Ratio of brightnesses, either way."""
_MANY = 0.2
"""Share of pairs the wrong way round that makes the whole set suspicious: of sound sets it is below 0.01."""
_SPREAD = 4 * 1.4826
"""Times the median deviation: four standard deviations of a normal distribution."""
_BETTER, _WELL = 0.1, 0.9
"""By how much the correlation with another's reference must be the higher one, and what it must be."""


@dataclass(frozen=True)
class Summary:
    """The set as a whole."""

    cases: int
    pairs: int
    """Cases whose input and reference are of one size, and could be read."""
    identical: int
    shifts: int
    """Pairs of which a shift could be told."""
    median_shift: float | None
    """Pixels."""
    median_gain: float | None
    """Brightness of references over that of inputs."""


@dataclass(frozen=True)
class Lint:
    """The findings, the measures of every pair, and the set as a whole."""

    findings: tuple[Finding, ...]
    pairs: Mapping[str, Pair]
    summary: Summary


def lint_pairs(split: Split, on_case: Callable[[], None] | None = None) -> Lint:
    """Measure every pair of a split and return what looks wrong.

    Args:
        split: the split.
        on_case: called after each case.

    Raises:
        EvaluatorError: the split has no references, or files are missing.
    """
    if not split.has_references:
        raise EvaluatorError(f"{split.task.id}/{split.name} has no references: there are no pairs to look at.")
    pairs: dict[str, Pair] = {}
    findings: list[Finding] = []
    for case in split.case_ids:
        found = _read(split, case)
        if isinstance(found, Pair):
            pairs[case] = found
        else:
            findings += found
        if on_case is not None:
            on_case()
    label = f"{split.task.id}/{split.name}"
    for case, pair in pairs.items():
        findings += _judge(case, pair)
    findings += _twice(pairs) + _partners(split, pairs) + _exposures(label, pairs) + _all_swapped(label, pairs)
    return Lint(tuple(findings), pairs, _summary(split, pairs))


def _read(split: Split, case: str) -> Pair | list[Finding]:
    try:
        given, reference = split.input(case), split.reference(case)
    except EvaluatorError as error:
        return list(error.findings)
    assert reference is not None  # noqa: S101 - the split has references
    if given.array.shape[:2] != reference.array.shape[:2]:
        sizes = [f"{p.array.shape[1]}×{p.array.shape[0]}" for p in (given, reference)]
        got = f"{sizes[0]} and {sizes[1]}"
        return [Finding.note("pair-size", case, "input and reference of one size", got, "The pair is not looked at.")]
    return measure(given, reference)


def _judge(case: str, pair: Pair) -> list[Finding]:
    findings = []
    if pair.identical:
        fix = "A method that leaves it alone is infinitely good there: leave it out, or say it in the task's notes."
        got = "one image twice, value for value"
        findings.append(Finding.warning("pair-identical", case, "an input that differs from its reference", got, fix))
    if pair.shift is not None and pair.shift.length > SHIFT_LIMIT:
        got = f"{pair.shift.right:+.2f} px to the right, {pair.shift.down:+.2f} px down"
        fix = "Register the pair; as it is, a method is paid for moving the image."
        expected = f"an input less than {SHIFT_LIMIT} px off its reference"
        findings.append(Finding.warning("pair-shift", case, expected, got, fix))
    if pair.sides is not None and pair.sides.swapped:
        fix = "Look whether input and reference were swapped."
        expected = "an input noisier, or less sharp, than its reference"
        findings.append(Finding.warning("pair-sides", case, expected, pair.sides.swapped, fix))
    return findings


def _twice(pairs: Mapping[str, Pair]) -> list[Finding]:
    """Return what is said of cases that share an input, a reference, or both."""
    inputs, references = defaultdict(list), defaultdict(list)
    for case, pair in pairs.items():
        inputs[pair.digests[0]].append(case)
        references[pair.digests[1]].append(case)
    findings = []
    for cases in (c for c in inputs.values() if len(c) > 1):
        same = len({pairs[case].digests[1] for case in cases}) == 1
        got = "the same pair" if same else "the same input, with different references"
        fix = "Keep one: it counts more than the others." if same else "No method can get both right: keep one."
        findings.append(Finding.warning("pair-twice", some(cases), "an input of its own for each case", got, fix))
    for cases in (c for c in references.values() if len({pairs[case].digests[0] for case in c}) > 1):
        got, fix = "the same reference", "Well if it was meant; their scores are not independent."
        findings.append(Finding.note("pair-twice", some(cases), "a reference of its own for each case", got, fix))
    return findings


def _partners(split: Split, pairs: Mapping[str, Pair]) -> list[Finding]:
    """Return the cases whose input fits the reference of another case clearly better than its own."""
    cases = [case for case, pair in pairs.items() if pair.thumbnails is not None]
    if len(cases) < 2:
        return []
    inputs, references = (_stack(pairs, cases, side) for side in (0, 1))
    findings = []
    for place, case in enumerate(cases):
        fit = references @ inputs[place]
        best = int(np.argmax(fit))
        if fit[best] > _WELL and fit[best] - fit[place] > _BETTER and _confirmed(split, case, cases[best]):
            got = (
                f"one that fits the reference of {cases[best]} ({fit[best]:.2f}) better than its own ({fit[place]:.2f})"
            )
            fix = "Look whether files were mixed up."
            findings.append(Finding.warning("pair-partner", case, "an input of its own reference's scene", got, fix))
    return findings


def _stack(pairs: Mapping[str, Pair], cases: Sequence[str], side: int) -> NDArray[np.float32]:
    kept = [pairs[case].thumbnails for case in cases]
    return np.stack([both[side] for both in kept if both is not None])


def _confirmed(split: Split, case: str, other: str) -> bool:
    """Tell whether the details fit the other's reference better, too: thumbnails of plain scenes are much alike."""
    given, own, foreign = split.input(case), split.reference(case), split.reference(other)
    assert own is not None  # noqa: S101
    assert foreign is not None  # noqa: S101
    if foreign.array.shape[:2] != given.array.shape[:2]:
        return True
    return agreement(luma(given), luma(foreign)) > agreement(luma(given), luma(own)) + _BETTER


def _exposures(label: str, pairs: Mapping[str, Pair]) -> list[Finding]:
    """Return the pairs whose gain is not that of the others, and a note if the set as a whole has one.

    Tasks that brighten have one by their nature; a pair that differs from all others has not.
    """
    gains = {case: math.log(pair.gain) for case, pair in pairs.items() if pair.gain is not None}
    if not gains:
        return []
    middle = float(np.median(list(gains.values())))
    spread = _SPREAD * float(np.median([abs(gain - middle) for gain in gains.values()]))
    limit = max(math.log(GAIN_LIMIT), spread)
    findings = []
    for case, gain in gains.items():
        if abs(gain - middle) > limit:
            got, expected = f"{math.exp(gain):.2f} times", f"a reference {math.exp(middle):.2f} times as bright"
            fix = "Look whether it was exposed otherwise than the rest of the set."
            findings.append(Finding.warning("pair-exposure", case, f"{expected}, as in most pairs", got, fix))
    if abs(middle) > math.log(GAIN_LIMIT):
        got, fix = f"{math.exp(middle):.2f} times in most pairs", "Well if the task is to change the brightness."
        findings.append(Finding.note("pair-exposure", label, "a reference as bright as its input", got, fix))
    return findings


def _all_swapped(label: str, pairs: Mapping[str, Pair]) -> list[Finding]:
    sides = [pair.sides for pair in pairs.values() if pair.sides is not None]
    swapped = sum(bool(each.swapped) for each in sides)
    if swapped < max(2, _MANY * len(sides)):
        return []
    got, fix = f"{swapped} of {len(sides)} the other way round", "Look whether the folders of the two were swapped."
    return [Finding.warning("pair-sides", label, "inputs noisier, or less sharp, than references", got, fix)]


def _summary(split: Split, pairs: Mapping[str, Pair]) -> Summary:
    shifts = [pair.shift.length for pair in pairs.values() if pair.shift is not None]
    gains = [pair.gain for pair in pairs.values() if pair.gain is not None]
    return Summary(
        cases=len(split.case_ids),
        pairs=len(pairs),
        identical=sum(pair.identical for pair in pairs.values()),
        shifts=len(shifts),
        median_shift=float(np.median(shifts)) if shifts else None,
        median_gain=float(np.median(gains)) if gains else None,
    )
