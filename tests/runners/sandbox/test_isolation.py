"""The strongest level that proves itself is taken, and it is said why a stronger one is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import evaluator
from evaluator.findings import EvaluatorError
from evaluator.runners.sandbox import Isolation, Level, command, isolation, probing, python_roots

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("EVALUATOR_SANDBOX", raising=False)
    probing._strongest.cache_clear()
    yield
    probing._strongest.cache_clear()


def test_every_level_says_how_far_it_held(limited: Isolation) -> None:
    held = {Level.A: (), Level.B: (probing.STAT,), Level.C: (probing.STAT,)}
    if limited.level in held:
        assert limited.failed == held[limited.level]
    else:  # the same attacks do get through where nothing isolates, so they are no empty gestures
        isolating = {"read a file outside", "change files outside", "reach sockets", "signal the harness", "unshare"}
        assert isolating <= set(limited.failed)
    assert limited.probes == 14
    assert limited.passed == limited.probes - len(limited.failed)
    assert ("NOT isolated" in limited.sentence) == (limited.level is Level.LIMITS)
    assert f"{limited.passed} of 14" in limited.sentence or limited.level is Level.LIMITS


def test_a_level_can_be_chosen_by_the_caller_and_by_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isolation(Level.LIMITS).level is Level.LIMITS
    monkeypatch.setenv("EVALUATOR_SANDBOX", "none")
    found = isolation(Level.LIMITS)
    assert found.level is Level.NONE
    assert set(found.refused) == set(Level) - {Level.NONE}
    assert "EVALUATOR_SANDBOX=none" in found.refused[Level.A]
    assert found.probes == 0


def test_an_unknown_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALUATOR_SANDBOX", "strong")
    with pytest.raises(EvaluatorError, match="A, B, C, limits, none"):
        isolation()


def test_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = probing.prove
    monkeypatch.setattr(probing, "prove", lambda level: tried.append(level) or real(level))
    assert isolation(Level.LIMITS) is isolation(Level.LIMITS)
    assert tried == [Level.LIMITS]


def test_without_bubblewrap_the_next_level_is_taken(monkeypatch: pytest.MonkeyPatch, isolated: Isolation) -> None:
    monkeypatch.setattr(command, "_PATH", "/nowhere")
    found = isolation()
    assert found.level is not Level.A
    assert "bwrap is not installed" in found.refused[Level.A]


def test_a_level_that_lets_an_attack_through_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Level C without its filter: Landlock alone leaves sockets and system calls open.
    real = command.filter_for
    monkeypatch.setattr(
        command, "filter_for", lambda machine, level: real(machine, level).__class__(b"\6\0\0\0\0\0\xff\x7f", ())
    )
    found = isolation(Level.C)
    assert found.level is Level.LIMITS
    assert "unshare" in found.refused[Level.C]
    assert "reach sockets" in found.refused[Level.C]


def test_a_kernel_without_landlock_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = Path(command.__file__).with_name("confine.py").read_text(encoding="utf-8")
    broken = blind.replace("answer: int = LIBC.syscall(444,", "answer: int = LIBC.syscall(9999,")
    assert broken != blind
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        script = Path(folder) / "confine.py"
        script.write_text(broken, encoding="utf-8")
        monkeypatch.setattr(command, "_CONFINE", script)
        found = isolation(Level.C)
    assert found.level is Level.LIMITS
    assert "Landlock is not available" in found.refused[Level.C]


SCRIPT = """
import json
from evaluator.runners.sandbox import isolation
found = isolation()
print(json.dumps([found.level, found.sentence, dict(found.refused), found.failed, found.uid]))
"""


def packages() -> list[str]:
    return [str(Path(evaluator.__file__).parent.parent), *(p for p in sys.path if "-packages" in p)]


def elsewhere(*before: str) -> list[object]:
    """Find the isolation in another process, started by a command."""
    environment = {"PYTHONPATH": ":".join(packages()), "PATH": "/usr/bin:/bin", "HOME": "/"}
    python = sys.executable if os.getuid() != 0 or not before else "/usr/bin/python3"
    done = subprocess.run(
        [*before, python, "-c", SCRIPT], env=environment, capture_output=True, text=True, cwd="/", check=False
    )
    if "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr:
        pytest.skip(f"{python} cannot load the package: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    said: list[object] = json.loads(done.stdout)
    return said


USER = ("setpriv", "--reuid=1001", "--regid=1001", "--clear-groups")


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("level", [Level.A, Level.B, Level.C])
def test_a_plain_user_gets_the_same_levels(level: Level) -> None:
    found = elsewhere(*USER, "env", f"EVALUATOR_SANDBOX={level}")
    if found[0] != level and level is Level.A:
        pytest.skip(f"not for plain users here: {found[2]}")
    assert found[0] == level, found[2]
    assert found[3] == ([] if level is Level.A else [probing.STAT])
    assert found[4] is None


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("tests", ["test_escape.py", "test_ending.py"])
def test_a_plain_user_is_kept_in_and_nothing_of_it_is_left(tests: str) -> None:
    elsewhere(*USER)  # skips where that user cannot load the package
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 1001, 1001)
        environment = {"PYTHONPATH": ":".join(packages()), "PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder}
        chosen = [
            "-k",
            "not outlives_the_harness and not frames",
            "-q",
            "-p",
            "no:cacheprovider",
            str(Path(__file__).with_name(tests)),
        ]
        done = subprocess.run(
            [*USER, "/usr/bin/python3", "-m", "pytest", *chosen],
            env=environment,
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
    if "No module named pytest" in done.stderr or "not accessible" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_where_user_namespaces_are_forbidden_level_c_is_left() -> None:
    user = USER if os.getuid() == 0 else ()
    poor = ("bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns")
    if subprocess.run([*user, *poor, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("bubblewrap cannot make such a place here")
    level, sentence, refused, failed, _ = elsewhere(*user, *poor)
    assert level == Level.C
    assert "Partly isolated" in str(sentence)
    assert isinstance(refused, dict)
    assert "namespace" in refused["A"]
    assert "unshare" in refused["B"]
    assert failed == [probing.STAT]


def test_what_python_needs_leaves_out_what_lies_around_the_package() -> None:
    roots = python_roots()
    package = Path(evaluator.__file__).parent
    assert any(package.is_relative_to(root) for root in roots)
    assert package.parent not in roots or package.parent.name.endswith("-packages")
    for root in roots:
        assert root.exists()
        assert not any(root.is_relative_to(other) for other in roots if other != root)
