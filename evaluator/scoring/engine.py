"""Score submissions on a split, all together: each reference is read once, each scorecard written when it is ready."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from evaluator import metrics
from evaluator._version import __version__
from evaluator.efficiency import summarise
from evaluator.findings import EvaluatorError, Finding, has_errors
from evaluator.ingest import Submission, other_id
from evaluator.metrics import Aggregate
from evaluator.remote import Url, location
from evaluator.results import (
    DatasetInfo,
    GroupMean,
    MetricResult,
    Scorecard,
    Store,
    SubmissionInfo,
    environment,
    write_cases,
)
from evaluator.results.store import JOURNAL
from evaluator.scoring import suspicions
from evaluator.scoring.backends import Backend, GivenExecutor, Threads
from evaluator.scoring.jobs import CaseResult, ModelOutputs, Provider
from evaluator.scoring.journal import AT_ONCE, Journal
from evaluator.scoring.opening import NONE, Opened, Opener, Permissions
from evaluator.scoring.profile import Subject, count_scored
from evaluator.scoring.report import Tally
from evaluator.scoring.running import TOGETHER, Progress, Silent, closing, is_large, run_jobs, take_over
from evaluator.scoring.try_model import try_model
from evaluator.tasks import Split


@dataclass
class Outcome:
    """What became of one submission of a run."""

    path: Path | Url
    id: str | None = None
    card: Scorecard | None = None
    """None if it was rejected, or only checked."""
    card_file: Path | None = None
    findings: tuple[Finding, ...] = ()
    message: str = ""
    """Why it was rejected."""
    resumed: int = 0
    """Cases taken from the journal of a run that was stopped."""

    @property
    def has_errors(self) -> bool:
        """Whether anything is wrong with it that keeps it, or one of its cases, from being scored."""
        return bool(self.message) or has_errors(self.findings)


@dataclass
class _Entry:
    outcome: Outcome
    opened: Opened
    done: Journal
    noted: list[Finding] = field(default_factory=list)
    """What is said of the submission as a whole because of this run."""
    broken: str = ""
    retried: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    """Of the outputs, in the split's order; empty where there is none."""

    @property
    def submission(self) -> Submission:
        return self.opened.submission

    @property
    def name(self) -> str:
        return self.submission.id

    @property
    def provider(self) -> Provider:
        return self.opened.provider

    def finish(self) -> None:
        self.opened.workers.close()


def score(
    paths: Sequence[Path | Url | str],
    split: Split,
    *,
    leaderboards: Path = Path("leaderboards"),
    workers: int = 1,
    executor: Executor | Backend | None = None,
    progress: Progress | None = None,
    permissions: Permissions = NONE,
    tally: Tally | None = None,
) -> list[Outcome]:
    """Score submissions on a split and write their scorecards.

    Args:
        paths: folders or archives of outputs, or folders of baselines, or URLs of such.
        split: the split, opened.
        leaderboards: the folder that results are written to.
        workers: threads, if no executor is given; else how many jobs the executor does at a time.
        executor: where jobs run: any executor, which is not shut down, or a backend (see `evaluator.scoring.backend`).
        progress: told how the run goes on.
        permissions: what the operator allows beyond what the sandbox proved.
        tally: counts where the time goes; for a report.

    Returns:
        One outcome a path, in order. A submission that cannot be scored has a message and findings, and no scorecard.

    Raises:
        EvaluatorError: the data set is at fault, no workers can be had, or results cannot be written.
    """
    progress, tally = progress or Silent(), tally or Tally()
    started, clock = datetime.now(UTC), time.perf_counter()
    store, chosen = Store(leaderboards), backend_of(executor, workers)
    allow_files(len(paths), workers)
    with Opener(split, store, permissions) as opener:
        opened, outcomes = _open_all(paths, opener)
        rejected = [e for e in opened if e.submission.rejected]
        _read_only(rejected, opener, backend=Threads(max(1, workers)), progress=None)
        entries = [e for e in opened if not e.submission.rejected]
        with closing(entries):
            few = len(entries) * len(split.case_ids) <= AT_ONCE
            entries = [entry for entry in entries if _resume(entry, split, store, keep=few)]
            for lost in (o for o in outcomes if o.message):
                progress.tell("submission-failed", submission=str(lost.path), message=lost.message)

            def finished(number: int) -> None:
                entry = entries[number]
                results = entry.done.in_order(split.case_ids)
                _look(entry, results, split)
                _note_replaced(entry, split, store, leaderboards)
                clocked = started, time.perf_counter() - clock
                card, table = _scorecard(entry, results, split, clocked, leaderboards)
                _write(entry, card, store.write(card, table))
                progress.tell("submission-finished", submission=entry.name, status=card.status)

            run_jobs(
                entries,
                split,
                split.task.spec.metrics,
                isolation=opener.isolation,
                backend=chosen,
                progress=progress,
                tally=tally,
                finished=finished,
            )
            _compare(entries, split, store)
            for entry in entries:
                if entry.broken:
                    entry.outcome.message = entry.broken
                    entry.outcome.findings = entry.submission.findings
                elif isinstance(entry.opened.provider, ModelOutputs):
                    count_scored(Subject(entry.submission.id, entry.opened.provider.runner), split.task, store)
            for entry in entries:  # not before all is written: a run that is stopped goes on with what it has
                if not entry.broken:
                    entry.done.remove()
    return outcomes


def check(
    paths: Sequence[Path | Url | str],
    split: Split,
    *,
    workers: int = 1,
    executor: Executor | Backend | None = None,
    progress: Progress | None = None,
    permissions: Permissions = NONE,
) -> list[Outcome]:
    """Say what is wrong with submissions as `score` would, without scoring them.

    Arguments as for `score`. A model is run on one case: what the others would find is left to `score`.
    """
    allow_files(len(paths), workers)
    with Opener(split, None, permissions) as opener:
        entries, outcomes = _open_all(paths, opener)
        models = [e for e in entries if e.submission.is_model]
        others = [e for e in entries if not e.submission.is_model]
        _read_only(others, opener, backend=backend_of(executor, workers), progress=progress)
        for entry in models:
            entry.outcome.findings = (*entry.submission.findings, *try_model(entry.opened, split))
    return outcomes


def backend_of(given: Executor | Backend | None, workers: int) -> Backend:
    """Return the backend that is meant: threads, somebody's executor, or what was given."""
    if given is None:
        return Threads(max(1, workers))
    return GivenExecutor(given, max(1, workers)) if isinstance(given, Executor) else given


def _read_only(entries: Sequence[_Entry], opener: Opener, *, backend: Backend, progress: Progress | None) -> None:
    """Read the outputs and note what is wrong with them, without scoring."""
    split, kept = opener.split, [entry for entry in entries if not entry.submission.rejected]
    with closing(entries):
        for entry in entries:
            entry.done.open()
        if entries:
            run_jobs(
                entries,
                split,
                (),
                isolation=opener.isolation,
                backend=backend,
                progress=progress or Silent(),
                tally=Tally(),
            )
        for entry in kept:
            if not entry.broken:
                _look(entry, entry.done.in_order(split.case_ids), split)
        for entry, shared in _shared(kept, split):
            entry.noted += shared
        for entry in entries:
            results = [] if entry.broken else entry.done.in_order(split.case_ids)
            entry.outcome.findings = _findings(entry, results)
            entry.outcome.message = entry.submission.rejected or entry.broken


def _open_all(paths: Sequence[Path | Url | str], opener: Opener) -> tuple[list[_Entry], list[Outcome]]:
    entries: list[_Entry] = []
    outcomes: list[Outcome] = []
    for path in map(location, paths):
        outcome = Outcome(path)
        outcomes.append(outcome)
        try:
            opened = opener.open(path)
        except EvaluatorError as error:
            outcome.message, outcome.findings = str(error), error.findings
        except OSError as error:
            outcome.message = f"{path} cannot be read."
            got = error.strerror or str(error)
            outcome.findings = (
                Finding.error("unreadable", path.name, "files that can be read", got, "Send it again."),
            )
        else:
            outcome.id, outcome.findings = opened.submission.id, opened.submission.findings
            numbers = opener.split.case_numbers
            entries.append(
                _Entry(outcome, opened, Journal(None, "", opened.submission.id, numbers), retried=[*opened.retried])
            )
    return [entry for entry in entries if not _is_twin(entry, entries)], outcomes


def _is_twin(entry: _Entry, entries: Sequence[_Entry]) -> bool:
    """Note it of a submission if its id belongs to another: to one whose path has the name, else to the first."""
    own = [e for e in entries if e.submission.id == entry.submission.id and not e.submission.rejected]
    # The organiser names paths; in its manifest a team could take the id of another.
    holder = next((e for e in own if e.submission.manifest.id is None), own[0] if own else entry)
    if entry.submission.rejected or holder is entry:
        return False
    outcome, identifier = entry.outcome, entry.submission.id
    outcome.message = (
        f"{outcome.path} has the id {identifier!r}, and so has {holder.outcome.path}: it would overwrite its result."
    )
    fix = other_id(entry.submission.manifest)
    outcome.findings = (Finding.error("id-taken", str(outcome.path), "an id of its own", identifier, fix),)
    return True


def allow_files(submissions: int, workers: int) -> None:
    """Raise the number of files that may be open, as far as the system lets us.

    Each submission has a journal, and those scored together have a process for each worker, with five pipes.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1024 + 2 * submissions + 5 * max(workers, 1) * min(submissions, max(TOGETHER.values()))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _resume(entry: _Entry, split: Split, store: Store, *, keep: bool) -> bool:
    """Open the entry's journal and take over the cases that it holds, if they would be read the same now.

    Returns:
        Whether it is to be scored: not if another run is at it.
    """
    parts = {
        "evaluator": __version__,
        "rules": split.task.rules_digest(),
        "dataset": split.digest,
        "model": entry.opened.digest,
        "environment": environment(split.task.spec.metrics).model_dump(mode="json", exclude={"hardware"}),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    folder = store.folder(split.task.id, split.name, entry.submission.id)
    entry.done = Journal(folder / JOURNAL, key, entry.submission.id, split.case_numbers, keep=keep)
    try:
        take_over(entry)
    except EvaluatorError as error:
        entry.outcome.message = str(error)
        return False
    entry.outcome.resumed = len(entry.done)
    return True


def _findings(entry: _Entry, results: Sequence[CaseResult]) -> tuple[Finding, ...]:
    found = [f for result in results for f in result.findings]
    return (*entry.submission.findings, *entry.noted, *found)


def _note_replaced(entry: _Entry, split: Split, store: Store, leaderboards: Path) -> None:
    """Say where a result is about to take the place of that of another folder."""
    old = store.source(split.task.id, split.name, entry.submission.id)
    if old and old != _where(entry.submission, leaderboards):
        got = f"it replaces the result of {old}"
        fix = 'If they are two submissions, set id = "..." in submission.toml and score both again.'
        entry.noted.append(Finding.warning("replaces", entry.submission.id, "a result of its own", got, fix))


def _write(entry: _Entry, card: Scorecard, file: Path) -> None:
    entry.outcome.card, entry.outcome.findings, entry.outcome.card_file = card, card.findings, file


def _where(submission: Submission, leaderboards: Path) -> str:
    if submission.origin:
        return submission.origin
    # A baseline may lie in the installed package: its name is enough.
    if submission.is_baseline:
        return f"baselines/{submission.id}"
    return Path(os.path.relpath(submission.source.path.resolve(), leaderboards.resolve())).as_posix()


def _look(entry: _Entry, results: Sequence[CaseResult], split: Split) -> None:
    """Note what a team's outputs gave away by themselves: for the organiser to judge."""

    def same_reference(one: str, other: str) -> bool:
        return bool(np.array_equal(split.target(one).array, split.target(other).array))

    looks = []
    # In the split's order: what is said must not depend on which case was finished first.
    for result in results:
        entry.digests.append(bytes.fromhex(result.output_sha256))
        if result.output_sha256:
            looks.append(suspicions.Look(result.case, result.output_sha256, result.marks))
    if entry.opened.provider.by_a_team:
        entry.noted += suspicions.summarise(looks, same_reference)


def _shared(entries: Sequence[_Entry], split: Split) -> Iterator[tuple[_Entry, list[Finding]]]:
    """Yield the submissions of teams of which others sent the same files, and what is said of that."""
    shared = suspicions.across({e.submission.id: e.digests for e in entries if e.digests}, split.case_ids)
    for entry in entries:
        if entry.opened.provider.by_a_team and entry.submission.id in shared:
            yield entry, shared[entry.submission.id]


def _compare(entries: Sequence[_Entry], split: Split, store: Store) -> None:
    """Add to the scorecards what only all submissions together show."""
    for entry, found in _shared(entries, split):
        card = entry.outcome.card
        if card is not None:
            of_all = len(entry.submission.findings) + len(entry.noted)
            findings = (*card.findings[:of_all], *found, *card.findings[of_all:])
            _write(entry, *store.amend(card, findings))


def _scorecard(
    entry: _Entry,
    results: Sequence[CaseResult],
    split: Split,
    clocked: tuple[datetime, float],
    leaderboards: Path,
) -> tuple[Scorecard, str]:
    fields, table = scored(results, split)
    timed = [(r.runtime_s, r.pixels) for r in results if r.runtime_s is not None]
    card = Scorecard(
        **fields,
        task=split.task.id,
        split=split.name,
        submission=_describe(entry, results, leaderboards),
        dataset=DatasetInfo(digest=split.digest, cases=len(results)),
        runtime=summarise([seconds for seconds, _ in timed], [pixels for _, pixels in timed]),
        findings=_findings(entry, results),
        isolation=entry.opened.isolation_info(_stops(results)),
        retried=tuple(entry.retried),
        started=clocked[0].isoformat(timespec="seconds"),
        wall_time_s=round(clocked[1], 3),
    )
    return card, table


def scored(results: Sequence[CaseResult], split: Split) -> tuple[dict[str, Any], str]:
    """Return the fields of a scorecard that follow from its cases and the rules, and the per-case table."""
    spec = split.task.spec
    table = write_cases(results, spec.metrics)
    aggregates = _aggregates(results, split)
    fields = {
        "status": "incomplete" if any(a.lost for a in aggregates.values()) else "complete",
        "protocol": spec.protocol.model_dump(mode="json"),
        "rules_digest": split.task.rules_digest(),
        "metrics": {m: MetricResult.of(a, metrics.get(m).contract) for m, a in aggregates.items()},
        "groups": _groups(results, split),
        "arithmetic": "compiled" if is_large(split) else "plain",
        "environment": environment(spec.metrics),
        "cases_sha256": hashlib.sha256(table.encode()).hexdigest(),
    }
    return fields, table


def _stops(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """Return what was stopped, each way to be stopped once; by the findings, which come from all processes and runs."""
    return tuple(dict.fromkeys(f.got for r in results for f in r.findings if f.code == "stopped"))


def _aggregates(results: Sequence[CaseResult], split: Split) -> dict[str, Aggregate]:
    """Return each of the task's metrics over cases."""
    spec = split.task.spec
    return {
        m: metrics.aggregate(metrics.get(m).contract, [r.scores[m] for r in results], spec.ranking.missing)
        for m in spec.metrics
    }


def _groups(results: Sequence[CaseResult], split: Split) -> dict[str, dict[str, GroupMean]]:
    """Return the means over each group of cases, by group and metric; empty if the split has no groups."""
    members: dict[str, list[CaseResult]] = {}
    for result in results:
        if group := split.group(result.case):
            members.setdefault(group, []).append(result)
    return {
        group: {m: GroupMean(state=a.state, value=a.value, cases=a.cases) for m, a in _aggregates(cases, split).items()}
        for group, cases in sorted(members.items())
    }


def _describe(entry: _Entry, results: Sequence[CaseResult], leaderboards: Path) -> SubmissionInfo:
    submission, manifest = entry.submission, entry.submission.manifest
    links = manifest.links.model_dump(exclude_none=True)
    return SubmissionInfo(
        id=submission.id,
        team=manifest.team,
        method=manifest.method,
        description=manifest.description,
        authors=manifest.authors,
        affiliation=manifest.affiliation,
        links=links,
        kind=manifest.kind,
        baseline=submission.is_baseline,
        digest=entry.opened.digest or digest_of_outputs([(r.case, r.output_sha256) for r in results]),
        source=_where(submission, leaderboards),
        reported=manifest.reported.model_dump(exclude_none=True),
    )


def digest_of_outputs(outputs: Sequence[tuple[str, str]]) -> str:
    """Return the sha256 over the sha256 of every output, given by case; empty where a case has none."""
    return hashlib.sha256("".join(f"{sha256 or case + ': none'}\n" for case, sha256 in outputs).encode()).hexdigest()
