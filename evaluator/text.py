"""Text that comes from others, made fit to be shown. Imports nothing, so that every part of the harness may use it."""

from __future__ import annotations


def safe(text: str) -> str:
    """Return text in which what cannot be shown is spelt out, so that no name or value can steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""What makes a spreadsheet take a text for a formula, and what keeps it from that."""


def harmless(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula: with `'` before it where it would."""
    return f"'{text}" if text.startswith(FORMULA) else text
