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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Finding.error(code, file, "TOML in UTF-8", str(error), "Mend the syntax at the place named.")]
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, [_explain(model, problem, file, code) for problem in error.errors(include_url=False)]


def _explain(model: type[BaseModel], problem: Mapping[str, Any], file: str, code: str) -> Finding:
    path = tuple(str(part) for part in problem["loc"])
    key = ".".join(path) or "the file"
    if problem["type"] == "extra_forbidden":
        known = sorted(_fields_at(model, path[:-1]))
        hint = did_you_mean(path[-1], known).strip() or f"Keys allowed here: {', '.join(known) or 'none'}."
        return Finding.error(code, file, "only known keys", f"the key {key}", hint)
    if problem["type"] == "missing":
        return Finding.error(code, file, f"the key {key}", "nothing", "Add it.")
    got = repr(problem.get("input"))
    message = str(problem["msg"]).removeprefix("Value error, ")
    got = got if len(got) <= 80 else got[:77] + "..."
    return Finding.error(code, file, f"{key}: {message[:1].lower()}{message[1:]}", got, f"Correct {key}.")


def _fields_at(model: type[BaseModel], path: tuple[str, ...]) -> set[str]:
    """Collect the keys of every model that may stand at `path`, looking through containers and unions."""
    level: set[Any] = {model}
    for part in path:
        following: set[Any] = set()
        for kind in level:
            fields = kind.model_fields
            if part in fields:
                following |= _models_in(fields[part].annotation)
            else:  # a name in a mapping, an index in a list, or a union's tag: the models stay
                following.add(kind)
        level = following
    return {name for kind in level for name in kind.model_fields}


def _models_in(annotation: Any) -> set[Any]:  # noqa: ANN401 - an annotation is any object
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation):
        return {m for argument in typing.get_args(annotation) for m in _models_in(argument)}
    return set()
