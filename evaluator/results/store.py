"""The layout of a leaderboards folder.

`<task>/<split>/<submission>/scorecard.json` and `cases.csv`; `<task>/<split>/moves.json`;
`costs/<task>/<submission>.json`, for all splits; `opinions/<task>/<split>.json`; `conformance.json`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from evaluator.efficiency import cost
from evaluator.efficiency.cost import Cost
from evaluator.findings import EvaluatorError, Finding
from evaluator.results import conformance
from evaluator.results import moves as moving
from evaluator.results import opinions as judging
from evaluator.results.cases import CaseRow, read_cases
from evaluator.results.conformance import Conformance
from evaluator.results.moves import Moves
from evaluator.results.opinions import Opinions
from evaluator.results.scorecard import SCHEMA_VERSION, Scorecard

CARD = "scorecard.json"
CASES = "cases.csv"
JOURNAL = "journal.jsonl"
RESCORE_JOURNAL = "rescore.jsonl"
OUTPUTS = "outputs"
SITE = "site"
COSTS = "costs"
OPINIONS = "opinions"
MOVES = "moves.json"
CONFORMANCE = "conformance.json"

Record = TypeVar("Record", bound=BaseModel)
Of = TypeVar("Of", Moves, Opinions)


@dataclass(frozen=True)
class Result:
    """A scorecard with its per-case table, and what the model costs where that is known."""

    card: Scorecard
    cases: tuple[CaseRow, ...]
    cost: Cost | None


class Store:
    """Scorecards as files; the site and the rankings are views of them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, task: str, split: str, submission: str) -> Path:
        """Return the folder of one result."""
        return self.root / task / split / submission

    def outputs_folder(self, task: str, split: str, submission: str) -> Path:
        """Return the folder in which a model's outputs are kept."""
        return self.root / OUTPUTS / task / split / submission

    def boards(self) -> Iterator[tuple[str, str]]:
        """Yield every (task, split) that has a scorecard, sorted."""
        found = {(p.parts[-4], p.parts[-3]) for p in self.root.glob(f"*/*/*/{CARD}")}
        yield from sorted(found)

    def write(self, card: Scorecard, cases_csv: str) -> Path:
        """Write a scorecard and its per-case table; return the scorecard's path.

        Both are whole on the disk before either takes the place of an old one.
        """
        folder = self.folder(card.task, card.split, card.submission.id)
        folder.mkdir(parents=True, exist_ok=True)
        with _staged(folder / CASES, cases_csv) as table, _staged(folder / CARD, _json(card)) as whole:
            table.replace(folder / CASES)
            whole.replace(folder / CARD)
        return folder / CARD

    def amend(self, card: Scorecard, findings: tuple[Finding, ...]) -> tuple[Scorecard, Path]:
        """Replace the findings of a scorecard that was written; return it and its path."""
        amended = card.model_copy(update={"findings": findings})
        file = self.folder(card.task, card.split, card.submission.id) / CARD
        write_atomically(file, _json(amended))
        return amended, file

    def source(self, task: str, split: str, submission: str) -> str:
        """Return where the files of a result were; empty if there is none yet, or none that can be read."""
        try:
            return _load_card(self.folder(task, split, submission) / CARD).submission.source
        except (OSError, EvaluatorError):
            return ""

    def read(self, task: str, split: str) -> list[Scorecard]:
        """Return all scorecards of a split, sorted by submission.

        Raises:
            EvaluatorError: a file is damaged, or of another schema version.
        """
        return [_load_card(path) for path in sorted((self.root / task / split).glob(f"*/{CARD}"))]

    def cost_file(self, task: str, submission: str) -> Path:
        """Return the file of a submission's costs."""
        return self.root / COSTS / task / f"{submission}.json"

    def write_cost(self, record: Cost) -> Path:
        """Write what a submission's model costs, in one step; return the file's path."""
        return _write(self.cost_file(record.task, record.submission), record)

    def read_cost(self, task: str, submission: str) -> Cost | None:
        """Return what a submission's model costs, or None if nothing is known.

        Raises:
            EvaluatorError: the file is damaged, of another schema version, or of another task or submission.
        """
        path = self.cost_file(task, submission)
        return _load_cost(path, task) if path.is_file() else None

    def read_costs(self, task: str) -> dict[str, Cost]:
        """Return the costs of all submissions to a task, by submission.

        Raises:
            EvaluatorError: a file is damaged, of another schema version, or of another task or submission.
        """
        return {path.stem: _load_cost(path, task) for path in sorted((self.root / COSTS / task).glob("[!.]*.json"))}

    def moves_file(self, task: str, split: str) -> Path:
        """Return the file that says who moved when a split was last scored by new rules."""
        return self.root / task / split / MOVES

    def write_moves(self, record: Moves) -> Path:
        """Write who moved, in one step; return the file's path."""
        return _write(self.moves_file(record.task, record.split), record)

    def read_moves(self, task: str, split: str) -> Moves | None:
        """Return who moved when the split was last scored by new rules, or None if that never was.

        Raises:
            EvaluatorError: the file is damaged, of another schema version, or of another task or split.
        """
        path = self.moves_file(task, split)
        again = "Delete the file: it is written anew when scorecards are scored again (evaluate rescore)"
        return _load_of(Moves, path, moving.SCHEMA_VERSION, again, (task, split))

    def opinions_file(self, task: str, split: str) -> Path:
        """Return the file of what people said of a split's outputs."""
        return self.root / OPINIONS / task / f"{split}.json"

    def write_opinions(self, record: Opinions) -> Path:
        """Write what people said, in one step; return the file's path."""
        return _write(self.opinions_file(record.task, record.split), record)

    def read_opinions(self, task: str, split: str) -> Opinions | None:
        """Return what people said of a split's outputs, or None if nobody was asked.

        Raises:
            EvaluatorError: the file is damaged, of another schema version, or of another task or split.
        """
        again = "Import the opinions again (evaluate opinions import)"
        return _load_of(Opinions, self.opinions_file(task, split), judging.SCHEMA_VERSION, again, (task, split))

    @property
    def conformance_file(self) -> Path:
        """The file of what came of setting our metrics beside other libraries; of no task."""
        return self.root / CONFORMANCE

    def write_conformance(self, record: Conformance) -> Path:
        """Write what came of setting our metrics beside other libraries, in one step; return the file's path."""
        return _write(self.conformance_file, record)

    def read_conformance(self) -> Conformance | None:
        """Return what came of setting our metrics beside other libraries, or None if that was not kept.

        Raises:
            EvaluatorError: the file is damaged, or of another schema version.
        """
        if not self.conformance_file.is_file():
            return None
        again = "Write it anew (evaluate metrics conformance --save)"
        return _load(Conformance, self.conformance_file, conformance.SCHEMA_VERSION, again)

    def read_cases(self, card: Scorecard) -> list[CaseRow]:
        """Return a scorecard's per-case table.

        Raises:
            EvaluatorError: it is missing, damaged, or was changed since it was written.
        """
        return _load_cases(self.folder(card.task, card.split, card.submission.id) / CASES, card)


def find_cards(path: Path) -> list[Path]:
    """Return the scorecards that a path means: itself, or those of a folder: of a result, a split, a task or all."""
    if not path.is_dir():
        return [path]
    return sorted(found for pattern in ("", "*/", "*/*/", "*/*/*/") for found in path.glob(pattern + CARD))


def read_result(path: Path) -> Result:
    """Read one result from its place in a folder of results, or from a copy of its two files.

    Costs are read from the `costs` of the folder of results, so a copy elsewhere has none.

    Args:
        path: a scorecard, with its `cases.csv` beside; or a folder with one scorecard in it.

    Raises:
        EvaluatorError: there is none, or several; or a file is missing, damaged or of another schema version.
    """
    found = find_cards(path)
    if len(found) != 1:
        some = f"{len(found)} scorecards: {', '.join(str(p.parent) for p in found[:5])}" if found else "no scorecard"
        raise EvaluatorError(f"{path} holds {some}. Name one, such as leaderboards/TASK/SPLIT/SUBMISSION/{CARD}.")
    (file,) = found
    card = _load_card(file)
    cases = tuple(_load_cases(file.parent / CASES, card))
    place = file.resolve().parts[-4:-1]
    home = file.resolve().parents[3] if place == (card.task, card.split, card.submission.id) else None
    return Result(card, cases, Store(home).read_cost(card.task, card.submission.id) if home else None)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _write(path: Path, record: BaseModel) -> Path:
    """Write a record, in one step; return the file's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _json(record))
    return path


def _json(record: BaseModel) -> str:
    return json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _load_cases(path: Path, card: Scorecard) -> list[CaseRow]:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != card.cases_sha256:
            raise ValueError("it is not the table that the scorecard was written with")
        return read_cases(data.decode("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise EvaluatorError(f"{path} cannot be used ({error}). Score the submission again.") from None


def _load_card(path: Path) -> Scorecard:
    return _load(Scorecard, path, SCHEMA_VERSION, "Score the submission again")


def _load_cost(path: Path, task: str) -> Cost:
    record = _load(Cost, path, cost.SCHEMA_VERSION, _AGAIN)
    if (record.task, record.submission) != (task, path.stem):
        raise EvaluatorError(
            f"{path} holds the costs of {record.task}/{record.submission}: it was renamed or moved. "
            "Put it back, or profile the model again: evaluate profile"
        )
    return record


def _load_of(model: type[Of], path: Path, known: int, again: str, of: tuple[str, str]) -> Of | None:
    if not path.is_file():
        return None
    record = _load(model, path, known, again)
    if (record.task, record.split) != of:
        raise EvaluatorError(f"{path} is of {record.task}/{record.split}: it was renamed or moved. {again}.")
    return record


_AGAIN = "Delete the file and profile the model again (evaluate profile), or import its logs again"


def _load(model: type[Record], path: Path, known: int, again: str) -> Record:
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        version = values.get("schema_version") if isinstance(values, dict) else None
        if version != known:
            raise EvaluatorError(
                f"{path} has schema version {version}; this harness reads {known}. "
                f"{again}, or use the harness that wrote it."
            )
        return model.model_validate_json(json.dumps(values, allow_nan=False), strict=True)
    except ValueError as error:  # of JSON, UTF-8 or the model
        why = str(error).splitlines()[0]
        raise EvaluatorError(f"{path} is damaged ({why}). {again}.") from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    with _staged(path, text) as whole:
        whole.replace(path)


@contextlib.contextmanager
def _staged(path: Path, text: str) -> Iterator[Path]:
    """Write a file beside the one that it is to replace; remove it if it does not."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    whole = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        whole.chmod(0o644)
        yield whole
    finally:
        with contextlib.suppress(OSError):
            whole.unlink()
