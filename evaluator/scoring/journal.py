"""The journal: every case's scores, appended as they finish, so that a killed run resumes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluator.findings import EvaluatorError, Finding
from evaluator.metrics import Score, State
from evaluator.scoring.jobs import CaseResult

_VERSION = 2


class Journal:
    """One submission's journal. The first line holds the run's key; each further line one finished case."""

    def __init__(self, path: Path, key: str, submission: str) -> None:
        self.path = path
        self.key = key
        self.submission = submission
        self._file: Any = None

    def open(self) -> dict[str, CaseResult]:
        """Open for appending; return the cases that an earlier run with the same key finished.

        A journal of another key (other data, rules or versions) is started anew; a last line cut short is dropped.

        Raises:
            EvaluatorError: another run is writing it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+b")
        self._file = file
        self._lock()
        file.seek(0)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        done = self._parse(whole)
        if done is None:
            file.truncate(0)
            self._write({"journal": _VERSION, "key": self.key})
            return {}
        file.truncate(len(whole))
        return done

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows has no flock; there two runs at once are not detected
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise EvaluatorError(
                f"Another run is scoring {self.submission} now ({self.path} is locked). Wait for it, or stop it."
            ) from None

    def _parse(self, data: bytes) -> dict[str, CaseResult] | None:
        lines = data.splitlines()
        try:
            head = json.loads(lines[0]) if lines else None
            if head != {"journal": _VERSION, "key": self.key}:
                return None
            results = [self._result(json.loads(line)) for line in lines[1:]]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return {r.case: r for r in results}

    def _result(self, values: dict[str, Any]) -> CaseResult:
        scores = {
            m: Score(State(s["state"]), s["value"], s["detail"], s["extra"]) for m, s in values.pop("scores").items()
        }
        findings = tuple(Finding.model_validate(f) for f in values.pop("findings"))
        marks = tuple(values.pop("marks"))
        return CaseResult(scores=scores, findings=findings, marks=marks, **values)

    def append(self, result: CaseResult) -> None:
        """Add a finished case."""
        values = asdict(result)
        values["findings"] = [f.model_dump(mode="json") for f in result.findings]
        self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        self._file.write(json.dumps(values, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close it and leave it for the next run."""
        self._file.close()

    def remove(self) -> None:
        """Close and remove it: its content stands in the scorecard now."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._file.close()
