"""What a worker told: words and findings, none of which can be believed, made fit to be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evaluator.findings import Finding
from evaluator.text import safe

_FINDING = TypeAdapter(Finding)
_TEXT_LIMIT = 2000
_CODE = re.compile("[a-z0-9-]{1,40}")


def findings_of(text: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return the findings in a worker's answer, with nothing in them that could steer a terminal."""
    given = text.get("findings")
    found = []
    for item in given if isinstance(given, list) else ():
        try:
            told = _FINDING.validate_python(item)
        except ValidationError:
            continue
        words = map(shown, (told.file, told.expected, told.got, told.fix))
        found.append(Finding(_code_of(told.code), told.severity, *words))
    return tuple(found)


def problem_fields(problem: Mapping[str, Any]) -> dict[str, str]:
    """Return code, expected, got and fix as a worker told them, with nothing in them that could steer a terminal."""
    told = {name: shown(str(problem.get(name, ""))) for name in ("code", "expected", "got", "fix")}
    return {**told, "code": _code_of(told["code"])}


def _code_of(told: str) -> str:
    """Return a finding's code as a worker told it, if it can be one."""
    return told if _CODE.fullmatch(told) else "run-failed"


def leads_inside(name: object) -> bool:
    """Tell whether a name that a worker gave can be that of a file in a folder of its own."""
    if not isinstance(name, str) or not name.isprintable():
        return False
    return not any(part in ("", ".", "..") for part in name.split("/"))


def shown(text: str) -> str:
    """Return a worker's words as one line without control characters, cut to a length."""
    line = safe(text.strip())
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"
