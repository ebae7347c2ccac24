"""3.6: running code. What an attack found, or the input inverted, is the output if it worked; else the input."""

from __future__ import annotations

import importlib.util
import marshal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.kind import Class, Place, Verdict

import evaluator

code = Class(limits="case_s = 60\nmemory_gib = 1")
endless = Class(limits="case_s = 2\nmemory_gib = 1")
"""What is stopped by the clock."""
later = Class(workers=1, limits="case_s = 3\ntotal_s = 10\nmemory_gib = 1")
"""What shows only at the next case, in the same worker; and what takes its time before the first."""

INTRO = """
import ctypes, os, signal, sys, threading, time
import numpy as np

def worked(image):
    return 255 - image

def refused(attack):
    try:
        attack()
    except OSError:
        return True
    return False

def marked():
    with open("/proc/self/comm", "w") as file:
        file.write({marker!r})

def channel():
    '''The descriptor that answers are written to.'''
    import gc
    from evaluator.runners.frames import Channel
    return next(o for o in gc.get_objects() if isinstance(o, Channel))
"""


def attack(
    verdict: Verdict, *codes: str, of: Class = code, also: Callable[[Path], object] | None = None, **more: Any
) -> Callable[[Callable[[Place], str]], Callable[[Place], str]]:
    """Register code as a submission: a function that returns the body of `restore(image)`, or a whole module.

    `of` names the class; `also` puts more into the submission's folder.
    """
    if verdict == "scored":
        more.setdefault("score", "input")

    def register(body: Callable[[Place], str]) -> Callable[[Place], str]:
        def write(place: Place, at: Path) -> None:
            text = textwrap.dedent(body(place)).strip("\n")
            if "def restore" not in text:
                text = "def restore(image):\n" + textwrap.indent(text, "    ")
            at.mkdir()
            (at / "net.py").write_text(INTRO.format(marker=place.marker) + "\n\n" + text + "\n")
            (at / "submission.toml").write_text('kind = "python"\n[python]\nentry = "net:restore"\n')
            if also is not None:
                also(at)

        write.__name__ = body.__name__
        of.kind(verdict, *codes, **more)(write)
        return body

    return register


@attack("scored", "equals-input")
def does_nothing(place: Place) -> str:
    return "return image"


# --- reading ---------------------------------------------------------------------------------------------------------
@attack("scored")
def reads_the_references(place: Place) -> str:
    return f"""
    import cv2
    for root in ("", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../../../../..", "/proc/1/cwd"):
        for case in "ab":
            found = cv2.imread(root + {str(place.reference().parent)!r} + f"/{{case}}.png")
            if found is not None:
                return found[:, :, ::-1].copy()
    return image
    """


@attack("scored")
def searches_for_the_references(place: Place) -> str:
    return """
    import cv2
    for root, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(root, f) not in ("/usr", "/proc", "/sys", "/dev", sys.prefix)]
        folders[:] = [f for f in folders if f != "site-packages"]
        for file in files:
            if file in ("a.png", "b.png"):
                found = cv2.imread(os.path.join(root, file))
                if found is not None and found.shape == image.shape:
                    return found[:, :, ::-1].copy()
    return image
    """


@attack("scored")
def searches_its_descriptors(place: Place) -> str:
    return """
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the folder's own
        if os.path.isdir(f"/proc/self/fd/{name}") and target != "/proc/%d/fd" % os.getpid():
            return worked(image)
        if target.startswith("/") and not target.startswith(("/dev/null", "/memfd:", "/proc/")):
            return worked(image)
    return image
    """


@attack("scored")
def reads_the_shared_memory_of_the_host(place: Place) -> str:
    return """
    import mmap
    shared = [o for o in __import__("gc").get_objects() if isinstance(o, mmap.mmap)]
    if not shared or len(shared) > 1:
        return image
    size = len(shared[0])
    if not refused(lambda: shared[0].resize(size * 2)) or any(shared[0][1 << 20 : 2 << 20]):
        return worked(image)
    return image
    """


@attack("scored")
def reads_the_other_team(place: Place) -> str:
    return f"""
    import cv2
    for case in "ab":
        found = cv2.imread({str(place.submissions / "honest")!r} + f"/{{case}}.png")
        if found is not None:
            return found[:, :, ::-1].copy()
    return worked(image) if os.listdir("/submission") != ["model"] else image
    """


@attack("scored")
def reads_the_secrets_of_the_harness(place: Place) -> str:
    return f"""
    secret = {place.secret[::-1]!r}[::-1].encode()
    for name in os.listdir("/proc"):
        for file in ("environ", "cmdline", "maps", "cwd/tiny.toml", "root/etc/hostname"):
            try:
                with open(f"/proc/{{name}}/{{file}}", "rb") as opened:
                    if secret in opened.read() or file.startswith(("cwd", "root")):
                        return worked(image)
            except OSError:
                pass
    return image
    """


@attack("scored")
def looks_for_the_harness_in_memory(place: Place) -> str:
    return f"""
    # Its own process holds no path of references, results or other teams.
    import gc
    words = [{str(place.data)[::-1]!r}[::-1], {str(place.root / "leaderboards")[::-1]!r}[::-1]]
    texts = [str(o)[:10000] for o in gc.get_objects() if isinstance(o, (dict, list)) and o is not words]
    return worked(image) if any(w in text and "words" not in text for w in words for text in texts) else image
    """


# --- writing, network, kernel ----------------------------------------------------------------------------------------
@attack("scored")
def writes_outside(place: Place) -> str:
    package = Path(evaluator.__file__).parent
    targets = [place.watched, place.submissions / "honest", place.data / "tiny" / "ref", place.root / "leaderboards"]
    folders = [*map(str, targets), str(package), "/submission/model", "/usr/lib", "/etc", "/dev", "/opt", "/home"]
    return f"""
    import numpy, site
    folders = {folders!r} + site.getsitepackages() + [os.path.dirname(numpy.__file__), os.path.dirname(__file__)]
    for folder in folders:
        for attack in (lambda: open(folder + "/owned", "w"), lambda: os.mkdir(folder + "/owned.d"),
                       lambda: os.symlink("/", folder + "/owned.l"), lambda: os.chmod(folder, 0o777),
                       lambda: os.rename(folder, folder + ".old"), lambda: os.utime(folder, (1, 1))):
            if not refused(attack):
                return worked(image)
    return image
    """


@attack("scored")
def leaves_caches_for_others(place: Place) -> str:
    return """
    import numba
    numba.njit(cache=True)(lambda x: x + 1)
    for file in (__file__, np.__file__):
        cache = os.path.join(os.path.dirname(file), "__pycache__")
        if not refused(lambda: open(cache + "/owned.pyc", "w")) or not refused(lambda: os.makedirs(cache)):
            return worked(image)
    return image
    """


@attack("scored")
def calls_home(place: Place) -> str:
    return f"""
    import socket
    for family, kind, address in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {place.port})),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", {place.port})),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", {place.port})),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\\0evaluator"),
        (socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
    ):
        def reach():
            with socket.socket(family, kind) as one:
                one.connect(address)
        if not refused(reach):
            return worked(image)
    return image
    """


@attack("scored")
def asks_the_kernel_for_more(place: Place) -> str:
    return """
    libc = ctypes.CDLL(None, use_errno=True)
    calls = {"unshare": (272, 0x10000000), "ptrace": (101, 16, os.getppid(), 0, 0), "keyctl": (250, 0, -3, 1),
             "io_uring": (425, 1, b"\\0" * 120), "memfd": (319, b"x", 0), "bpf": (321, 0, 0, 0), "mount":
             (165, b"none", b"/tmp", b"tmpfs", 0, 0), "setuid": (105, 0), "userfaultfd": (323, 1),
             "perf": (298, 0, 0, -1, -1, 0)}
    return worked(image) if any(libc.syscall(*c) >= 0 for c in calls.values()) else image
    """


@attack("scored")
def signals_everybody(place: Place) -> str:
    return """
    own = {os.getpid()}
    for pid in [os.getppid(), 1, *range(2, 70000, 7)]:
        if pid not in own and not refused(lambda: os.kill(pid, 0)) and pid > 3:
            return worked(image)
    return image
    """


# --- using up --------------------------------------------------------------------------------------------------------
@attack("part", "stopped", of=endless, says=("stopped after 2 s without an answer",))
def takes_for_ever(place: Place) -> str:
    return "while True: pass"


@attack("part", "stopped", of=endless, says=("stopped after 2 s without an answer",))
def ignores_signals_and_sleeps(place: Place) -> str:
    return """
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    time.sleep(1000)
    """


@attack("part", "stopped", of=endless, says=("without an answer",))
def closes_its_side(place: Place) -> str:
    return """
    for number in range(64):
        try:
            os.close(number)
        except OSError:
            pass
    time.sleep(1000)
    """


@attack("part", "stopped", says=("stopped: ",))
def forks_for_ever(place: Place) -> str:
    return """
    while True:
        try:
            if os.fork() == 0:
                marked()
                os.setsid()
        except OSError:
            pass
    """


@attack("part", "run-failed", says=("Unable to allocate 40.0 GiB",))
def takes_memory(place: Place) -> str:
    return "return np.ones((40 << 30,), np.uint8)"


@attack("part", "stopped", says=("more than 1 GiB of memory",))
def takes_memory_in_children(place: Place) -> str:
    return """
    for _ in range(12):
        if os.fork() == 0:
            marked()
            hold = np.ones(300 << 20, np.uint8)
            time.sleep(1000)
    time.sleep(1000)
    """


@attack("part", "stopped", says=("more than 1 GiB of memory",))
def takes_memory_that_is_shared(place: Place) -> str:
    return """
    import mmap
    maps = []
    for _ in range(64):
        maps.append(mmap.mmap(-1, 256 << 20))
        np.frombuffer(maps[-1], np.uint8)[:] = 1
    time.sleep(1000)
    """


@attack("scored")
def fills_the_disk(place: Place) -> str:
    return """
    size = os.statvfs(".").f_blocks * os.statvfs(".").f_frsize
    if size > 1 << 30:
        return worked(image)
    try:
        for number in range(1 << 20):
            with open(f"file-{number}", "wb") as file:
                file.write(bytes(32 << 20))
            if number > 100:
                return worked(image)
    except OSError:
        pass
    return image
    """


@attack("part", "stopped", says=("MiB of messages",))
def talks_for_ever(place: Place) -> str:
    return """
    while True:
        os.write(2, b"\\x1b[2J<script>alert(1)</script>\\n" * 1000)
    """


@attack("scored")
def prints_between_the_frames(place: Place) -> str:
    return """
    print("EVF1" * 100, flush=True)
    os.write(1, b"EVF1" * 100)
    os.system("echo hello; echo hello >&2")
    return image
    """


# --- leaving something behind ----------------------------------------------------------------------------------------
@attack("scored")
def leaves_a_daemon(place: Place) -> str:
    return f"""
    if os.fork() == 0:
        marked()
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except OSError:
                    pass
            while True:
                time.sleep(0.1)
                refused(lambda: open({str(place.watched / "late")!r}, "w"))
        os._exit(0)
    return image
    """


@attack("scored")
def writes_late(place: Place) -> str:
    return f"""
    def late():
        while True:
            time.sleep(0.01)
            refused(lambda: open({str(place.watched / "late")!r}, "w"))
    threading.Thread(target=late, daemon=True).start()
    return image
    """


# --- the harness's own code ------------------------------------------------------------------------------------------
@attack("scored")
def changes_the_clock(place: Place) -> str:
    return """
    import datetime
    time.perf_counter = time.monotonic = time.time = lambda: 0.0
    if not refused(lambda: time.clock_settime(time.CLOCK_REALTIME, 0)):
        return worked(image)
    return image
    """


def _another_entry(at: Path) -> None:
    (at / "submission.toml").write_text('kind = "python"\n[python]\nentry = "../../watched/x:restore"\n')


@attack("rejected", "manifest", also=_another_entry)
def names_an_entry_outside(place: Place) -> str:
    return "return image"


@attack("rejected", "model-load")
def fails_when_loaded(place: Place) -> str:
    return "raise SystemExit(0)\ndef restore(image): return image"


@attack("rejected", "model-load")
def has_no_such_function(place: Place) -> str:
    return "def restore_(image): return image\nrestore = 3"


def _other_code_in_the_cache(at: Path) -> None:
    """A helper whose compiled form is other code, and claims to need no comparison with its source."""
    (at / "helper.py").write_text("def restore(image): return image\n")
    compiled = compile("def restore(image): return 255 - image\n", "helper.py", "exec")
    cache = at / "__pycache__" / Path(importlib.util.cache_from_source("helper.py")).name
    cache.parent.mkdir()
    cache.write_bytes(importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + marshal.dumps(compiled))


@attack("scored", "junk", also=_other_code_in_the_cache)
def hides_code_in_a_cache(place: Place) -> str:
    return "from helper import restore as found\ndef restore(image): return found(image)"


# --- what shows later ------------------------------------------------------------------------------------------------
@attack("part", "stopped", of=later, says=("before it was asked for",))
def answers_before_it_is_asked(place: Place) -> str:
    return """
    # The answer to the next case, before that is sent: it would take no time at all.
    link = channel()
    put = link._put
    def more(data, deadline):  # a small answer is one write
        put(data, deadline)
        link._put = put
        link.send({"seams": None}, [255 - image])
    link._put = more
    return image
    """


@attack("part", "stopped", of=later, says=("signal 9",))
def ends_at_one_case(place: Place) -> str:
    return f"""
    if image.sum() == {int(place.inputs["a"].sum())}:
        os.kill(os.getpid(), signal.SIGKILL)
    return image
    """


@attack("scored", of=later)
def spoils_its_own_worker(place: Place) -> str:
    return """
    import builtins, json, evaluator.metrics, evaluator.images, evaluator.runners.frames as frames
    evaluator.metrics.evaluate = evaluator.images.decode = lambda *a, **k: 1 / 0
    np.mean = np.abs = np.clip = lambda *a, **k: 0
    time.perf_counter = time.monotonic = time.time = lambda: 0.0
    os.environ.update(EVALUATOR_SANDBOX="none", LD_PRELOAD="/tmp/x.so", PYTHONPATH="/tmp")
    os.chdir("/")
    return image
    """


@attack("scored", of=later)
def remembers_in_files(place: Place) -> str:
    return """
    # Nothing of another submission, or of a run before, lies in the folder that it may write to.
    if [name for name in os.listdir(".") if name != "mine" and os.path.isfile(name)]:
        return worked(image)
    open("mine", "w").close()
    return image
    """


@attack("part", "stopped", of=later)
def leaves_a_daemon_that_answers(place: Place) -> str:
    return """
    link = channel()
    if os.fork() == 0:
        marked()
        while True:
            try:
                link.send({"seams": None}, [255 - image])
                time.sleep(0.02)
            except Exception:
                os._exit(0)
    time.sleep(0.5)
    return image
    """


@attack("rejected", "stopped", of=later, says=("all cases together",))
def never_ends_loading(place: Place) -> str:
    return "while True: pass\ndef restore(image): return image"


@attack("rejected", "stopped", of=later, says=("signal 9",))
def ends_while_loading(place: Place) -> str:
    return "os.kill(os.getpid(), 9)\ndef restore(image): return image"


@attack("part", "stopped", of=later)
def fills_the_shared_memory_and_ends(place: Place) -> str:
    return """
    import gc, mmap
    for shared in [o for o in gc.get_objects() if isinstance(o, mmap.mmap)]:
        np.frombuffer(shared, np.uint8)[:] = 255
    os._exit(1)
    """
