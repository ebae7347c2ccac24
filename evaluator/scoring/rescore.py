"""Score kept outputs again, by new metrics or versions, without running a model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from evaluator._version import __version__
from evaluator.findings import EvaluatorError, Finding, did_you_mean
from evaluator.remote import Url, location
from evaluator.results import CaseRow, KeptRun, Scorecard, Store, environment
from evaluator.results.store import RESCORE_JOURNAL
from evaluator.scoring.backends import Backend
from evaluator.scoring.engine import allow_files, backend_of, digest_of_outputs, scored
from evaluator.scoring.jobs import KeptOutputs, Provider
from evaluator.scoring.journal import Journal
from evaluator.scoring.opening import NONE, Opened, Opener, Permissions
from evaluator.scoring.report import Tally
from evaluator.scoring.running import READ_LIMIT, Progress, Silent, closing, run_jobs, take_over
from evaluator.tasks import Split

_OF_A_RUN = ("seams",)
"""Findings about an output that only the run which made it can tell."""
_OF_READING = ("replaces", "equals-reference", "equals-input", "fitted-gain", "duplicate-cases", "equals-other")
"""Findings about a submission that rest on its outputs and on others: they are kept, for the outputs are the same."""


@dataclass(frozen=True)
class Rescored:
    """What became of one scorecard."""

    submission: str
    state: Literal["rescored", "current", "refused"]
    """`current`: it is by the rules of now already."""
    before: Scorecard
    after: Scorecard
    """The scorecard that is there now."""
    why: str = ""
    """Why it was refused."""
    findings: tuple[Finding, ...] = ()


@dataclass
class _Kept:
    """One submission that is scored again."""

    card: Scorecard
    rows: dict[str, CaseRow]
    provider: Provider
    opened: Opened | None
    """None: a model's outputs, which no worker is needed for."""
    done: Journal
    broken: str = ""
    retried: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.card.submission.id

    def finish(self) -> None:
        if self.opened is not None:
            self.opened.workers.close()

    def changed(self) -> str:
        """Return a case whose output is not the one that was scored before, or an empty string."""
        same = self.provider.unchanged
        return next((c for c, r in self.rows.items() if not same(c, r.output, r.output_sha256, READ_LIMIT)), "")


def rescore(
    split: Split,
    submissions: Sequence[str] = (),
    *,
    leaderboards: Path = Path("leaderboards"),
    everything: bool = False,
    workers: int = 1,
    executor: Executor | Backend | None = None,
    progress: Progress | None = None,
    permissions: Permissions = NONE,
    tally: Tally | None = None,
) -> list[Rescored]:
    """Score kept outputs again by the rules of now, and replace the scorecards.

    A model's outputs are those in `outputs/` of the results; a team's are read from where they were. Both must be the
    ones that the scorecard is of, by the sha256 of every case. Runtime, isolation and all that is said of the
    submission are taken over; `Scorecard.kept_run` names the run that they are of.

    Args:
        split: the split, opened.
        submissions: ids; all that have a scorecard if empty.
        leaderboards: the folder of results.
        everything: also score again what is by the rules of now already.
        workers: threads, if no executor is given; else how many jobs the executor does at a time.
        executor: where jobs run: see `score`.
        progress: told how the run goes on.
        permissions: what the operator allows beyond what the sandbox proved.
        tally: counts where the time goes; for a report.

    Returns:
        One a submission, sorted by id.

    Raises:
        EvaluatorError: there is no such scorecard, the data set is at fault, or another run is scoring it again.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    store = Store(leaderboards)
    cards = {card.submission.id: card for card in store.read(split.task.id, split.name)}
    for name in submissions:
        if name not in cards:
            place = leaderboards / split.task.id / split.name
            raise EvaluatorError(f"There is no scorecard of {name!r} in {place}.{did_you_mean(name, cards)}")
    chosen = [card for name, card in cards.items() if not submissions or name in submissions]
    found: dict[str, Rescored] = {}
    kept: list[_Kept] = []
    allow_files(len(chosen), workers)
    with Opener(split, store, permissions) as opener:
        for card in chosen:
            name = card.submission.id
            if not everything and is_current(card, split):
                found[name] = Rescored(name, "current", card, card)
                continue
            try:
                kept.append(_open(card, split, store, opener))
            except EvaluatorError as error:
                found[name] = Rescored(name, "refused", card, card, str(error), error.findings)
            except OSError as error:
                why = f"Its outputs cannot be read ({error.strerror or error})."
                found[name] = Rescored(name, "refused", card, card, why)
        with closing(kept):
            for work in kept:
                take_over(work)
            run_jobs(
                kept,
                split,
                split.task.spec.metrics,
                isolation=opener.isolation,
                backend=backend_of(executor, workers),
                progress=progress or Silent(),
                tally=tally or Tally(),
            )
            for work in kept:
                name = work.name
                try:
                    if work.broken:
                        raise EvaluatorError(work.broken)
                    card, table = _scorecard(work, split, started, time.perf_counter() - clock)
                except EvaluatorError as error:
                    found[name] = Rescored(name, "refused", work.card, work.card, str(error))
                else:
                    found[name] = _replaced(work.card, card, table, store)
                work.done.remove()
    return [found[card.submission.id] for card in chosen]


def _replaced(old: Scorecard, new: Scorecard, table: str, store: Store) -> Rescored:
    """Write a new scorecard in place of the old one, unless another has taken its place since that was read."""
    name = old.submission.id
    latest = next((c for c in store.read(old.task, old.split) if c.submission.id == name), None)
    if latest != old:
        return Rescored(name, "refused", old, latest or old, "It was scored anew meanwhile.")
    store.write(new, table)
    return Rescored(name, "rescored", old, new)


def is_current(card: Scorecard, split: Split) -> bool:
    """Tell whether a scorecard is by the rules of now."""
    return card.rules_digest == split.task.rules_digest() and set(split.task.spec.metrics) <= set(card.metrics)


def _open(card: Scorecard, split: Split, store: Store, opener: Opener) -> _Kept:
    """Find the outputs that a scorecard is of.

    Raises:
        EvaluatorError: they are not there, or are not the same.
    """
    name = card.submission.id
    if card.dataset.digest != split.digest:
        raise EvaluatorError("The data set is not the one that it was scored on. Score it again: evaluate")
    rows = {row.case: row for row in store.read_cases(card)}
    if set(rows) != set(split.case_ids):
        raise EvaluatorError("Its per-case table has other cases than the split. Score it again: evaluate")
    journal = _journal(card, split, store)
    if card.submission.kind == "outputs":
        source, opened = _open_again(card, store, opener)
        if opened.submission.is_model or opened.submission.rejected:
            raise EvaluatorError(
                f"{source} is not what was scored: {opened.submission.rejected or 'it is a model now'}"
            )
        work = _Kept(card, rows, opened.provider, opened, journal, retried=[*opened.retried])
        where = str(source)
    else:
        folder = store.outputs_folder(card.task, card.split, name)
        if not folder.is_dir():
            raise EvaluatorError(f"Its outputs were not kept: {folder} is not there. Run the model again: evaluate")
        work = _Kept(card, rows, KeptOutputs(folder, rows, _said(card, rows)), None, journal)
        where = str(folder)
    if case := work.changed():
        raise EvaluatorError(f"The output of case {case} in {where} is not the one that was scored. Score it again.")
    return work


def _open_again(card: Scorecard, store: Store, opener: Opener) -> tuple[Path | Url, Opened]:
    """Open what a team sent where it was when it was scored.

    Raises:
        EvaluatorError: it is not there any more, or cannot be used.
    """
    url = location(card.submission.source)
    if isinstance(url, Url):
        try:
            return url, opener.open(url)
        except EvaluatorError as error:
            hint = "Scorecards keep no password and no query of a URL: if it had one, score it again: evaluate"
            raise EvaluatorError(f"Its outputs cannot be read again. {error} {hint}", error.findings) from None
    source = store.root / card.submission.source
    if not source.exists():
        raise EvaluatorError(f"Its outputs are gone: {source} is not there.")
    return source, opener.open(source)


def _said(card: Scorecard, rows: dict[str, CaseRow]) -> dict[str, tuple[Finding, ...]]:
    """Return what the outputs of a model do not show themselves."""
    names = {row.output for row in rows.values() if row.output}
    failed = {f"{row.case}.npy": row.case for row in rows.values() if not row.output}
    said: dict[str, tuple[Finding, ...]] = {}
    for finding in card.findings:
        if finding.file in failed or (finding.file in names and finding.code in _OF_A_RUN):
            key = failed.get(finding.file, finding.file)
            said[key] = (*said.get(key, ()), finding)
    return said


def _journal(card: Scorecard, split: Split, store: Store) -> Journal:
    parts = {
        "evaluator": __version__,
        "rules": split.task.rules_digest(),
        "dataset": split.digest,
        "cases": card.cases_sha256,
        "environment": environment(split.task.spec.metrics).model_dump(mode="json", exclude={"hardware"}),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    file = store.folder(card.task, card.split, card.submission.id) / RESCORE_JOURNAL
    return Journal(file, key, card.submission.id, split.case_numbers)


def _scorecard(work: _Kept, split: Split, started: datetime, wall_time_s: float) -> tuple[Scorecard, str]:
    """Return the new scorecard and its per-case table.

    Raises:
        EvaluatorError: outputs were changed while they were scored.
    """
    old = work.card
    results = work.done.in_order(split.case_ids)
    for result in results:
        if result.output_sha256 != work.rows[result.case].output_sha256:
            raise EvaluatorError(f"The output of case {result.case} of {old.submission.id} was changed while in use.")
    fields, table = scored(results, split)
    first = old.kept_run
    fields |= {
        "findings": (*_of_the_whole(work), *(f for result in results for f in result.findings)),
        "kept_run": KeptRun(
            started=first.started if first else old.started,
            evaluator=first.evaluator if first else old.environment.evaluator,
            hardware=first.hardware if first else old.environment.hardware,
            outputs_sha256=digest_of_outputs([(r.case, r.output_sha256) for r in results]),
            rules_digest=old.rules_digest,
        ),
        "retried": tuple(work.retried),
        "started": started.isoformat(timespec="seconds"),
        "wall_time_s": round(wall_time_s, 3),
    }
    return Scorecard(**{name: getattr(old, name) for name in Scorecard.model_fields} | fields), table


def _of_the_whole(work: _Kept) -> tuple[Finding, ...]:
    """Return what is said of a submission, not of one of its outputs."""
    if work.opened is not None:
        noted = [f for f in work.card.findings if f.code in _OF_READING]
        return (*work.opened.submission.findings, *noted)
    of_outputs = {row.output or f"{row.case}.npy" for row in work.rows.values()}
    return tuple(f for f in work.card.findings if f.file not in of_outputs)
