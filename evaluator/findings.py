"""What `check` and every other stage has to say: findings, and the error that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from evaluator.text import safe

_LISTED = 5


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The case, or the whole submission, cannot be scored as it is."""
    WARNING = "warning"
    """It is scored, but a number may not be what its maker expects."""
    NOTE = "note"
    """No number changes; said so that nothing happens in silence."""


@dataclass(frozen=True)
class Finding:
    """One thing to say about one file: what was expected, what was found, what to do."""

    # No model of pydantic's, whose loading takes as long as the rest of a worker; models that hold findings go by this.
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid"}

    code: str
    severity: Severity
    file: str
    expected: str
    got: str
    fix: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "severity", Severity(self.severity))
        if not isinstance(self.code, str):
            raise TypeError(f"a code is a word, not {self.code!r}")
        for name in ("file", "expected", "got", "fix"):
            object.__setattr__(self, name, safe(getattr(self, name)))

    @classmethod
    def error(cls, code: str, file: str, expected: str, got: str, fix: str) -> Finding:
        """Return a finding of severity error."""
        return cls(code=code, severity=Severity.ERROR, file=file, expected=expected, got=got, fix=fix)

    @classmethod
    def warning(cls, code: str, file: str, expected: str, got: str, fix: str) -> Finding:
        """Return a finding of severity warning."""
        return cls(code=code, severity=Severity.WARNING, file=file, expected=expected, got=got, fix=fix)

    @classmethod
    def note(cls, code: str, file: str, expected: str, got: str, fix: str) -> Finding:
        """Return a finding of severity note."""
        return cls(code=code, severity=Severity.NOTE, file=file, expected=expected, got=got, fix=fix)

    def plain(self) -> dict[str, str]:
        """Return its fields as JSON takes them."""
        return {**vars(self), "severity": self.severity.value}

    def line(self) -> str:
        """Return the finding as one line of text."""
        return f"{self.severity} [{self.code}] {self.file}: expected {self.expected}; got {self.got}. {self.fix}"


class EvaluatorError(Exception):
    """Bad use or bad input: a message for people, shown without a traceback; exit status 2."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether any finding is of severity error."""
    return any(f.severity is Severity.ERROR for f in findings)


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest known word, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
