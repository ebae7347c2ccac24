"""Each way out of a sandbox is tried for real, at each level that this machine has."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox import Child, Isolation, Level, Limits, launch, python_roots

Answer = Callable[..., Any]

REFUSED = """
def refused(attack):
    try:
        attack()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
"""


def test_files_outside_cannot_be_read(isolated: Isolation, answer: Answer, outside: Any) -> None:
    said = answer(
        isolated,
        f"""{REFUSED}
file, folder = {str(outside.file)!r}, {str(outside.folder)!r}
os.symlink(file, "link")
attacks = [lambda: open(file), lambda: os.listdir(folder), lambda: open("link"), lambda: os.link(file, "hard"),
           lambda: open("/proc/self/root" + file), lambda: open("/proc/1/root" + file)]
say([refused(attack) for attack in attacks])""",
    )
    assert set(said) <= {"EACCES", "ENOENT", "EXDEV", "EPERM"}


def test_whether_a_file_exists_is_known_except_at_level_a(isolated: Isolation, answer: Answer, outside: Any) -> None:
    assert answer(isolated, f"say(os.path.exists({str(outside.file)!r}))") == (isolated.level is not Level.A)


def test_files_outside_cannot_be_changed(isolated: Isolation, answer: Answer, outside: Any) -> None:
    before = outside.file.stat()
    said = answer(
        isolated,
        f"""{REFUSED}
file, folder = {str(outside.file)!r}, {str(outside.folder)!r}
os.path.exists(file) and [refused(a) for a in (lambda: os.chmod(file, 0), lambda: os.utime(file, (1, 1)))]
attacks = [
    lambda: open(file, "w"), lambda: open(file, "a"), lambda: os.truncate(file, 0), lambda: os.unlink(file),
    lambda: os.rename(file, folder + "/b"), lambda: os.rename(file, "here"), lambda: os.mkdir(folder + "/c"),
    lambda: os.symlink("/", folder + "/d"), lambda: os.chown(file, os.getuid(), os.getgid()),
    lambda: os.setxattr(file, "user.x", b"x")]
say([refused(attack) for attack in attacks])""",
    )
    assert "done" not in said
    after = outside.file.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_size) == (before.st_mode, before.st_mtime_ns, before.st_size)
    assert list(outside.folder.iterdir()) == [outside.file]


def test_no_network_and_no_socket_of_the_host(isolated: Isolation, answer: Answer, outside: Any) -> None:
    said = answer(
        isolated,
        f"""{REFUSED}
import socket
def reach(family, kind, address):
    socket.socket(family, kind).connect(address)
say([refused(lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {outside.port}))),
     refused(lambda: reach(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53))),
     refused(lambda: reach(socket.AF_UNIX, socket.SOCK_STREAM, "\\0{outside.abstract}")),
     refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
     refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))])""",
    )
    assert said == ["EAFNOSUPPORT"] * 5


def test_no_secret_of_the_harness_is_in_sight(isolated: Isolation, answer: Answer, outside: Any) -> None:
    os.environ["EVALUATOR_TEST_SECRET"] = outside.text  # handed on, were the environment not emptied
    try:
        found = answer(
            isolated,
            f"""
secret = {outside.text[::-1]!r}[::-1]  # not as it stands: this very code is in sight
found = [name for name, value in os.environ.items() if secret in value]
for name in os.listdir("/proc"):
    for file in ("environ", "cmdline"):
        try:
            path = f"/proc/{{name}}/{{file}}"
            found += [name] if name.isdigit() and secret in open(path, errors="replace").read() else []
        except OSError:
            pass
say(found)""",
        )
    finally:
        del os.environ["EVALUATOR_TEST_SECRET"]
    assert found == []


def test_the_environment_is_made_anew(isolated: Isolation, answer: Answer, start: Callable[..., Child]) -> None:
    said = answer(isolated, "say(dict(os.environ))", threads=3)
    assert said["OMP_NUM_THREADS"] == "3"
    assert said["HOME"] == said["TMPDIR"] == said["NUMBA_CACHE_DIR"] != os.environ.get("HOME")
    assert said["HDF5_PLUGIN_PATH"] == "/dev/null"
    allowed = {
        "PATH",
        "HOME",
        "TMPDIR",
        "USER",
        "LANG",
        "PYTHONDONTWRITEBYTECODE",
        "NUMBA_CACHE_DIR",
        "PWD",
        "LC_CTYPE",
    }
    assert (
        not {n for n in said if "THREADS" not in n}
        - allowed
        - {"HDF5_PLUGIN_PATH", "TF_CPP_MIN_LOG_LEVEL", "GLIBC_TUNABLES"}
    )


def test_processes_outside_cannot_be_touched(isolated: Isolation, answer: Answer, outside: Any) -> None:
    said = answer(
        isolated,
        f"""{REFUSED}
import fcntl, resource
pid, harness, libc = {outside.process.pid}, {os.getpid()}, ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
def own():
    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, pid)
def bound():
    resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))
attacks = [
    lambda: os.kill(pid, 9), lambda: os.kill(harness, 9), bound, own, lambda: os.sched_setaffinity(pid, [0]),
    lambda: os.setpriority(os.PRIO_PROCESS, pid, 19), lambda: open(f"/proc/{{pid}}/mem", "rb"),
    lambda: open(f"/proc/{{pid}}/environ", "rb").read(), lambda: os.readlink(f"/proc/{{pid}}/cwd")]
say([refused(attack) for attack in attacks])""",
    )
    assert "done" not in said
    assert outside.process.poll() is None


def test_a_signal_to_everybody_ends_nobody_outside(
    isolated: Isolation, start: Callable[..., Child], outside: Any
) -> None:
    code = "import os, sys\nfor pid in (-1, 0):\n    try: os.kill(pid, 9)\n    except OSError: pass\n"
    child = start(isolated, code)
    assert child.wait(20)
    assert outside.process.poll() is None


CALLS = {  # numbers of x86_64; arguments with which the call would succeed, or fail with another error
    "unshare": (272, 0x10000000),
    "setns": (308, 0, 0),
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "ptrace": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "keyctl": (250, 0, -3, 1),
    "add_key": (248, b"user", b"a", b"b", 1, -3),
    "io_uring_setup": (425, 1, b"\0" * 120),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "open_by_handle_at": (304, -100, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "clone into a user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "mknod": (133, b"device", 0o20666, 259),
    "personality": (135, 0x0040000),
    "move_mount": (429, -1, b"", -1, b"", 0),
    "TIOCSTI": (16, 0, 0x5412, b"x"),
    "chroot": (161, b"/"),
}
ABSENT = {
    "memfd_create": (319, b"x", 0),
    "shmget": (29, 0, 4096, 0o1600),
    "msgget": (68, 0, 0o1600),
    "shmat": (30, 0, 0, 0),
    "semget": (64, 0, 1, 0o1600),
    "mq_open": (240, b"x", 0o102, 0o600, 0),
    "clone3": (435, b"\0" * 88, 88),
    "inotify_init1": (294, 0),
    "a call of the future": (470,),
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")
def test_system_calls_are_filtered(isolated: Isolation, answer: Answer) -> None:
    said = answer(
        isolated,
        f"""
libc = ctypes.CDLL(None, use_errno=True)
def call(arguments):
    return "done" if libc.syscall(*arguments) != -1 else errno.errorcode[ctypes.get_errno()]
say({{name: call(arguments) for name, arguments in {CALLS | ABSENT!r}.items()}})""",
    )
    assert said == dict.fromkeys(CALLS, "EPERM") | dict.fromkeys(ABSENT, "ENOSYS")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 belongs to x86_64")
def test_a_foreign_form_of_a_system_call_is_fatal(isolated: Isolation, start: Callable[..., Child]) -> None:
    child = start(isolated, f"import ctypes; ctypes.CDLL(None).syscall({0x40000000 + 39})")
    assert child.wait(20)
    assert child.stopped == f"crash: signal {signal.SIGSYS.value}"


def test_it_has_no_privileges(isolated: Isolation, answer: Answer) -> None:
    text = answer(isolated, "say(open('/proc/self/status').read())")
    said = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert said["NoNewPrivs"] == "1"
    assert said["Seccomp"] == "2"
    assert said["Uid"].split()[0] != "0"
    passing_closed_folders = 1 << 2  # kept at levels B and C alone, if Python itself lies in a closed folder
    assert int(said["CapEff"], 16) & ~(0 if isolated.level is Level.A else passing_closed_folders) == 0
    assert int(said["CapBnd"], 16) in (0, passing_closed_folders) or os.getuid() != 0


def test_it_inherits_only_the_descriptors_it_was_given(isolated: Isolation, answer: Answer, outside: Any) -> None:
    code = "say(sorted(int(n) for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')))"
    read, write = os.pipe()
    secret = os.open(outside.file, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        assert answer(isolated, code, descriptors=[write]) == [0, 1, 2, write]
    finally:
        for handle in (read, write, secret):
            os.close(handle)


def test_only_the_scratch_can_be_written_and_it_has_a_size(isolated: Isolation, answer: Answer) -> None:
    said = answer(
        isolated,
        f"""{REFUSED}
def fill(names, size):
    for name in names:
        with open(name, "wb") as file:
            for _ in range(size):
                file.write(bytes(1 << 20))
folders = ("", "/dev", "/etc", "/usr", "/proc", "/sys", "/var", "/home")
attacks = [lambda: fill("a", 2), lambda: open("b", "w").truncate(9 << 20), lambda: fill("cdefg", 4)]
say([refused(a) for a in attacks] + [refused(lambda: os.mkdir(folder + "/new")) for folder in folders])""",
        limits=Limits(file_size=8 << 20),
    )
    full = "done" if isolated.level is Level.C else "ENOSPC"  # no file system of its own there
    assert said[:3] == ["done", "EFBIG", full]
    assert "done" not in said[3:]


def test_what_surrounds_the_scratch_is_read_only(answer: Answer, isolated: Isolation) -> None:
    if isolated.level is not Level.A:
        pytest.skip("it is the file system of the host there")
    flags = answer(isolated, "say([os.statvfs(folder).f_flag for folder in ('/', '/dev', '/usr')])")
    assert all(flag & os.ST_RDONLY for flag in flags)


def test_shared_memory_has_a_size_too(answer: Answer, isolated: Isolation) -> None:
    if isolated.level is not Level.A:
        assert "EACCES" in answer(isolated, f"{REFUSED}\nsay(refused(lambda: open('/dev/shm/x', 'w')))")
        return
    size = answer(isolated, "s = os.statvfs('/dev/shm'); say(s.f_blocks * s.f_frsize)")
    assert size <= 1 << 28


def test_a_mounted_folder_is_read_only_under_its_name(isolated: Isolation, answer: Answer, outside: Any) -> None:
    inside = isolated.inside(outside.folder, "/sub")
    assert inside == ("/sub" if isolated.level is Level.A else str(outside.folder))
    code = f"""{REFUSED}
say([open({inside!r} + "/reference.png").read(), refused(lambda: open({inside!r} + "/new", "w"))])"""
    text, written = answer(isolated, code, mounts={outside.folder: "/sub"})
    assert text == outside.text
    assert written in ("EROFS", "EACCES")


@pytest.mark.skipif(os.getuid() != 0, reason="for root alone: another user owns what it mounts")
def test_a_mount_that_its_user_could_not_read_is_an_error(isolated: Isolation, outside: Any) -> None:
    if isolated.level is not Level.A:
        pytest.skip("the other levels read it in the harness's name")
    outside.folder.chmod(0o700)
    with pytest.raises(EvaluatorError, match="chmod"):
        launch(["/usr/bin/true"], isolation=isolated, limits=Limits(), mounts={outside.folder: "/sub"})


def test_a_folder_that_must_stay_hidden_is_never_readable(isolated: Isolation, tmp_path: Path) -> None:
    data = tmp_path / "project" / "data"
    data.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "project")
    for root in (tmp_path / "project", link, data):
        with pytest.raises(EvaluatorError, match="must stay hidden"):
            launch(["/usr/bin/true"], isolation=isolated, limits=Limits(), readable=[root], hidden=[data])
        with pytest.raises(EvaluatorError, match="must stay hidden"):
            launch(["/usr/bin/true"], isolation=isolated, limits=Limits(), mounts={root: "/sub"}, hidden=[data])
    with pytest.raises(EvaluatorError, match="must stay hidden"):
        launch(["/usr/bin/true"], isolation=isolated, limits=Limits(), hidden=[Path("/usr/share")])
    inner = data / "submission"
    inner.mkdir()
    launch(["/usr/bin/true"], isolation=isolated, limits=Limits(), readable=[inner], hidden=[data]).close()


def test_the_package_is_visible_but_not_what_lies_beside_it(isolated: Isolation, answer: Answer) -> None:
    import evaluator

    package = Path(evaluator.__file__).parent
    assert package.parent not in python_roots()
    said = answer(
        isolated,
        f"""{REFUSED}
say([os.path.isfile({str(package / "findings.py")!r}), refused(lambda: os.listdir({str(package.parent)!r})),
     refused(lambda: open({str(package.parent / "pyproject.toml")!r}))])""",
    )
    assert said[0] is True
    assert said[2] in ("ENOENT", "EACCES") or "site-packages" in package.parts
