"""The networks in Keras among the baselines take images of any size, and say what they cannot take."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from evaluator.ingest import baseline_files, baseline_manifest, baseline_names
from model_support import Frameworks, needed

NAMES = [n for n in baseline_names() if (m := baseline_manifest(n)).network and m.model and m.model.layout == "NHWC"]


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder with a baseline's files, as it is run."""
    needed("tensorflow")
    made = tmp_path / request.param
    made.mkdir()
    for file, path in baseline_files(request.param).items():
        shutil.copyfile(path, made / file)
    return made


def test_they_are_found() -> None:
    assert {"fast-dped", "lpienet", "lpienet-l"} <= set(NAMES)


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_any_size_and_no_other_channels(frameworks: Frameworks, folder: Path) -> None:
    says = baseline_manifest(folder.name).model_dump(mode="json", by_alias=True)
    random = np.random.default_rng(0)
    for size in ((37, 50), (5, 9), (1, 1)):
        answer = frameworks.restore(folder, says, random.integers(0, 256, (*size, 3), dtype=np.uint8))
        assert answer.output is not None, answer.said
        assert answer.output.shape == (*size, 3)
        assert np.isfinite(answer.output).all()
    gray = random.integers(0, 256, (16, 16, 1), dtype=np.uint8)
    answer = frameworks.restore(folder, says, gray)
    assert answer.code == "model-shape"
    assert "1 channels" in answer.said
