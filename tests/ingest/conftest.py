"""Submissions of a few small pictures, as folders and as zip archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from evaluator.images import encode_png

Files = Mapping[str, bytes]
Put = Callable[[str, Files], Path]


@pytest.fixture(scope="session")
def png() -> bytes:
    """A gradient of 6×4 pixels."""
    return encode_png(np.arange(72, dtype=np.uint8).reshape(4, 6, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Put:
    """Write a folder: `folder("name", {"a.png": data})`."""

    def put(name: str, files: Files) -> Path:
        root = tmp_path / name
        root.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root

    return put


@pytest.fixture
def archive(tmp_path: Path) -> Put:
    """Write a zip archive, its members named as they are."""

    def put(name: str, files: Files) -> Path:
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for file, data in files.items():
                # ZipInfo's constructor would change separators; the attribute is written as it is.
                info = zipfile.ZipInfo("x")
                info.filename = file
                info.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(info, data)
        return path

    return put
