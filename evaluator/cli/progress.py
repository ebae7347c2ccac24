"""How a run goes on: bars on a terminal, a plain line now and then in a log, or JSON events; on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from evaluator.cli.output import log, logs_json, say
from evaluator.text import safe

if TYPE_CHECKING:
    from evaluator.scoring import Tally

_LOG_EVERY_S = 10.0
_BARS = 12
"""Submissions with a bar of their own at most: those that a terminal shows without scrolling."""


class RunProgress:
    """See `evaluator.scoring.Progress`."""

    def __init__(self, label: str, submissions: int = 1, cases: int = 0, unit: str = "case scores") -> None:
        """Prepare.

        Args:
            label: what is worked on.
            submissions: how many there are.
            cases: of each; with several submissions, and few enough, each has a bar.
            unit: what is counted.
        """
        self._label, self._cases, self._unit = label, cases, unit
        self._each = cases > 0 and 1 < submissions <= _BARS
        self._bar: Any = None
        self._rows: dict[str, Any] = {}
        self._total = self._resumed = self._done = 0
        self._done_of: dict[str, int] = {}
        self._begun = self._last = 0.0

    def begin(self, total: int, resumed: int) -> None:
        """See `evaluator.scoring.Progress`."""
        self._total, self._resumed, self._done = total, resumed, resumed
        self._begun = self._last = time.monotonic()
        if logs_json():
            log("run-started", label=self._label, total=total, resumed=resumed)
            return
        if resumed:
            say(f"{self._label}: going on with {resumed} of {total} {self._unit} from a run that was stopped.")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._bar.add_task(self._label, total=total, completed=resumed, rate="")

    def tell(self, event: str, **facts: object) -> None:
        """See `evaluator.scoring.Progress`."""
        if logs_json():
            log(event, label=self._label, **facts)
        elif event == "retried":
            say(f"{self._label}: {facts['message']}")

    def advance(self, count: int, submission: str = "") -> None:
        """See `evaluator.scoring.Progress`."""
        self._done += count
        self._done_of[submission] = self._done_of.get(submission, 0) + count
        if self._bar is not None:
            first = self._bar.task_ids[0]
            self._bar.update(first, advance=count, rate=f"{self._rate():.1f}/s")
            if self._each and submission not in self._rows:
                name = f"  {safe(submission)}"
                self._rows[submission] = self._bar.add_task(name, total=self._cases, rate="")
            if self._each:
                self._bar.advance(self._rows[submission], count)
        elif time.monotonic() - self._last > _LOG_EVERY_S:
            self._last = time.monotonic()
            rate = self._rate()
            left = (self._total - self._done) / rate if rate else None
            if logs_json():
                seconds = None if left is None else round(left, 1)
                facts = {"done": self._done, "total": self._total, "per_s": round(rate, 3), "eta_s": seconds}
                log("progress", label=self._label, **facts, submissions=self._done_of)
            else:
                eta = "" if left is None else f", {rate:.1f} a second, {_duration(left)} to go"
                say(f"{self._label}: {self._done} of {self._total} {self._unit}{eta}")

    def _rate(self) -> float:
        seconds = time.monotonic() - self._begun
        return (self._done - self._resumed) / seconds if seconds > 0 else 0.0

    def end(self) -> None:
        """See `evaluator.scoring.Progress`."""
        if self._bar is not None:
            self._bar.stop()


def print_report(tally: Tally, *, wanted: bool) -> None:
    """Say where the time of a run went, if it is wanted; as an event, always."""
    report = tally.report()
    if logs_json():
        log("run-finished", **report.data())
    elif wanted:
        for line in report.lines():
            say(line)


def _duration(seconds: float) -> str:
    """Return a time in the unit that fits: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
