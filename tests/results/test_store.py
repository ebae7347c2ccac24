"""The store: files that are whole or not there, and messages that name the file that is not."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.metrics import Score, State
from evaluator.results import CaseRow, Scorecard, Store, write_cases
from evaluator.results.store import write_atomically

MakeCard = Callable[..., Scorecard]
ROWS = [CaseRow("ä – 图", "a.png", "00", {"psnr.f64": Score(State.OK, 0.1 + 0.2)})]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put(store: Store, card: Scorecard, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a card, then change its JSON values behind the store's back."""
    path = store.write(card, "")
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_a_scorecard_comes_back_as_it_was_written(tmp_path: Path, make_card: MakeCard) -> None:
    store, table = Store(tmp_path), write_cases(ROWS, ["psnr.f64"])
    card = make_card(cases_sha256=sha256(table))
    path = store.write(card, table)
    assert path == tmp_path / "tiny/five/team/scorecard.json"
    assert store.read("tiny", "five") == [card]
    assert store.read_cases(card) == ROWS
    assert sorted(p.name for p in path.parent.iterdir()) == ["cases.csv", "scorecard.json"]


def test_scorecards_are_read_sorted_by_submission(tmp_path: Path, make_card: MakeCard) -> None:
    store = Store(tmp_path)
    for name in ("b", "c", "a"):
        store.write(make_card(name), "")
    assert [c.submission.id for c in store.read("tiny", "five")] == ["a", "b", "c"]


def test_boards_are_the_splits_that_have_a_scorecard(tmp_path: Path, make_card: MakeCard) -> None:
    store = Store(tmp_path)
    assert list(store.boards()) == []
    for task, split in (("t", "z"), ("t", "a"), ("s", "b")):
        store.write(make_card(task=task, split=split), "")
    (store.folder("u", "stopped", "team")).mkdir(parents=True)
    store.outputs_folder("v", "w", "team").mkdir(parents=True)
    assert list(store.boards()) == [("s", "b"), ("t", "a"), ("t", "z")]


def test_names_in_other_scripts_are_written_as_they_are(tmp_path: Path, make_card: MakeCard) -> None:
    assert "Équipe – 图" in Store(tmp_path).write(make_card(), "").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_an_error_that_names_the_file(
    tmp_path: Path, make_card: MakeCard, version: object
) -> None:
    path = put(Store(tmp_path), make_card(), lambda values: values.update(schema_version=version))
    with pytest.raises(EvaluatorError, match="schema version") as raised:
        Store(tmp_path).read("tiny", "five")
    assert str(path) in str(raised.value)


def test_no_schema_version_is_an_error(tmp_path: Path, make_card: MakeCard) -> None:
    put(Store(tmp_path), make_card(), lambda values: values.pop("schema_version"))
    with pytest.raises(EvaluatorError, match="schema version None"):
        Store(tmp_path).read("tiny", "five")


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("metrics"),
        lambda values: values.update(extra=1),
        lambda values: values.update(status="fine"),
        lambda values: values["submission"].update(id=3),
        lambda values: values["metrics"]["psnr.f64"].update(value="0.5"),
        lambda values: values["dataset"].update(cases="2"),
        lambda values: values["submission"].update(baseline="no"),
        lambda values: values["metrics"]["psnr.f64"].update(value=float("nan")),
        lambda values: values["metrics"]["psnr.f64"].update(value=float("inf")),
    ],
    ids=[
        *("field gone", "field too many", "unknown status", "number for text", "text for a number"),
        *("text for a count", "text for a truth", "not a number", "infinity"),
    ],
)
def test_values_that_do_not_fit_are_an_error_that_names_the_file(
    tmp_path: Path, make_card: MakeCard, change: Callable[[dict[str, Any]], object]
) -> None:
    path = put(Store(tmp_path), make_card(), change)
    with pytest.raises(EvaluatorError, match="is damaged") as raised:
        Store(tmp_path).read("tiny", "five")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b"3"])
def test_damaged_json_is_an_error_that_names_the_file(tmp_path: Path, make_card: MakeCard, text: bytes) -> None:
    path = Store(tmp_path).write(make_card(), "")
    path.write_bytes(text)
    with pytest.raises(EvaluatorError) as raised:
        Store(tmp_path).read("tiny", "five")
    assert str(path) in str(raised.value)


def edit(data: bytes) -> bytes:
    return data.replace(b"0.3", b"9.3")


@pytest.mark.parametrize(
    "change", [edit, lambda data: data + b"\n", lambda _: b"", lambda _: b"\xff", lambda data: data.split(b"\n")[0]]
)
def test_a_table_that_is_not_the_one_written_is_an_error_that_names_the_file(
    tmp_path: Path, make_card: MakeCard, change: Callable[[bytes], bytes]
) -> None:
    store, table = Store(tmp_path), write_cases(ROWS, ["psnr.f64"])
    card = make_card(cases_sha256=sha256(table))
    path = store.write(card, table).with_name("cases.csv")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EvaluatorError, match="not the table that the scorecard was written with") as raised:
        store.read_cases(card)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("damage", ["gone", "no table"])
def test_a_table_that_is_gone_or_none_is_an_error_that_names_the_file(
    tmp_path: Path, make_card: MakeCard, damage: str
) -> None:
    store = Store(tmp_path)
    card = make_card(cases_sha256=sha256("case\na\n"))
    path = store.write(card, "case\na\n").with_name("cases.csv")
    if damage == "gone":
        path.unlink()
    with pytest.raises(EvaluatorError, match="Score the submission again") as raised:
        store.read_cases(card)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_does_not_know_is_never_written(tmp_path: Path, make_card: MakeCard, number: float) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    path = Store(tmp_path).write(make_card(protocol={"peak": number}), "")
    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("step", ["fsync", "replace", "write"])
def test_the_old_file_stays_whole_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    text = "new \ud800" if step == "write" else "new"  # a lone surrogate has no UTF-8
    with pytest.raises((OSError, UnicodeEncodeError)):
        write_atomically(path, text)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"], "a part of a file was left"


def test_written_text_is_utf8_with_its_line_ends_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    write_atomically(path, "ü\n\r\n")
    assert path.read_bytes() == "ü\n\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
