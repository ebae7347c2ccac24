"""Where data sets lie: `--data`, then EVALUATOR_DATA, then the user's config file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from evaluator.findings import EvaluatorError
from evaluator.typed_toml import parse_toml


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    data: Path | None = None


@dataclass(frozen=True)
class DataRoot:
    """A folder that holds data sets, and who named it."""

    path: Path
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


def find_root(option: Path | None = None) -> DataRoot | None:
    """Return the data root that is configured, or None.

    Args:
        option: the folder given by `--data` or a function's argument; it wins.

    Raises:
        EvaluatorError: the folder named does not exist, or the config file is wrong.
    """
    if option is not None:
        return _existing(option, "--data")
    named = os.environ.get("EVALUATOR_DATA")
    if named:
        return _existing(Path(named), "EVALUATOR_DATA")
    file = config_file()
    if file.is_file():
        config, findings = parse_toml(_Config, file.read_bytes(), str(file), "config")
        if config is None:
            raise EvaluatorError(f"The config file {file} cannot be used.", findings)
        if config.data:
            return _existing(config.data, str(file))
    return None


def _existing(path: Path, origin: str) -> DataRoot:
    if not path.is_dir():
        raise EvaluatorError(f"The data folder {path} (from {origin}) does not exist.")
    return DataRoot(path, origin)
