"""Each limit stops a child under its own name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.runners.sandbox import Child, Isolation, Level, Limits
from evaluator.runners.sandbox import child as child_module

MIB = 1 << 20
Start = Callable[..., Child]


def ended(child: Child) -> str | None:
    assert child.wait(30), "it runs on"
    return child.stopped


def test_time_in_all(limited: Isolation, start: Start) -> None:
    assert ended(start(limited, "import time; time.sleep(60)", limits=Limits(total_s=0.3))) == "time"


def test_time_of_the_processor(limited: Isolation, start: Start) -> None:
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_CPU), flush=True)"
    child = start(limited, code, limits=Limits(total_s=10))
    cores = os.cpu_count() or 1
    assert os.read(child.stdout.fileno(), 100).decode().strip() == str((10 * cores + 1, 10 * cores + 2))
    over = start(limited, "import os, signal; signal.raise_signal(signal.SIGXCPU)")
    assert ended(over) == "time"


SHARED = "import mmap, time\nm = mmap.mmap(-1, {size})\nfor i in range(0, {size}, 4096): m[i] = 1\ntime.sleep(60)"


def test_shared_memory_counts(limited: Isolation, start: Start) -> None:
    child = start(limited, SHARED.format(size=96 * MIB), limits=Limits(memory=64 * MIB))
    assert ended(child) == "memory"
    assert child.resident_peak > 64 * MIB


def test_memory_of_several_processes_counts(limited: Isolation, start: Start) -> None:
    code = "import os, time\nfor _ in range(3):\n    if os.fork() == 0: break\nx = b'1' * (30 << 20)\ntime.sleep(60)"
    assert ended(start(limited, code, limits=Limits(memory=80 * MIB))) == "memory"


def test_more_private_memory_than_allowed_is_not_given(limited: Isolation, start: Start) -> None:
    code = "try: bytes(300 << 20)\nexcept MemoryError: print('refused')"
    child = start(limited, code, limits=Limits(memory=256 * MIB))
    assert os.read(child.stdout.fileno(), 100) == b"refused\n"
    assert ended(child) is None


def test_the_host_keeps_memory_and_disk_for_itself(
    limited: Isolation, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for short in ("memory", "disk"):
        with monkeypatch.context() as patch:
            patch.setattr(child_module, "short_of", lambda scratch, short=short: short)
            assert ended(start(limited, "import time; time.sleep(60)")) == short


def test_the_host_would_rather_lose_it_than_the_harness(isolated: Isolation, start: Start) -> None:
    child = start(isolated, "print(open('/proc/self/oom_score_adj').read(), flush=True)")
    assert int(os.read(child.stdout.fileno(), 10)) == 800


def test_processes(limited: Isolation, start: Start) -> None:
    code = "import os, time\nfor _ in range(10):\n    if os.fork() == 0: break\ntime.sleep(60)"
    assert ended(start(limited, code, limits=Limits(processes=8))) == "processes"


def test_threads_count_as_processes(limited: Isolation, start: Start) -> None:
    code = "import threading, time\nfor _ in range(10): threading.Thread(target=time.sleep, args=[60]).start()"
    assert ended(start(limited, code, limits=Limits(processes=8))) == "processes"


def test_a_flood_of_processes_is_refused_by_the_system(isolated: Isolation, start: Start) -> None:
    code = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: break\ntime.sleep(60)"
    assert ended(start(isolated, code, limits=Limits(processes=20))) == "processes"


def test_log(limited: Isolation, start: Start) -> None:
    child = start(limited, "import os\nwhile True: os.write(2, b'x' * 1000)", limits=Limits(log=100_000))
    assert ended(child) == "log"
    assert child.log() == "x" * 100_000


def test_what_it_logs_is_fit_for_a_terminal(limited: Isolation, start: Start) -> None:
    hostile = "ok\n\x1b[2Jä\r\x9b31m\u202e\x00".encode() + b"\xff"
    child = start(limited, f"import os; os.write(2, {hostile!r})")
    assert ended(child) is None
    assert child.log() == "ok\n\\x1b[2Jä\\r\\x9b31m\\u202e\\x00\\xff"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_named_by_its_signal(limited: Isolation, start: Start, number: signal.Signals) -> None:
    child = start(limited, f"import os; os.kill(os.getpid(), {number.value})")
    assert ended(child) == f"crash: signal {number.value}"


def test_an_abort_is_a_crash(limited: Isolation, start: Start) -> None:
    assert ended(start(limited, "import os; os.abort()")) == "crash: signal 6"


def test_an_exit_is_named_by_its_status_unless_it_is_success(limited: Isolation, start: Start) -> None:
    assert ended(start(limited, "raise SystemExit(3)")) == "exit: status 3"
    assert ended(start(limited, "")) is None


def test_a_program_that_is_not_there_is_said_to_be_missing(limited: Isolation) -> None:
    from evaluator.runners.sandbox import launch

    with launch(["/usr/bin/no-such-program"], isolation=limited, limits=Limits()) as child:
        assert child.wait(20)
        assert (child.stopped or "").startswith("exit: status")
        assert "No such file" in child.log()


def test_the_caller_names_its_own_reasons(limited: Isolation, start: Start) -> None:
    child = start(limited, "import time; time.sleep(60)")
    assert child.running
    assert child.stopped is None
    child.stop("answer")
    child.stop("time")
    assert not child.running
    assert child.stopped == "answer"


def test_closing_is_no_reason(limited: Isolation, start: Start) -> None:
    with start(limited, "import time; time.sleep(60)") as child:
        pass
    assert not child.running
    assert child.stopped is None


def test_scratch_folders_are_removed(limited: Isolation, start: Start) -> None:
    code = """
import os
os.makedirs("a/b")
os.symlink("/", "a/c")
os.chmod("a/b", 0)
os.chmod("a", 0)
print(os.getcwd(), flush=True)"""
    child = start(limited, code)
    scratch = os.read(child.stdout.fileno(), 1000).decode().strip()
    assert ended(child) is None
    assert scratch == child.scratch
    assert limited.level is Level.A or not Path(scratch).exists()


@pytest.mark.parametrize("wrong", [{"memory": 0}, {"case_s": -1}, {"total_s": -1.0}, {"log": 0}, {"processes": -3}])
def test_limits_below_zero_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Limits(**wrong)  # type: ignore[arg-type]
