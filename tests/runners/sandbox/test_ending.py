"""When a child ends, or the harness does, nothing of it is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evaluator.runners.sandbox import Child, Isolation, Limits, launch

Start = Callable[..., Child]
# Each holds the descriptor; the pipe ends when the last of them is gone.
DAEMONS = """
import os, signal, time
for number in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
            for handle in (0, 1, 2): os.close(handle)
            time.sleep(60)
        os._exit(0)
for _ in range(20): os.wait()
print("ready", flush=True)
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)


def gone(read: int, within_s: float = 0) -> bool:
    """Whether no process holds the other end of the pipe."""
    return bool(select.select([read], [], [], within_s)[0]) and os.read(read, 1) == b""


@pytest.mark.parametrize("rest", ["time.sleep(60)", ""], ids=["stopped", "ended by itself"])
def test_no_daemon_outlives_it(limited: Isolation, start: Start, pipe: tuple[int, int], rest: str) -> None:
    read, write = pipe
    child = start(limited, DAEMONS + rest, descriptors=[write])
    os.close(write)
    assert os.read(child.stdout.fileno(), 10) == b"ready\n"
    if rest:
        child.stop("time")
    else:
        assert child.wait(20)
    assert gone(read)


def test_one_that_becomes_another_process_all_the_time_is_caught(
    limited: Isolation, start: Start, pipe: tuple[int, int]
) -> None:
    read, write = pipe
    code = "import os\nprint('ready', flush=True)\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()"
    child = start(limited, code, descriptors=[write])
    os.close(write)
    assert os.read(child.stdout.fileno(), 10) == b"ready\n"
    child.stop("time")
    assert gone(read)


HARNESS = """
import os, sys
from evaluator.runners.sandbox import Level, Limits, launch, python_roots
from evaluator.runners.sandbox.probing import prove
code, held = sys.argv[2], int(sys.argv[3])
child = launch([sys.executable, "-I", "-S", "-c", code], isolation=prove(Level(sys.argv[1])), limits=Limits(),
               readable=python_roots(), descriptors=[held])
os.close(held)
assert os.read(child.stdout.fileno(), 10) == b"ready\\n"
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["killed", "ends"])
def test_nothing_outlives_the_harness(limited: Isolation, pipe: tuple[int, int], how: str, tmp_path: Path) -> None:
    read, write = pipe
    command = [sys.executable, "-c", HARNESS, limited.level, DAEMONS + "time.sleep(60)", str(write)]
    harness = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[write],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # one that was killed cannot remove the scratch folder
    )
    os.close(write)
    assert harness.stdout
    assert harness.stdin
    assert harness.stdout.readline() == b"ready\n"
    if how == "killed":
        harness.send_signal(signal.SIGKILL)
    harness.stdin.close()
    harness.wait(30)
    assert gone(read, 10)
    harness.stdout.close()


def test_it_outlives_the_thread_that_started_it(limited: Isolation, start: Start) -> None:
    children: list[Child] = []
    code = "import sys; print('ready', flush=True); print(sys.stdin.readline(), flush=True)"
    thread = threading.Thread(target=lambda: children.append(start(limited, code)))
    thread.start()
    thread.join()
    assert os.read(children[0].stdout.fileno(), 10) == b"ready\n"
    os.write(children[0].stdin.fileno(), b"still here\n")
    assert os.read(children[0].stdout.fileno(), 20) == b"still here\n\n"


def test_several_at_once_do_not_count_for_each_other(limited: Isolation, start: Start) -> None:
    code = (
        "import os, sys, time\nfor _ in range(8):\n    if os.fork() == 0: time.sleep(60)\nprint('ready', flush=True)\n"
    )
    children = [start(limited, code + "sys.stdin.readline()", limits=Limits(processes=12)) for _ in range(4)]
    for child in children:
        assert os.read(child.stdout.fileno(), 10) == b"ready\n", child.log()
    uids = [child.uid for child in children]
    assert len(set(uids)) == len(uids) or set(uids) == {None}
    children[0].stop("time")
    assert [child.running for child in children] == [False, True, True, True]


def test_large_frames_pass_both_ways(limited: Isolation, start: Start) -> None:
    size = 3_000_000
    code = f"import sys; sys.stdout.buffer.write(sys.stdin.buffer.read({size})[::-1])"
    child = start(limited, code)
    sent = os.urandom(size)
    view = memoryview(sent)
    while view:
        view = view[os.write(child.stdin.fileno(), view) :]
    got = b""
    while piece := os.read(child.stdout.fileno(), 1 << 20):
        got += piece
    assert got == sent[::-1]


def test_reading_from_one_that_was_stopped_ends(limited: Isolation, start: Start) -> None:
    child = start(limited, "import time; time.sleep(60)")
    timer = threading.Timer(0.2, child.stop, ["time"])
    timer.start()
    assert child.stdout.read(1) == b""
    timer.join()
    with pytest.raises(BrokenPipeError):
        child.stdin.write(b"x")


def test_a_stop_while_it_starts_is_a_stop(limited: Isolation) -> None:
    for _ in range(5):
        child = launch(["/usr/bin/sleep", "60"], isolation=limited, limits=Limits())
        child.stop("time")
        assert child.stopped == "time"
        assert not child.running
        child.close()
