"""Run jobs: one a case, for several submissions at once, over any `concurrent.futures.Executor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol

from evaluator.metrics import State
from evaluator.metrics.lpips_net import limit_threads
from evaluator.scoring.jobs import CaseJob, CaseResult, Provider, run_case
from evaluator.scoring.journal import Journal
from evaluator.tasks import Split

_IN_FLIGHT = 4  # jobs per worker handed to the executor at once: enough to keep it busy, few enough to hold in memory
_GROUP = 8  # submissions scored in one pass over the references: each has a worker process for each thread
READ_LIMIT = 2**31
"""Bytes of an output that is read only to see whether it is the same."""
_COMPILE_FROM = 16_000_000
"""Pixels of a split from which on integer outputs are scored by the compiled metrics: it depends on the split alone, so
that a submission gets the same digits in every run. Below, compiling would take longer than it saves."""


class Progress(Protocol):
    """Told how a run goes on."""

    def begin(self, total: int, resumed: int) -> None:
        """The run starts: cases in all, and those that the journal already has."""
        ...

    def advance(self, count: int) -> None:
        """So many more cases are finished (a case counts once for each submission)."""
        ...

    def end(self) -> None:
        """The run is over."""
        ...


class _Silent:
    def begin(self, total: int, resumed: int) -> None: ...

    def advance(self, count: int) -> None: ...

    def end(self) -> None: ...


class Work(Protocol):
    """One submission's part of a run."""

    journal: Journal | None
    done: dict[str, CaseResult]
    """By case: finished now, or before in a run that was stopped."""

    @property
    def provider(self) -> Provider:
        """Where its outputs come from."""
        ...

    def finish(self) -> None:
        """Nothing more is asked of the provider."""
        ...


def take_over(work: Work, journal: Journal, split: Split) -> None:
    """Open a journal, and take over the cases that it holds and that would be read the same now.

    Raises:
        EvaluatorError: another run is writing it.
    """
    work.journal = journal
    for case, result in journal.open().items():
        # A case without an output costs nothing to look at again, and its output may have come since.
        known = case in split.case_ids and bool(result.output)
        known = known and not any(s.state is State.UNAVAILABLE for s in result.scores.values())
        if known and work.provider.unchanged(case, result.output, result.output_sha256, READ_LIMIT):
            work.done[case] = result


@contextmanager
def closing(entries: Sequence[Work]) -> Iterator[None]:
    """Close the journals of a run, however it ends."""
    try:
        yield
    finally:
        for entry in entries:
            if entry.journal:
                entry.journal.close()


def run_jobs(
    entries: Sequence[Work],
    split: Split,
    metric_ids: Sequence[str],
    *,
    workers: int,
    executor: Executor | None,
    progress: Progress | None,
) -> None:
    """Do all jobs that are left; the results lie in the entries' `done`. No metric: only read the outputs."""
    progress = progress or _Silent()
    resumed = sum(len(entry.done) for entry in entries)
    progress.begin(total=len(entries) * len(split.case_ids), resumed=resumed)
    with _executor(executor, workers) as pool:
        compiled = bool(metric_ids) and is_large(split)
        waiting: set[Future[dict[int, CaseResult]]] = set()
        window = _IN_FLIGHT * max(1, workers)
        try:
            for first in range(0, len(entries), _GROUP):
                group = range(first, min(first + _GROUP, len(entries)))
                for job in _jobs(entries, group, split, metric_ids, compiled=compiled):
                    waiting.add(pool.submit(run_case, job))
                    while len(waiting) >= window:
                        waiting = _collect(waiting, entries, progress)
                while waiting:
                    waiting = _collect(waiting, entries, progress)
                for number in group:
                    entries[number].finish()
        finally:
            for future in waiting:
                future.cancel()
            progress.end()


def is_large(split: Split) -> bool:
    """Tell whether a split's integer outputs are scored by the compiled metrics."""
    return split.pixels >= _COMPILE_FROM


def _jobs(
    entries: Sequence[Work], group: range, split: Split, metric_ids: Sequence[str], *, compiled: bool
) -> Iterator[CaseJob]:
    for case in split.case_ids:
        # By number, not by id: a rejected submission may have the id of another.
        pending = {number: entries[number].provider for number in group if case not in entries[number].done}
        if pending:
            yield CaseJob(split, case, pending, metric_ids, compiled)


def _collect(
    waiting: set[Future[dict[int, CaseResult]]], entries: Sequence[Work], progress: Progress
) -> set[Future[dict[int, CaseResult]]]:
    finished, rest = wait(waiting, return_when=FIRST_COMPLETED)
    # Those that failed come last, so that nothing that was finished is lost with them.
    for future in sorted(finished, key=lambda f: f.exception() is not None):
        results = future.result()
        for number, result in results.items():
            entry = entries[number]
            entry.done[result.case] = result
            if entry.journal:
                entry.journal.append(result)
        progress.advance(len(results))
    return set(rest)


@contextmanager
def _executor(given: Executor | None, workers: int) -> Iterator[Executor]:
    if given is not None:
        yield given
        return
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the workers are the parallelism
    limit_threads(1)
    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="score")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        cv2.setNumThreads(before)
        limit_threads(None)
