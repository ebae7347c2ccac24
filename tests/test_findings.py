"""Findings say what was expected, what was found, what to do."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from evaluator.findings import EvaluatorError, Finding, Severity, did_you_mean, has_errors

FINDING = TypeAdapter(Finding)
WORDS = ("size", "a.png", "24×20 pixels", "20×24", "Turn it.")
ERROR, WARNING, NOTE = Finding.error(*WORDS), Finding.warning(*WORDS), Finding.note(*WORDS)


def test_line_holds_everything() -> None:
    assert ERROR.line() == "error [size] a.png: expected 24×20 pixels; got 20×24. Turn it."
    assert WARNING.line().startswith("warning [size]")
    assert NOTE.line().startswith("note [size]")


def test_only_errors_are_errors() -> None:
    assert [f.severity for f in (ERROR, WARNING, NOTE)] == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    assert not has_errors([])
    assert not has_errors([WARNING, NOTE])
    assert has_errors([NOTE, ERROR, WARNING])


def test_finding_survives_json_and_refuses_other_fields() -> None:
    assert FINDING.validate_json(FINDING.dump_json(ERROR)) == ERROR == Finding(**ERROR.plain())
    with pytest.raises(ValidationError):
        FINDING.validate_python({**ERROR.plain(), "line": "x"})
    with pytest.raises(ValidationError):
        FINDING.validate_python({**ERROR.plain(), "severity": "fatal"})


def test_finding_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ERROR.severity = Severity.NOTE  # type: ignore[misc]


@given(st.text())
def test_what_is_quoted_can_always_be_shown(text: str) -> None:
    finding = Finding.note("code", text, text, text, text)
    assert finding.line().isprintable()
    assert FINDING.validate_json(FINDING.dump_json(finding)) == finding
    if text.isprintable():
        assert finding.got == text


def test_escapes_say_what_was_there() -> None:
    quoted = Finding.note("code", "a\x1b[31m\n\u202e\udcff.png", "", "", "").file
    assert quoted == "a\\u001b[31m\\u000a\\u202e\\udcff.png"


def test_error_carries_its_findings() -> None:
    error = EvaluatorError("It is wrong.", [ERROR, NOTE])
    assert (str(error), error.findings) == ("It is wrong.", (ERROR, NOTE))
    assert EvaluatorError("It is wrong.").findings == ()


@pytest.mark.parametrize(
    ("word", "hint"),
    [("psnr.f46", " Did you mean 'psnr.f64'?"), ("psnr.f64", " Did you mean 'psnr.f64'?"), ("zzz", "")],
)
def test_nearest_word_is_proposed_if_it_is_near(word: str, hint: str) -> None:
    assert did_you_mean(word, ["ssim.sk_u7", "psnr.f64", "mae"]) == hint


@given(st.text(), st.lists(st.text()))
def test_proposal_is_one_of_the_known_words(word: str, known: list[str]) -> None:
    hint = did_you_mean(word, known)
    assert hint in {"", *(f" Did you mean {k!r}?" for k in known)}
