"""What a bundle's scoring program does: score what was uploaded as `evaluate` does, and write what Codabench reads."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evaluator._version import __version__
from evaluator.bundle.competition import Settings
from evaluator.findings import EvaluatorError, Finding
from evaluator.ranking import Board, rank
from evaluator.results import CaseRow, Store
from evaluator.results.store import CARD, CASES
from evaluator.scoring import Outcome, Progress, score
from evaluator.tasks import Split, load_task

if TYPE_CHECKING:
    from jinja2 import Environment

SETTINGS = "bundle.json"
DATA, CACHE, WEIGHTS, TASK = "data", "cache", "weights", "task"
"""Folders of the reference data."""
SCORES, DETAILS = "scores.json", "detailed_results.html"
_WORKER_FILE = "metadata"
"""What Codabench's worker adds to a submission: how the step before this one ended."""


@dataclass
class Verdict:
    """What became of an uploaded submission."""

    outcome: Outcome
    """As `evaluate` has it."""
    board: Board | None = None
    """With this one row; None if it was rejected."""
    scores: dict[str, float] = field(default_factory=dict)
    """What was written to `scores.json`; empty if it was not written."""
    reason: str = ""
    """Why it was not."""


def score_upload(given: Path, output: Path, *, workers: int = 1, progress: Progress | None = None) -> Verdict:
    """Score the submission in `given/res` against `given/ref`.

    Writes `detailed_results.html` in any case, `scorecard.json` and `cases.csv` of what was scored, and `scores.json`
    only if all that the ranking needs has a number: without it Codabench calls the submission failed, which is right.

    Args:
        given: the worker's input folder; a file `metadata` that the worker left in `res` is removed.
        output: the worker's output folder.
        workers: threads.
        progress: told how the run goes on.

    Raises:
        EvaluatorError: the reference data is at fault.
    """
    output.mkdir(parents=True, exist_ok=True)
    try:
        settings, split = _open(given / "ref")
    except EvaluatorError as error:
        message = f"The organisers have to mend the reference data: {error}"
        _write_details(output, title="Not scored", reason=message, findings=error.findings)
        raise EvaluatorError(message, error.findings) from None
    submission = given / "res"
    _remove_worker_file(submission / _WORKER_FILE)
    with tempfile.TemporaryDirectory(prefix="evaluator-") as folder:
        store = Store(Path(folder))
        (outcome,) = score([submission], split, leaderboards=store.root, workers=workers, progress=progress)
        if outcome.card is None:
            verdict, cases = Verdict(outcome, reason=outcome.message), []
        else:
            cases = store.read_cases(outcome.card)
            board = rank(split.task, split.name, [outcome.card], store.read_costs(split.task.id))
            verdict = _judge(settings, outcome, board)
            kept = store.folder(split.task.id, split.name, outcome.card.submission.id)
            for name in (CARD, CASES):
                shutil.copyfile(kept / name, output / name)
    title = f"{split.task.spec.title} · {split.name}"
    _write_details(output, title=title, verdict=verdict, cases=cases, reason=verdict.reason, findings=outcome.findings)
    if verdict.scores:
        text = json.dumps(verdict.scores, indent=2, allow_nan=False)
        (output / SCORES).write_text(f"{text}\n", encoding="utf-8")
    return verdict


def _open(reference: Path) -> tuple[Settings, Split]:
    try:
        settings = Settings.model_validate_json((reference / SETTINGS).read_bytes())
    except OSError as error:
        raise EvaluatorError(f"{reference / SETTINGS} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        raise EvaluatorError(f"{reference / SETTINGS} is damaged ({error.errors()[0]['msg']}).") from None
    # By the environment, so that worker processes find them too.
    for name, variable in ((CACHE, "EVALUATOR_CACHE"), (WEIGHTS, "EVALUATOR_WEIGHTS")):
        if (reference / name).is_dir():
            os.environ[variable] = str(reference / name)
    own = settings.task.endswith(".toml")
    task = load_task(reference / settings.task if own else settings.task)
    split = task.split(settings.split, reference / DATA if (reference / DATA).is_dir() else None)
    now = (__version__, task.rules_digest(), split.digest)
    if now != (settings.evaluator, settings.rules, settings.dataset):
        raise EvaluatorError(
            f"The bundle was written by evaluator {settings.evaluator} for data {settings.dataset[:12]}… and rules "
            f"{settings.rules[:12]}…; here are {now[0]}, {now[2][:12]}… and {now[1][:12]}…. Write the bundle again."
        )
    return settings, split


def _remove_worker_file(path: Path) -> None:
    """Remove the worker's file from among the outputs; where that is not allowed, a finding will name it."""
    with contextlib.suppress(OSError):
        if path.is_file() and b"exitCode:" in path.read_bytes()[:4096]:
            path.unlink()


def _judge(settings: Settings, outcome: Outcome, board: Board) -> Verdict:
    (row,) = board.rows
    values = {key: row.cells[name].value for key, name in settings.columns.items()}
    numbers = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
    lacking = [n for n in settings.ranking if n not in {settings.columns[key] for key in numbers}]
    if row.rank is None:
        return Verdict(outcome, board, reason=row.reason)
    if lacking:
        states = ", ".join(f"{n} is {row.cells[n].state.value.replace('_', ' ')}" for n in lacking)
        return Verdict(outcome, board, reason=f"the ranking needs a number, but {states}")
    return Verdict(outcome, board, numbers)


def _write_details(
    output: Path,
    *,
    title: str,
    reason: str,
    findings: Sequence[Finding],
    verdict: Verdict | None = None,
    cases: Sequence[CaseRow] = (),
) -> None:
    values: dict[str, Any] = {"title": title, "reason": reason, "findings": findings, "cases": cases}
    board = verdict.board if verdict else None
    page = environment(html=True).get_template("detailed_results.html")
    text = page.render(**values, board=board, row=board.rows[0] if board else None)
    (output / DETAILS).write_text(text, encoding="utf-8")


def environment(*, html: bool) -> Environment:
    """Return jinja's environment of the bundle's templates; `html` escapes what is put in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("evaluator.bundle"),
        autoescape=html,  # noqa: S701 - off for Markdown, which holds the organiser's own words
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = __version__
    return made
