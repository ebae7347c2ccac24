"""Run jobs: a few cases at a time, for several submissions at once, on any backend; lost workers are replaced."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from evaluator.findings import EvaluatorError
from evaluator.metrics import State
from evaluator.runners.sandbox import Isolation
from evaluator.scoring.backends import Backend, pause
from evaluator.scoring.jobs import CaseResult, Provider
from evaluator.scoring.journal import Journal
from evaluator.scoring.plan import Chunk, Done, Plan, SharedPlan, run_chunk
from evaluator.scoring.report import Tally
from evaluator.tasks import Split

_IN_FLIGHT = 3  # chunks per worker handed to the backend at once: enough to keep it busy
_LOOK_S = 10.0  # nothing finished for so long: are there any workers?
_CHUNK_S = 0.3
"""How long a chunk of cases should take: handing one over costs a millisecond and more on a cluster."""
_CHUNK = 64
"""Cases of a chunk at most: what is lost with a worker."""
_LOSSES = 5
"""How often in a row workers may be lost without a case that was finished meanwhile."""
TOGETHER = {False: 32, True: 8}
"""Submissions scored in one pass over the references, of outputs and of models: each has a process for each worker."""
READ_LIMIT = 2**31
"""Bytes of an output that is read only to see whether it is the same."""
_COMPILE_FROM = 16_000_000
"""Pixels of a split from which on integer outputs are scored by the compiled metrics: it depends on the split alone, so
that a submission gets the same digits in every run. Below, compiling would take longer than it saves."""


_AGAIN = (State.UNAVAILABLE, State.MISSING, State.INVALID, State.FAILED)


class Progress(Protocol):
    """Told how a run goes on."""

    def begin(self, total: int, resumed: int) -> None:
        """The run starts: case scores in all, and those that journals already have."""
        ...

    def advance(self, count: int, submission: str = "") -> None:
        """So many more cases are finished, of this submission."""
        ...

    def tell(self, event: str, **facts: object) -> None:
        """Something else happened: `retried`, `submission-finished`, `submission-failed`."""
        ...

    def end(self) -> None:
        """The run is over, however it ended."""
        ...


class Silent:
    """Nobody looks on."""

    def begin(self, total: int, resumed: int) -> None:
        """See `Progress`."""

    def advance(self, count: int, submission: str = "") -> None:
        """See `Progress`."""

    def tell(self, event: str, **facts: object) -> None:
        """See `Progress`."""

    def end(self) -> None:
        """See `Progress`."""


class Work(Protocol):
    """One submission's part of a run."""

    done: Journal
    """What is finished, now or before in a run that was stopped."""
    broken: str
    """Why no more can be had of it; it gets no scorecard."""
    retried: list[str]
    """What of it had to be done again, a line each."""

    @property
    def name(self) -> str:
        """The submission's id."""
        ...

    @property
    def provider(self) -> Provider:
        """Where its outputs come from."""
        ...

    def finish(self) -> None:
        """Nothing more is asked of the provider."""
        ...


def take_over(work: Work) -> None:
    """Open a journal; of its cases, keep those that would be read the same now.

    Raises:
        EvaluatorError: another run is writing it, or it cannot be written.
    """
    work.done.open()
    for case in list(work.done):
        result = work.done[case]
        # What has no number is looked at again: its output may have come since, or be allowed now.
        known = bool(result.output) and not any(s.state in _AGAIN for s in result.scores.values())
        if not (known and work.provider.unchanged(case, result.output, result.output_sha256, READ_LIMIT)):
            work.done.forget(case)


@contextmanager
def closing(entries: Sequence[Work]) -> Iterator[None]:
    """Close the journals of a run, however it ends."""
    try:
        yield
    finally:
        for entry in entries:
            entry.done.close()


def is_large(split: Split) -> bool:
    """Tell whether a split's integer outputs are scored by the compiled metrics."""
    return split.pixels >= _COMPILE_FROM


def run_jobs(
    entries: Sequence[Work],
    split: Split,
    metric_ids: Sequence[str],
    *,
    isolation: Isolation,
    backend: Backend,
    progress: Progress,
    tally: Tally,
    finished: Callable[[int], None] | None = None,
) -> None:
    """Do all jobs that are left; the results lie in the entries' `done`.

    Args:
        entries: the submissions' parts.
        split: the split.
        metric_ids: empty: only read the outputs.
        isolation: what was proved on this machine.
        backend: does the jobs; opened and closed here.
        progress: told how the run goes on.
        tally: where the time is counted.
        finished: called with the number of each entry whose cases are all finished, as soon as they are.

    Raises:
        EvaluatorError: the data set is at fault, a journal cannot be written, or no workers can be had.
    """
    progress.begin(total=len(entries) * len(split.case_ids), resumed=sum(len(entry.done) for entry in entries))
    compiled = bool(metric_ids) and is_large(split)
    plan = Plan(split, metric_ids, compiled, [entry.provider for entry in entries], isolation)
    with tempfile.TemporaryDirectory(prefix="evaluator-plan-") as folder:
        shared = SharedPlan(plan, Path(folder))
        try:
            if entries:
                backend.open()
                tally.workers = backend.parallel
            for group in _groups(entries):
                _Pass(entries, group, shared, backend, cases=split.case_ids, progress=progress, tally=tally).run()
                for number in group:
                    entries[number].finish()
                    if finished is not None and not entries[number].broken:
                        finished(number)
        finally:
            progress.end()
            backend.close()


def _groups(entries: Sequence[Work]) -> Iterator[list[int]]:
    """Yield the numbers of entries that are scored together: outputs first, models apart from them."""
    for model in (False, True):
        numbers = [number for number, entry in enumerate(entries) if entry.provider.is_model is model]
        for first in range(0, len(numbers), TOGETHER[model]):
            yield numbers[first : first + TOGETHER[model]]


class _Pass:
    """One pass over the cases, for the submissions of a group."""

    def __init__(
        self,
        entries: Sequence[Work],
        group: Sequence[int],
        shared: SharedPlan,
        backend: Backend,
        *,
        cases: Sequence[str],
        progress: Progress,
        tally: Tally,
    ) -> None:
        self._entries, self._group, self._shared = entries, tuple(group), shared
        self._backend, self._progress, self._tally = backend, progress, tally
        self._model = entries[group[0]].provider.is_model
        self._cases = self._pending(cases)
        self._left, self._parallel = len(cases), 1
        self._again: deque[tuple[str, tuple[int, ...]]] = deque()
        self._waiting: dict[Future[Done], Chunk] = {}
        self._mean_s = _CHUNK_S  # of a case; a first guess that makes chunks of one
        self._losses = 0

    def _pending(self, cases: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
        for place, case in enumerate(cases):
            self._left -= 1
            # By number, not by id: a rejected submission may have the id of another.
            entries = self._entries
            wanted = tuple(n for n in self._group if not entries[n].broken and case not in entries[n].done)
            if wanted:
                # Workers begin with different submissions, so that they do not wait for the same process to start.
                turn = place * len(wanted) // self._parallel % len(wanted)
                yield case, wanted[turn:] + wanted[:turn]

    def run(self) -> None:
        """Do all that is left."""
        try:
            while True:
                lost: BaseException | None = self._fill()
                if lost is None and not self._waiting:
                    return
                if lost is None:
                    finished, _ = wait(self._waiting, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
                    self._note_moved()
                    lost = self._collect(finished) if finished else self._backend.gone()
                if lost is not None:
                    self._replace(lost)
        finally:
            for future in self._waiting:
                future.cancel()

    def _fill(self) -> Exception | None:
        """Hand over chunks, as many as keep the backend busy; return the error of workers that were lost."""
        self._parallel = self._backend.parallel  # asked once: a cluster is asked over the network
        while len(self._waiting) < _IN_FLIGHT * self._parallel and (cases := self._next()):
            chunk = Chunk(self._shared, self._group, cases)
            try:
                self._waiting[self._backend.submit(run_chunk, chunk, model=self._model)] = chunk
            except Exception as error:
                if not self._backend.lost(error):
                    raise
                self._again.extend(cases)
                return error
        return None

    def _next(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        if self._again:
            return (self._again.popleft(),)  # alone, so that one that kills its worker takes no other with it
        fair = self._left // (2 * self._parallel)  # towards the end smaller ones, so that all end together
        size = max(1, min(int(_CHUNK_S / self._mean_s), fair, _CHUNK))
        return tuple(case for _, case in zip(range(size), self._cases, strict=False))

    def _collect(self, finished: set[Future[Done]]) -> BaseException | None:
        """Take what is finished; return the error of a worker that was lost."""
        lost: BaseException | None = None
        # Those that failed come last, so that nothing that was finished is lost with them.
        for future in sorted(finished, key=lambda f: _error(f) is not None):
            chunk, error = self._waiting.pop(future), _error(future)
            if error is None:
                self._take(future.result())
                self._losses = 0
            elif self._backend.lost(error):
                self._again.extend(chunk.cases)
                lost = error
            else:
                raise error
        return lost

    def _take(self, done: Done) -> None:
        by_number: dict[int, list[CaseResult]] = {}
        for number, result in done.results:
            if result.case not in self._entries[number].done:
                by_number.setdefault(number, []).append(result)
        for number, results in by_number.items():
            entry = self._entries[number]
            entry.done.add(results)
            self._progress.advance(len(results), entry.name)
        for number, why in done.broken.items():
            entry = self._entries[number]
            if not entry.broken:
                entry.broken = why
                self._progress.tell("submission-failed", submission=entry.name, message=why)
        for line in done.retried:
            self._note(line, {number for number, _ in done.results})
        self._tally.add(done, scored=sum(map(len, by_number.values())))
        if done.seconds:
            self._mean_s += 0.3 * (max(sum(done.seconds.values()) / len(done.seconds), 1e-4) - self._mean_s)

    def _note_moved(self) -> None:
        cases = [case for job in self._backend.moved() if job in self._waiting for case in self._waiting[job].cases]
        if cases:
            self._note_lost(cases, "their worker was lost or left, given to the next")

    def _replace(self, error: BaseException) -> None:
        """Get new workers in place of those that were lost, and have done again what they were at."""
        self._losses += 1
        self._collect({future for future in self._waiting if future.done() and _error(future) is None})
        for future, chunk in self._waiting.items():
            future.cancel()
            self._again.extend(chunk.cases)
        self._waiting.clear()
        cases = self._note_lost(self._again, "workers were lost, done again")
        if self._losses > _LOSSES:
            raise EvaluatorError(
                f"Workers were lost {self._losses} times in a row, at the cases {cases}: {type(error).__name__} "
                f"{error}. See that they have memory enough. What was finished is kept: the same command goes on "
                "from there."
            )
        pause(self._losses)
        self._backend.open()

    def _note_lost(self, cases: Collection[tuple[str, tuple[int, ...]]], what: str) -> str:
        """Note that cases were not finished by those who had them; return the first of their ids."""
        first = ", ".join(case for case, _ in list(cases)[:5]) + (" …" if len(cases) > 5 else "")
        self._note(f"{len(cases)} cases ({first}): {what}", {number for _, numbers in cases for number in numbers})
        return first

    def _note(self, line: str, numbers: set[int]) -> None:
        self._progress.tell("retried", message=line)
        self._tally.retried.append(line)
        for number in numbers:
            self._entries[number].retried.append(line)


def _error(future: Future[Done]) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()
