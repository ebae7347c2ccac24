"""Weights: found by name and sha256, never by name alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from evaluator.metrics import Unavailable
from evaluator.metrics.weights import Weights, fetch, locate, misfits, need, weights_folder

CONTENT = b"some weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights" / "net").mkdir(parents=True)
    return tmp_path / "weights"


def weights(url: str = "", package: str = "", digest: str = DIGEST) -> Weights:
    files = (("net.npz", digest), ("net.pth", "0" * 64))
    return Weights("net", files, url=url, licence="MIT", used_by="tests", package=package)


def test_a_file_is_found_in_the_folder_and_one_level_below(folder: Path) -> None:
    assert weights_folder() == folder
    assert locate(weights()) is None
    (folder / "net" / "net.npz").write_bytes(CONTENT)
    assert locate(weights()) == folder / "net" / "net.npz"
    (folder / "net.npz").write_bytes(CONTENT)
    assert locate(weights()) == folder / "net.npz"


def test_a_file_of_another_digest_is_not_used_and_is_named(folder: Path) -> None:
    (folder / "net.npz").write_bytes(b"something else")
    assert locate(weights()) is None
    ((path, got),) = misfits(weights())
    assert path == folder / "net.npz"
    assert got == hashlib.sha256(b"something else").hexdigest()


def test_a_published_start_of_a_digest_is_enough(folder: Path) -> None:
    (folder / "net.npz").write_bytes(CONTENT)
    assert locate(weights(digest=DIGEST[:8])) == folder / "net.npz"


def test_a_changed_file_is_looked_at_again(folder: Path) -> None:
    file = folder / "net.npz"
    file.write_bytes(CONTENT)
    assert locate(weights()) == file
    file.write_bytes(b"changed")
    assert locate(weights()) is None


def test_what_is_missing_is_said_with_the_line_to_type(folder: Path) -> None:
    with pytest.raises(Unavailable, match="evaluate weights fetch net") as missing:
        need(weights())
    assert str(folder) in str(missing.value)


def test_a_package_that_is_installed_may_carry_them(folder: Path) -> None:
    import jinja2

    file = Path(jinja2.__file__).parent / "py.typed"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert locate(weights(package="jinja2/py.typed", digest=digest)) == file
    assert locate(weights(package="jinja2/py.typed")) is None
    assert locate(weights(package="no_such_module/file", digest=digest)) is None


def test_fetching_checks_the_digest_and_leaves_nothing_half_done(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.npz"
    source.write_bytes(CONTENT)
    assert fetch(weights(url=source.as_uri())).read_bytes() == CONTENT
    (folder / "net.npz").unlink()
    source.write_bytes(b"another file")
    with pytest.raises(Unavailable, match="another file"):
        fetch(weights(url=source.as_uri()))
    with pytest.raises(Unavailable, match="cannot be had"):
        fetch(weights(url=(tmp_path / "none").as_uri()))
    with pytest.raises(Unavailable, match="cannot be fetched"):
        fetch(weights())
    assert [p.name for p in folder.rglob("*") if p.is_file()] == []
