"""Read a TOML file that a person wrote into a strict pydantic model; say everything that is wrong with it at once."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from evaluator.findings import Finding, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

SIZE_LIMIT = 64 * 1024
"""Bytes; a longer manifest or task file is refused unread."""


def parse_toml(model: type[Model], data: bytes, file: str, code: str) -> tuple[Model | None, list[Finding]]:
    """Parse TOML bytes into `model`.

    Args:
        model: a pydantic model with `extra="forbid"`.
        data: the file's bytes.
        file: its name, for findings.
        code: the findings' code.

    Returns:
        The model, or None with one finding for each thing that is wrong.
    """
    if len(data) > SIZE_LIMIT:
        return None, [
            Finding.error(code, file, f"a file of at most {SIZE_LIMIT} bytes", f"{len(data)} bytes", "Shorten it.")
        ]
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError, numbers of absurd length
        return None, [Finding.error(code, file, "TOML in UTF-8", str(error), "Mend the syntax at the place named.")]
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, [_explain(model, problem, file, code) for problem in error.errors(include_url=False)]


def _explain(model: type[BaseModel], problem: Mapping[str, Any], file: str, code: str) -> Finding:
    shown, fields = _walk(model, tuple(str(part) for part in problem["loc"]))
    key = ".".join(shown) or "the file"
    if problem["type"] == "extra_forbidden":
        known = sorted(fields)
        hint = did_you_mean(shown[-1], known).strip() or f"Keys allowed here: {', '.join(known) or 'none'}."
        return Finding.error(code, file, "only known keys", f"the key {key}", hint)
    if problem["type"] == "missing":
        return Finding.error(code, file, f"the key {key}", "nothing", "Add it.")
    try:
        got = repr(problem.get("input"))
    except RecursionError:  # dotted keys nest without limit
        got = "a value nested too deeply to be shown"
    message = str(problem["msg"]).removeprefix("Value error, ")
    got = got if len(got) <= 80 else got[:77] + "..."
    return Finding.error(code, file, f"{key}: {message[:1].lower()}{message[1:]}", got, f"Correct {key}.")


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> tuple[list[str], set[str]]:
    """Follow an error's path; return it as the file's author knows it, and the keys allowed beside its last part.

    A union's tag, which pydantic puts into the path, stands in no file: it only picks one of the models.
    """
    level, shown, in_mapping = {model}, [], False
    fields = set(model.model_fields)
    for part in (p for p in path if p != "[key]"):  # pydantic's mark for the name in a mapping
        tagged = {kind for kind in level if part in _tags(kind)}
        if in_mapping is False and len(level) > 1 and tagged:
            level = tagged
            fields = {name for kind in level for name in kind.model_fields}
            continue
        shown.append(part)
        fields = {name for kind in level for name in kind.model_fields}
        if in_mapping:
            in_mapping = False  # a name in a mapping: the models stay
            continue
        annotations = [kind.model_fields[part].annotation for kind in level if part in kind.model_fields]
        if annotations:
            level = {m for annotation in annotations for m in _models_in(annotation)}
            in_mapping = any(typing.get_origin(annotation) is dict for annotation in annotations)
    return shown, fields


def _tags(kind: type[BaseModel]) -> set[str]:
    """Return the literal values of a model's fields: what a union may tell it by."""
    return {
        str(value)
        for field in kind.model_fields.values()
        if typing.get_origin(field.annotation) is typing.Literal
        for value in typing.get_args(field.annotation)
    }


def _models_in(annotation: Any) -> set[Any]:  # noqa: ANN401 - an annotation is any object
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation):
        return {m for argument in typing.get_args(annotation) for m in _models_in(argument)}
    return set()
