"""A mini split that several threads ask for at once is made by one of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from evaluator.tasks import load_task
from evaluator.tasks.mini import GENERATORS
from evaluator.tasks.readers import GeneratedReader


def test_threads_that_ask_at_once_all_get_it_and_it_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = load_task("sidd").split("mini")
    assert isinstance(split.reader, GeneratedReader)
    reader = GeneratedReader(split.reader.generator, tmp_path / "cache" / "set", split.reader.manifest)
    made, real = [], GENERATORS[reader.generator]
    monkeypatch.setitem(GENERATORS, reader.generator, lambda: made.append(1) or real())  # type: ignore[func-returns-value]
    start = threading.Barrier(4)

    def read(number: int) -> float:
        start.wait()
        pixels = reader.reference(split.case_ids[number])
        assert pixels is not None
        return float(np.mean(pixels.array))

    with ThreadPoolExecutor(4) as pool:
        assert all(value > 0 for value in pool.map(read, range(4)))
    assert made == [1]
    assert reader.group(split.case_ids[0]) == split.group(split.case_ids[0])
