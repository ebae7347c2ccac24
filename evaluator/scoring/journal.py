"""The journal: every case's scores, appended as they finish, so that a killed run resumes; read back one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from pydantic import TypeAdapter

from evaluator.findings import EvaluatorError
from evaluator.scoring.jobs import CaseResult, unwritten

_VERSION = 4
_NOWHERE = -1
AT_ONCE = 20_000
"""Results that are held in memory together, some 40 MB."""
_RESULT = TypeAdapter(CaseResult)


class Journal(Mapping[str, CaseResult]):
    """One submission's finished cases, by id; in memory is only where in the file each of them lies, or few of them.

    The first line holds the run's key; each further line one finished case. The last line of a case counts.
    """

    def __init__(
        self, path: Path | None, key: str, submission: str, cases: Mapping[str, int], *, keep: bool = False
    ) -> None:
        """Prepare.

        Args:
            path: the file; None: one without a name, which is gone when it is closed.
            key: what else would have to be the same for a case to be scored the same.
            submission: whose it is.
            cases: the number of every case of the split, by its id.
            keep: whether those that are added stay in memory for `in_order`, too, as where they are few.
        """
        self._kept: dict[str, CaseResult] | None = {} if keep else None
        self.path, self.key, self.submission = path, key, submission
        self._cases = cases
        self._places = array("q", [_NOWHERE]) * len(cases)
        self._count = 0
        self._end = 0
        self._file: Any = None

    def open(self) -> None:
        """Open for appending, with the cases that an earlier run with the same key finished.

        A journal of another key (other data, rules or versions) is started anew; a last line cut short is dropped.

        Raises:
            EvaluatorError: another run is writing it, or it cannot be written.
        """
        if self.path is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            self._lock()
            while not self._is_there():  # a run that ended just now has removed it
                self._file.close()
                self._file = self.path.open("a+b", buffering=0)
                self._lock()
        if not self._take_over():
            self._places = array("q", [_NOWHERE]) * len(self._cases)
            self._count = self._end = 0
            self._file.truncate(0)
            self._write([self._head])
            self._end = len(self._head)
        self._file.truncate(self._end)

    @property
    def _head(self) -> bytes:
        return json.dumps({"journal": _VERSION, "key": self.key}).encode() + b"\n"

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows has no flock; there two runs at once are not detected
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise EvaluatorError(
                f"Another run is scoring {self.submission} now ({self.path} is locked). Wait for it, or stop it."
            ) from None

    def _is_there(self) -> bool:
        assert self.path is not None  # noqa: S101 - asked only of a file with a name
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _take_over(self) -> bool:
        """Find the whole lines; tell whether they are of this key and can be read."""
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            file.seek(0)
            if file.readline() != self._head:
                return False
            self._end = len(self._head)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    self._note(_RESULT.validate_json(line).case)
                except ValueError:
                    break  # what stands before it is whole: a power cut may leave anything
                self._end += len(line)
        return True

    def _note(self, case: str) -> None:
        if case in self._cases:
            number = self._cases[case]
            self._count += int(self._places[number] == _NOWHERE)
            self._places[number] = self._end

    def __getitem__(self, case: str) -> CaseResult:
        place = self._places[self._cases[case]]
        if place == _NOWHERE:
            raise KeyError(case)
        self._file.seek(place)
        line, size = b"", 1 << 12
        while not line.endswith(b"\n"):
            part = self._file.read(size)
            if not part:
                break
            line += part[: part.find(b"\n") + 1] or part
        return self._parsed(line)

    def _parsed(self, line: bytes) -> CaseResult:
        if not line.endswith(b"\n"):
            raise EvaluatorError(f"The journal of {self.submission} was cut short while it was in use.")
        return _RESULT.validate_json(line)

    def __contains__(self, case: object) -> bool:
        return case in self._cases and self._places[self._cases[case]] != _NOWHERE  # type: ignore[index]

    def __iter__(self) -> Iterator[str]:
        return (case for case in self._cases if case in self)

    def __len__(self) -> int:
        return self._count

    def in_order(self, cases: Sequence[str]) -> Sequence[CaseResult]:
        """Return the results of cases, all finished, in this order: read once if they are few, else one at a time."""
        if self._kept is not None and all(case in self._kept for case in cases):
            return [self._kept[case] for case in cases]
        if len(cases) > AT_ONCE:
            return _View(self, cases)
        self._file.seek(0)
        data = self._file.read()
        places = [self._places[self._cases[case]] for case in cases]
        if _NOWHERE in places:
            raise KeyError(cases[places.index(_NOWHERE)])
        return [self._parsed(data[place : data.find(b"\n", place) + 1]) for place in places]

    def forget(self, case: str) -> None:
        """Count a case as not finished."""
        self._count -= int(case in self)
        if self._kept is not None:
            self._kept.pop(case, None)
        self._places[self._cases[case]] = _NOWHERE

    def add(self, results: Sequence[CaseResult]) -> None:
        """Add finished cases.

        Raises:
            EvaluatorError: they cannot be written; those before are kept.
        """
        lines = [_RESULT.dump_json(result) + b"\n" for result in results]
        self._write(lines)
        for line, result in zip(lines, results, strict=True):
            self._note(result.case)
            self._end += len(line)
        if self._kept is not None:
            self._kept |= {result.case: result for result in results}

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            data = memoryview(b"".join(lines))
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # half a line is dropped when it is opened again
                self._file.truncate(self._end)
            raise unwritten(self.path or tempfile.gettempdir(), error) from None

    def close(self) -> None:
        """Close it and leave it for the next run."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Close and remove it: its content stands in the scorecard now."""
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        self.close()


class _View(Sequence[CaseResult]):
    def __init__(self, journal: Journal, cases: Sequence[str]) -> None:
        self._journal, self._cases = journal, cases

    def __len__(self) -> int:
        return len(self._cases)

    @overload
    def __getitem__(self, number: int) -> CaseResult: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[CaseResult]: ...

    def __getitem__(self, number: int | slice) -> CaseResult | Sequence[CaseResult]:
        if isinstance(number, slice):
            return _View(self._journal, self._cases[number])
        return self._journal[self._cases[number]]
