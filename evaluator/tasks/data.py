"""Where data sets lie: `--data`, then EVALUATOR_DATA, then the user's config file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evaluator.findings import EvaluatorError
from evaluator.remote import Missing, Remote, Url, location
from evaluator.typed_toml import parse_toml


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    data: str | None = None


@dataclass(frozen=True)
class DataRoot:
    """A folder that holds data sets, here or behind a URL, and who named it."""

    path: Path | Url
    origin: str


def config_file() -> Path:
    """Return the path of the user's config file (it need not exist). It may hold one line: `data = "/folder"`."""
    from platformdirs import user_config_path

    return user_config_path("evaluator") / "config.toml"


def cache_folder() -> Path:
    """Return the folder for generated data: EVALUATOR_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_path

    named = os.environ.get("EVALUATOR_CACHE")
    return Path(named) if named else user_cache_path("evaluator")


def find_root(option: Path | Url | str | None = None) -> DataRoot | None:
    """Return the data root that is configured, or None.

    Args:
        option: the folder given by `--data` or a function's argument, or a URL of one; it wins.

    Raises:
        EvaluatorError: the folder named does not exist or cannot be asked for, or the config file is wrong.
    """
    if option is not None:
        return _existing(option, "--data")
    named = os.environ.get("EVALUATOR_DATA")
    if named:
        return _existing(named, "EVALUATOR_DATA")
    file = config_file()
    if file.is_file():
        config, findings = parse_toml(_Config, file.read_bytes(), str(file), "config")
        if config is None:
            raise EvaluatorError(f"The config file {file} cannot be used.", findings)
        if config.data:
            return _existing(config.data, str(file))
    return None


def _existing(named: Path | Url | str, origin: str) -> DataRoot:
    path = location(named)
    try:
        if isinstance(path, Path):
            here = path.is_dir()
        else:
            # A server may list the folders of data sets and not the one around them.
            here = path.scheme in ("http", "https") or Remote(path).entries() is not None
    except Missing:
        here = False
    if not here:
        raise EvaluatorError(f"The data folder {path} (from {origin}) does not exist.")
    return DataRoot(path, origin)
