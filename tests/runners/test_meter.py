"""Timing and memory of models, by the harness's own means."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from evaluator.images import Pixels
from evaluator.runners import Meter, ModelRunner, RunFailed

MakeModel = Callable[..., ModelRunner]
IMAGE = {"input": Pixels(np.zeros((32, 40, 3), np.uint8), 255.0)}


def test_time_is_what_a_run_takes(model: MakeModel) -> None:
    meter = Meter(model("import time\ndef restore(image):\n    time.sleep(0.2)\n    return image\n"), "quality")
    meter.hold(IMAGE)
    begin = time.perf_counter()
    seconds = meter.again()
    assert 0.2 <= seconds <= time.perf_counter() - begin


def test_code_that_turns_back_its_clock_is_timed_all_the_same(model: MakeModel) -> None:
    code = "import time\ntime.perf_counter = time.monotonic = lambda: 0.0\n"
    code += "def restore(image):\n    time.sleep(0.2)\n    return image\n"
    meter = Meter(model(code), "quality")
    meter.hold(IMAGE)
    assert meter.again() >= 0.2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_what_a_run_adds(model: MakeModel) -> None:
    code = "import numpy as np\nkept = np.ones(60_000_000, np.uint8)\n"
    code += "def restore(image):\n    more = np.ones(100_000_000, np.uint8)\n    return image + more[0] * 0\n"
    taken = Meter(model(code), "quality").memory(IMAGE)
    assert 95e6 < taken < 140e6, "what was there before the run is not its own"


def test_a_model_that_fails_says_why(model: MakeModel) -> None:
    meter = Meter(model("def restore(image):\n    raise ValueError('no')\n"), "quality")
    meter.hold(IMAGE)
    with pytest.raises(RunFailed) as caught:
        meter.again()
    assert "ValueError" in caught.value.finding.got


def test_a_run_that_takes_too_long_is_stopped(model: MakeModel) -> None:
    meter = Meter(model("def restore(image):\n    while True: pass\n", case_s=1), "quality")
    meter.hold(IMAGE)
    with pytest.raises(RunFailed) as caught:
        meter.again()
    assert caught.value.limit == "time"
