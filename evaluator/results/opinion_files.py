"""Read what people said: a CSV file with a line a rating, or a line a choice between two."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding, did_you_mean

RATING_COLUMNS = ("rater", "submission", "case", "score")
CHOICE_COLUMNS = ("rater", "case", "first", "second", "choice")
CHOICES = ("first", "second", "tie")
_NUMBER = re.compile(r"[+-]?(\d{1,9})(\.\d{1,9})?", re.ASCII)
_SIZE_LIMIT = 1 << 30
_LONGEST = 200
_LISTED = 50
"""Findings that are told one by one; a file can have a million."""


@dataclass
class _Words:
    """Words as numbers, in the order in which they come."""

    numbers: dict[str, int] = field(default_factory=dict)

    def __call__(self, word: str) -> int:
        return self.numbers.setdefault(word, len(self.numbers))


@dataclass(frozen=True)
class RatingRows:
    """Ratings: four columns of equal length, the first three as numbers."""

    raters: Sequence[int]
    submissions: Sequence[int]
    """Positions in `names`."""
    cases: Sequence[int]
    scores: Sequence[float]
    names: tuple[str, ...]
    """The submissions that were rated, sorted."""
    sha256: str


@dataclass(frozen=True)
class ChoiceRows:
    """Choices: columns of equal length."""

    raters: Sequence[int]
    first: Sequence[int]
    """Positions in `names`."""
    second: Sequence[int]
    wins: Sequence[float]
    """Of the first: 1, 0, or 0.5 for a tie."""
    names: tuple[str, ...]
    sha256: str


class _Faults:
    def __init__(self, file: Path) -> None:
        self.file, self.count, self.findings = file, 0, list[Finding]()

    def add(self, line: int, expected: str, got: str, fix: str) -> None:
        self.count += 1
        if len(self.findings) < _LISTED:
            where = f"{self.file.name}, line {line}"
            self.findings.append(Finding.error("opinion-line", where, expected, got[:_LONGEST], fix))

    def raise_if_any(self) -> None:
        if self.count:
            more = f"; the first {_LISTED} are told" if self.count > _LISTED else ""
            faults = f"{self.count} fault{'s' if self.count > 1 else ''}"
            raise EvaluatorError(f"{self.file} has {faults}, and nothing of it was taken{more}.", self.findings)


def read_ratings(file: Path, known: Collection[str], scale: tuple[float, float]) -> RatingRows:
    """Read ratings: columns `rater`, `submission`, `case`, `score`, in any order.

    Args:
        file: CSV with a head, UTF-8.
        known: the ids of submissions.
        scale: the lowest and the highest score.

    Raises:
        EvaluatorError: it is no such file, or a line is at fault: an unknown submission, a score that is no number or
            off the scale, the same rater, submission and case twice. The findings name the lines.
    """
    data = _bytes(file)
    faults, raters, cases = _Faults(file), _Words(), _Words()
    names = {name: number for number, name in enumerate(sorted(known))}
    seen: dict[tuple[int, int, int], int] = {}
    rows: list[tuple[int, int, int, float]] = []
    for line, (rater, submission, case, score) in _lines(file, data, RATING_COLUMNS, faults):
        if not _is_known(submission, names, line, faults):
            continue
        value = float(score) if _NUMBER.fullmatch(score) else None
        if value is None or not scale[0] <= value <= scale[1]:
            faults.add(line, f"a score from {scale[0]:g} to {scale[1]:g}", repr(score), "Correct it, or give --scale.")
            continue
        key = raters(rater), names[submission], cases(case)
        if (before := seen.setdefault(key, line)) != line:
            fix = f"Line {before} has the same rater, submission and case: keep one."
            faults.add(line, "one rating of an output by each rater", "another", fix)
            continue
        rows.append((*key, value))
    faults.raise_if_any()
    if not rows:
        raise EvaluatorError(f"{file} has a head and no rating.")
    rated, used = _only_used([row[1] for row in rows], sorted(known))
    columns = list(zip(*rows, strict=True))
    return RatingRows(columns[0], rated, columns[2], columns[3], used, hashlib.sha256(data).hexdigest())


def read_choices(file: Path, known: Collection[str]) -> ChoiceRows:
    """Read choices: columns `rater`, `case`, `first`, `second`, `choice` (`first`, `second` or `tie`), in any order.

    Args:
        file: CSV with a head, UTF-8.
        known: the ids of submissions.

    Raises:
        EvaluatorError: it is no such file, or a line is at fault: an unknown submission, one compared with itself,
            another choice, the same rater, case, first and second twice. The findings name the lines.
    """
    data = _bytes(file)
    faults, raters, cases = _Faults(file), _Words(), _Words()
    names = {name: number for number, name in enumerate(sorted(known))}
    seen: dict[tuple[int, int, int, int], int] = {}
    rows: list[tuple[int, int, int, float]] = []
    for line, (rater, case, first, second, choice) in _lines(file, data, CHOICE_COLUMNS, faults):
        if not all([_is_known(name, names, line, faults) for name in (first, second)]):
            continue
        if first == second:
            faults.add(line, "two submissions", f"{first} twice", "Correct one of them.")
            continue
        if choice not in CHOICES:
            faults.add(line, "the choice first, second or tie", repr(choice), "Correct it.")
            continue
        key = raters(rater), cases(case), names[first], names[second]
        if (before := seen.setdefault(key, line)) != line:
            fix = f"Line {before} has the same rater, case, first and second: keep one."
            faults.add(line, "one choice between two outputs, in this order, by each rater", "another", fix)
            continue
        rows.append((key[0], key[2], key[3], {"first": 1.0, "second": 0.0, "tie": 0.5}[choice]))
    faults.raise_if_any()
    if not rows:
        raise EvaluatorError(f"{file} has a head and no choice.")
    columns = list(zip(*rows, strict=True))
    both, used = _only_used([*columns[1], *columns[2]], sorted(known))
    digest = hashlib.sha256(data).hexdigest()
    return ChoiceRows(columns[0], both[: len(rows)], both[len(rows) :], columns[3], used, digest)


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > _SIZE_LIMIT:
            raise EvaluatorError(f"{file} is larger than {_SIZE_LIMIT >> 30} GiB: no file of opinions.")
        return file.read_bytes()
    except OSError as error:
        raise EvaluatorError(f"{file} cannot be read ({error.strerror}).") from None


def _lines(file: Path, data: bytes, columns: tuple[str, ...], faults: _Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line and its cells, in the order of `columns`; note lines of another width."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EvaluatorError(f"{file} is not UTF-8 (line {line}). Save it as CSV in UTF-8.") from None
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [cell.strip() for cell in next(table, [])]
        if sorted(head) != sorted(columns):
            got = ",".join(head)[:_LONGEST] or "nothing"
            raise EvaluatorError(
                f"{file} is no file of this kind.",
                [
                    Finding.error(
                        "opinion-file", file.name, f"a head {','.join(columns)}", got, "Write it as first line."
                    )
                ],
            )
        order = [head.index(name) for name in columns]
        for cells in table:
            if not cells:
                continue
            values = [cell.strip() for cell in cells]
            if len(values) != len(columns) or not all(values) or max(map(len, values)) > _LONGEST:
                expected = f"{len(columns)} cells of 1 to {_LONGEST} characters"
                got = f"{len(values)}" + (", some empty or longer" if len(values) == len(columns) else "")
                faults.add(table.line_num, expected, got, "Correct the line.")
                continue
            yield table.line_num, [values[i] for i in order]
    except csv.Error as error:
        raise EvaluatorError(f"{file} is no CSV (line {table.line_num}: {error}).") from None


def _is_known(name: str, names: dict[str, int], line: int, faults: _Faults) -> bool:
    if name in names:
        return True
    # Looking for what was meant takes time: not for a file full of them.
    hint = did_you_mean(name, names) if faults.count < _LISTED else ""
    faults.add(line, "the id of a submission with a scorecard", repr(name), f"Correct it, or score it first.{hint}")
    return False


def _only_used(positions: Sequence[int], names: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
    """Return positions among those names alone that are used, and these names."""
    used = sorted(set(positions))
    place = {old: new for new, old in enumerate(used)}
    return [place[p] for p in positions], tuple(names[old] for old in used)
