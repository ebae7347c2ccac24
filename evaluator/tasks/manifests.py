"""Manifests: `sha256sum` lines that pin what a split is made of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from evaluator.findings import EvaluatorError


def parse_manifest(text: str, name: str) -> dict[str, str]:
    """Return `{path: sha256}` of a manifest in the format of `sha256sum`.

    Raises:
        EvaluatorError: a line is not `<64 hex digits>  <path>`.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, _, path = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not path or path in entries:
            raise EvaluatorError(f"{name}, line {number}: expected '<sha256>  <path>', each path once; got {line!r}.")
        entries[path] = digest
    return entries


def format_manifest(entries: Mapping[str, str]) -> str:
    """Return a manifest's text, sorted by path."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(entries.items()))


def manifest_digest(entries: Mapping[str, str]) -> str:
    """Return the sha256 of a manifest: the data set's digest."""
    return hashlib.sha256(format_manifest(entries).encode()).hexdigest()
