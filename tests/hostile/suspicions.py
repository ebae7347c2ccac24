"""3.7: cheating that no sandbox sees: it is scored, and shown to the organiser."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from hostile.kind import CASES, Class, Place

from evaluator.images import encode_png

suspicions = Class()
kind = suspicions.kind


@kind("scored", "equals-reference")
def the_references_themselves(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        shutil.copy(place.reference(case), at / f"{case}.png")


@kind("scored", "equals-reference")
def the_references_in_another_form(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        np.save(at / f"{case}.npy", (place.references[case] / 255).astype(np.float16))


@kind("scored", "equals-input", score="input")
def the_inputs_themselves(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        (at / f"{case}.png").write_bytes(encode_png(place.inputs[case]))


@kind("scored", "equals-other", score="honest")
def the_outputs_of_another_team(place: Place, at: Path) -> None:
    place.put(at)


@kind("scored", "duplicate-cases")
def one_output_for_every_case(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        (at / f"{case}.png").write_bytes(place.png("a"))


@kind("scored", "fitted-gain")
def the_inputs_fitted_to_the_references(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        given, wanted = (x[case].astype(np.float64) for x in (place.inputs, place.references))
        fitted = np.clip(given * (np.sum(given * wanted) / np.sum(given**2)), 0, 255)
        (at / f"{case}.png").write_bytes(encode_png(np.rint(fitted).astype(np.uint8)))


@kind("scored", never=("equals-reference", "equals-input", "fitted-gain", "duplicate-cases", "equals-other"))
def an_honest_output_of_another_team(place: Place, at: Path) -> None:
    at.mkdir()
    for case in CASES:
        (at / f"{case}.png").write_bytes(encode_png(place.honest(case, error=6)))
