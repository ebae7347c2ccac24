"""TOML written by people: strict, all mistakes at once, and no input that raises."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from evaluator.findings import Finding, Severity
from evaluator.typed_toml import SIZE_LIMIT, parse_toml


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wheel(Strict):
    diameter: int = Field(gt=0)


class Car(Strict):
    kind: Literal["car"]
    wheels: tuple[Wheel, ...] = ()
    trailer: Wheel | None = None


class Boat(Strict):
    kind: Literal["boat"]
    anchor: int = 1


class Garage(Strict):
    name: str
    open: bool = True
    main: Wheel = Wheel(diameter=1)
    vehicles: dict[str, Annotated[Car | Boat, Field(discriminator="kind")]] = {}


def parse(text: str | bytes) -> tuple[Garage | None, list[Finding]]:
    return parse_toml(Garage, text.encode() if isinstance(text, str) else text, "garage.toml", "garage")


def refusals(text: str | bytes) -> list[Finding]:
    model, findings = parse(text)
    assert model is None
    assert findings
    assert {(f.code, f.file, f.severity) for f in findings} == {("garage", "garage.toml", Severity.ERROR)}
    return findings


def test_right_file_has_no_findings() -> None:
    model, findings = parse('name = "G"\n[vehicles.old]\nkind = "car"\nwheels = [{ diameter = 3 }]')
    assert findings == []
    assert model == Garage(name="G", vehicles={"old": Car(kind="car", wheels=(Wheel(diameter=3),))})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("opne = true", "Did you mean 'open'?"),
        ("main = { diameter = 1, diametre = 2 }", "Did you mean 'diameter'?"),
        ('vehicles.x = { kind = "car", wheel = [] }', "Did you mean 'wheels'?"),
        ('vehicles.x = { kind = "boat", anchr = 2 }', "Did you mean 'anchor'?"),
        ('vehicles.x = { kind = "car", wheels = [{ diameter = 1, diam = 2 }] }', "Did you mean 'diameter'?"),
        ('vehicles.x = { kind = "car", trailer = { diameter = 1, diamete = 2 } }', "Did you mean 'diameter'?"),
        ("zzzzz = 1", "Keys allowed here: main, name, open, vehicles."),
        ("main = { diameter = 1, zzzzz = 2 }", "Keys allowed here: diameter."),
    ],
)
def test_unknown_key_is_answered_with_what_its_place_allows(text: str, hint: str) -> None:
    (finding,) = refusals('name = "G"\n' + text)
    assert finding.expected == "only known keys"
    assert hint in finding.fix


@pytest.mark.parametrize("name", ["x", "car", "boat", "open", "kind"])
def test_key_in_a_table_of_any_name_is_named_as_in_the_file(name: str) -> None:
    # The kind that a table chose is part of no key, whereas a table may be called like a kind or another key.
    wheels = "wheels = [{ diameter = 1, diam = 2 }]"
    found = refusals(f'name = "G"\nvehicles.{name} = {{ kind = "car", trailr = 1, {wheels} }}')
    assert {f.got: f.fix for f in found} == {
        f"the key vehicles.{name}.trailr": "Did you mean 'trailer'?",
        f"the key vehicles.{name}.wheels.0.diam": "Did you mean 'diameter'?",
    }


def test_missing_and_wrong_values_of_a_chosen_kind_are_named_as_in_the_file() -> None:
    found = refusals('vehicles.x = { kind = "car", wheels = [{}], trailer = { diameter = 0 } }\nname = "G"')
    assert {f.expected.split(":")[0] for f in found} == {
        "the key vehicles.x.wheels.0.diameter",
        "vehicles.x.trailer.diameter",
    }


def test_hint_is_a_key_of_the_kind_that_was_chosen() -> None:
    (finding,) = refusals('name = "G"\nvehicles.x = { kind = "car", anchr = 2 }')
    assert finding.fix == "Keys allowed here: kind, trailer, wheels."


def test_every_mistake_is_said_at_once() -> None:
    found = {f.expected.split(":")[0]: f.got for f in refusals("open = 5\nmain = { diameter = 0 }\nx = 1")}
    assert found == {"the key name": "nothing", "open": "5", "main.diameter": "0", "only known keys": "the key x"}


def test_long_value_is_shortened() -> None:
    (finding,) = refusals(f'name = "G"\nopen = "{"x" * 5000}"')
    assert len(finding.got) == 80
    assert finding.got.endswith("...")


@pytest.mark.parametrize(
    "text", ["name = ", "= 1", "name = 'a'\nname = 'b'", "[a", b"name = '\xff'", b"\xef\xbb\xbf\x00"]
)
def test_syntax_errors_are_findings(text: str | bytes) -> None:
    (finding,) = refusals(text)
    assert finding.expected == "TOML in UTF-8"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 20_000, "a = " + "{a=" * 9_000, "a = " + "1" * 5_000], ids=["arrays", "tables", "number"]
)
def test_nesting_and_numbers_beyond_all_reason_are_findings(text: str) -> None:
    (finding,) = refusals(text)
    assert finding.expected == "TOML in UTF-8"
    assert len(finding.line()) < 300


def test_syntax_error_names_its_place() -> None:
    assert "line 2, column 8" in refusals('name = "G"\nopen = maybe')[0].got


def test_size_is_limited_exactly() -> None:
    text = 'name = "G"\n#'
    assert parse(text + "x" * (SIZE_LIMIT - len(text)))[1] == []
    (finding,) = refusals(text + "x" * (SIZE_LIMIT - len(text) + 1))
    assert finding.got == f"{SIZE_LIMIT + 1} bytes"


@given(st.one_of(st.binary(max_size=80), st.text("name=\"'[]{}.\n#1-:T ", max_size=80).map(str.encode)))
def test_no_bytes_raise(data: bytes) -> None:
    model, findings = parse(data)
    assert (model is None) == bool(findings)


def test_keys_nested_without_end_are_one_finding() -> None:
    model, (finding,) = parse_toml(Garage, b"name" + b".a" * 30_000 + b" = 1", "x.toml", "manifest")
    assert model is None
    assert "too deeply" in finding.got
