"""Data sets behind URLs: the same cases, pixels and digest as of a folder; copied once, and whole or not there."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from scipy.io import savemat

from evaluator.findings import EvaluatorError
from evaluator.remote import Remote, Url
from evaluator.tasks import Split, Task, TaskSpec, find_root
from evaluator.tasks.readers import BlocksReader, FilesReader, Mirror, RemoteReader
from evaluator.tasks.readers.remote import search
from evaluator.tasks.spec import BlocksSplit
from remote_support import put, serving, store_in_memory
from support import Tiny

DATA = "memory://box/data"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The files that are fetched, as it goes on, from a store in memory, to a cache of this test."""
    monkeypatch.setenv("EVALUATOR_CACHE", str(tmp_path / "cache"))
    got: list[str] = []
    real = MemoryFileSystem.get_file

    def get_file(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        got.append(rpath.rpartition("/tiny/")[2])
        real(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    with store_in_memory():
        yield got


def opened(tiny: Tiny) -> Split:
    put(tiny.root / "tiny", f"{DATA}/tiny")
    return tiny.task.split("five", DATA)


def test_a_url_gives_what_the_folder_gives(tiny: Tiny, fetched: list[str]) -> None:
    split, local = opened(tiny), tiny.split
    assert fetched == [], "nothing is fetched before it is asked for"
    assert split.case_ids == local.case_ids
    assert split.digest == local.digest
    assert split.reader.files() == local.reader.files()
    for case in local.case_ids:
        assert np.array_equal(split.input(case).array, tiny.inputs[case])
        assert np.array_equal(split.target(case).array, tiny.references[case])
    assert split.verify() == []
    assert sorted(fetched) == sorted(local.reader.files())


def test_it_is_fetched_once_and_again_when_the_store_has_other_bytes(tiny: Tiny, fetched: list[str]) -> None:
    first = opened(tiny)
    digest, folder, count = first.digest, first.reader.folder, len(fetched)
    again = tiny.task.split("five", DATA)
    assert (again.digest, again.reader.folder, len(fetched)) == (digest, folder, count)
    changed = (tiny.root / "tiny/in/a-1.png").read_bytes()  # valid, and of another case
    fsspec.filesystem("memory").pipe_file("/box/data/tiny/in/a-2.png", changed)
    other = tiny.task.split("five", DATA)
    assert other.reader.folder != folder
    assert other.digest != digest
    assert len(fetched) == 2 * count
    assert first.digest == digest, "a run that is at it goes on with what it began with"


def test_what_is_gone_from_the_store_is_gone(tiny: Tiny, fetched: list[str]) -> None:
    assert opened(tiny).case_ids == tiny.split.case_ids
    fsspec.filesystem("memory").rm("/box/data/tiny/in/a-2.png")
    with pytest.raises(EvaluatorError, match="not whole") as caught:
        _ = tiny.task.split("five", DATA).case_ids
    assert [f.file for f in caught.value.findings] == ["in/a-2.png"]


def test_files_that_belong_to_no_case_are_not_fetched(tiny: Tiny, fetched: list[str]) -> None:
    put(tiny.root / "tiny", f"{DATA}/tiny")
    for name in ("README.md", "in/notes.txt", "in/.hidden.png", "in/deeper/x.png", "train/x.png"):
        fsspec.filesystem("memory").pipe_file(f"/box/data/tiny/{name}", b"x")
    split = tiny.task.split("five", DATA)
    assert split.digest == tiny.split.digest
    assert sorted(fetched) == sorted(tiny.split.reader.files())


def test_a_stopped_fetch_leaves_no_data_set_and_goes_on(
    tiny: Tiny, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, counting = opened(tiny), MemoryFileSystem.get_file

    def stopping(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        if len(fetched) == 4:
            Path(lpath).write_bytes(b"half")
            raise KeyboardInterrupt
        counting(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", stopping)
    with pytest.raises(KeyboardInterrupt):
        _ = split.digest
    monkeypatch.setattr(MemoryFileSystem, "get_file", counting)
    assert tiny.task.split("five", DATA).digest == tiny.split.digest
    assert len(fetched) == len(set(fetched)) == 10


def test_two_at_once_fetch_it_once(tiny: Tiny, fetched: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    splits = [opened(tiny), tiny.task.split("five", DATA), tiny.task.split("five", DATA)]
    folders: list[Path] = []
    together, quick = threading.Barrier(3), MemoryFileSystem.get_file

    def slow(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        time.sleep(0.02)
        quick(self, rpath, lpath, **options)

    def ask(split: Split) -> None:
        together.wait(timeout=30)
        folders.append(split.reader.folder)  # not the digest: Python 3.11 works on one cached property at a time

    monkeypatch.setattr(MemoryFileSystem, "get_file", slow)
    threads = [threading.Thread(target=ask, args=(split,)) for split in splits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 3
    assert len(set(folders)) == 1
    assert len(fetched) == 10


def test_a_change_while_it_is_fetched_is_refused(
    tiny: Tiny, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, real = opened(tiny), MemoryFileSystem.get_file

    def meanwhile(self: Any, rpath: str, lpath: str, **options: Any) -> None:
        real(self, rpath, lpath, **options)
        if len(fetched) == 5:
            self.pipe_file("/box/data/tiny/in/a-1.png", self.cat_file("/box/data/tiny/in/a-2.png"))

    monkeypatch.setattr(MemoryFileSystem, "get_file", meanwhile)
    with pytest.raises(EvaluatorError, match="changed while it was fetched"):
        _ = split.digest
    assert tiny.task.split("five", DATA).case_ids == tiny.split.case_ids  # as it is now


def test_another_machine_fetches_for_itself_and_must_get_the_same(
    tiny: Tiny, fetched: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    split = opened(tiny)
    assert split.digest
    sent = pickle.dumps(split)
    assert len(fetched) == 10
    assert pickle.loads(sent).target("a-1").array.shape == (20, 24, 3)  # noqa: S301 - ours
    assert len(fetched) == 10, "on this machine it is there already"
    monkeypatch.setenv("EVALUATOR_CACHE", str(tmp_path / "of another machine"))
    there = pickle.loads(sent)  # noqa: S301 - ours
    assert np.array_equal(there.target("b-9").array, tiny.references["b-9"])
    assert there.reader.folder.is_relative_to(tmp_path / "of another machine")
    assert len(fetched) == 20
    damaged = there.reader.folder / "ref/b-9.png"
    damaged.write_bytes((there.reader.folder / "ref/b-10.png").read_bytes())
    with pytest.raises(EvaluatorError, match="not the file that belongs"):
        pickle.loads(sent).target("b-9")  # noqa: S301 - ours
    fsspec.filesystem("memory").pipe_file("/box/data/tiny/in/a-1.png", b"changed since")
    monkeypatch.setenv("EVALUATOR_CACHE", str(tmp_path / "of a third"))
    with pytest.raises(EvaluatorError, match="memory://box/data/tiny"):
        pickle.loads(sent).target("b-9")  # noqa: S301 - ours


def test_blocks_that_differ_on_another_machine_are_refused(
    fetched: list[str], blocks_spec: BlocksSplit, tmp_path: Path
) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
    (tmp_path / "set").mkdir()
    for name in ("Noisy", "Clean"):
        savemat(tmp_path / "set" / f"{name}.mat", {name: blocks})
    put(tmp_path / "set", f"{DATA}/set")
    local = BlocksReader(blocks_spec, tmp_path / "set", None)
    mirror = Mirror(Url(f"{DATA}/set"), ("Noisy.mat", "Clean.mat"), False)
    reader = RemoteReader(mirror, BlocksReader(blocks_spec, Path(), None))
    assert reader.digest() == local.digest()
    assert np.array_equal(reader.inputs("4")["input"].array, blocks[1, 1])
    sent = pickle.dumps(reader)
    assert list(pickle.loads(sent).case_ids()) == [str(n) for n in range(6)]  # noqa: S301 - ours
    savemat(reader.folder / "Noisy.mat", {"Noisy": 255 - blocks})
    with pytest.raises(EvaluatorError, match="not what the run was begun with"):
        pickle.loads(sent).inputs("4")  # noqa: S301 - ours


def test_a_manifest_holds_for_what_is_fetched(tiny: Tiny, fetched: list[str]) -> None:
    opened(tiny)
    files = tiny.split.reader.files()
    lines = [f"{hashlib.sha256((tiny.root / 'tiny' / f).read_bytes()).hexdigest()}  {f}" for f in sorted(files)]
    (tiny.root / "five.sha256").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = tiny.toml.read_text(encoding="utf-8").replace("count = 5", 'count = 5\nmanifest = "five.sha256"')
    tiny.toml.write_text(text, encoding="utf-8")
    assert tiny.task.split("five", DATA).verify() == []
    fsspec.filesystem("memory").pipe_file("/box/data/tiny/ref/a-1.png", (tiny.root / "tiny/ref/a-2.png").read_bytes())
    (finding,) = tiny.task.split("five", DATA).verify()
    assert (finding.code, finding.file) == ("data-digest", "ref/a-1.png")


def test_a_store_that_does_not_say_when_files_change_is_refused_unless_they_are_pinned(
    tiny: Tiny, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tiny)
    listing, asking = MemoryFileSystem.ls, MemoryFileSystem.info

    def mute(info: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in info.items() if key in ("name", "size", "type")}

    monkeypatch.setattr(MemoryFileSystem, "ls", lambda s, p, detail=True, **_: [mute(i) for i in listing(s, p, detail)])
    monkeypatch.setattr(MemoryFileSystem, "info", lambda s, p, **_: mute(asking(s, p)))
    with pytest.raises(EvaluatorError, match="does not say when") as caught:
        _ = tiny.task.split("five", DATA).case_ids
    assert [f.code for f in caught.value.findings] == ["data-changes"]
    assert Mirror(Url(f"{DATA}/tiny"), ("in/*.png",), True).folder().is_dir()


def test_the_copies_say_what_they_are(tiny: Tiny, fetched: list[str]) -> None:
    folder = opened(tiny).reader.folder
    about = json.loads((folder.parent / "about.json").read_text(encoding="utf-8"))
    size = sum(p.stat().st_size for p in folder.rglob("*.png"))
    assert about == {"url": f"{DATA}/tiny", "files": 10, "bytes": size}


def test_data_that_is_not_there_is_told_by_its_url(tiny: Tiny, fetched: list[str], config: Path) -> None:
    with pytest.raises(EvaluatorError, match=r"memory://box/data \(from --data\) does not exist"):
        tiny.task.split("five", DATA)
    fsspec.filesystem("memory").pipe_file("/box/data/other/x.png", b"x")
    with pytest.raises(EvaluatorError, match=r"Looked for .* in memory://box/data/tiny"):
        tiny.task.split("five", DATA)
    config.write_text('data = "memory://nowhere"')
    with pytest.raises(EvaluatorError, match=r"memory://nowhere \(from .*config\.toml\) does not exist"):
        find_root()


def test_variable_and_config_file_may_name_a_url(
    tiny: Tiny, fetched: list[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tiny)
    config.write_text(f'data = "{DATA}"')
    assert tiny.task.split("five").digest == tiny.split.digest
    monkeypatch.setenv("EVALUATOR_DATA", (tiny.root).as_uri())  # file://
    assert isinstance(tiny.task.split("five").reader, FilesReader)
    assert tiny.task.split("five").digest == tiny.split.digest


def test_lists_of_groups_come_along(tiny: Tiny, fetched: list[str]) -> None:
    (tiny.root / "tiny/first.txt").write_text("1 2", encoding="utf-8")
    fields = tiny.task.spec.model_dump(mode="json")
    fields["splits"]["five"]["groups"] = {"first": "first.txt"}
    put(tiny.root / "tiny", f"{DATA}/tiny")
    split = Task(TaskSpec.model_validate(fields), tiny.root).split("five", DATA)
    assert [split.group(case) for case in split.case_ids] == ["first", "first", "", "", ""]


@pytest.mark.parametrize("pattern", ["in/*.png", "*/*.png", "{in,ref}/a-*.png", "in/a-1.png", "*.png", "no/*.png", "*"])
def test_patterns_find_what_they_find_in_a_folder(tiny: Tiny, fetched: list[str], pattern: str) -> None:
    from evaluator.tasks.readers.files import matches

    (tiny.root / "tiny/top.png").write_bytes(b"x")
    put(tiny.root / "tiny", f"{DATA}/tiny")
    local = [name for _, name in matches(tiny.root / "tiny", pattern) if (tiny.root / "tiny" / name).is_file()]
    assert [entry.name for entry in search(Remote(Url(f"{DATA}/tiny")), pattern)] == local
    assert local or pattern == "no/*.png"


def test_a_web_server_does_as_well(tiny: Tiny, fetched: list[str]) -> None:
    with serving(tiny.root) as base:
        split = tiny.task.split("five", base)
        assert split.digest == tiny.split.digest
        assert tiny.task.split("five", base).reader.folder == split.reader.folder
