"""`evaluate check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url


@click.command("check", short_help="Say what is wrong with a submission, without scoring it.")
@options.task
@options.split
@options.data
@options.workers
@options.accept_partial
@options.trust
@options.output_format
@click.argument("submissions", nargs=-1, required=True, type=options.path_or_url, metavar="SUBMISSION...")
def command(
    *,
    task: str,
    split: str | None,
    data: Path | Url | None,
    workers: int | None,
    accept_partial: bool,
    trust: tuple[str, ...],
    output_format: str,
    submissions: tuple[Path | Url, ...],
) -> None:
    """Say everything that scoring would find wrong with a submission, without scoring it."""
    from evaluator.cli.output import print_findings, print_json, say
    from evaluator.cli.progress import RunProgress
    from evaluator.findings import Severity
    from evaluator.scoring import Permissions, check
    from evaluator.tasks import load_task

    chosen = load_task(task)
    opened = chosen.split(split, data)
    label = f"{chosen.id}/{opened.name}"
    outcomes = check(
        options.submission_paths(submissions, chosen.id),
        opened,
        workers=options.worker_count(workers),
        permissions=Permissions(accept_partial, frozenset(trust)),
        progress=RunProgress(label),
    )
    for outcome in outcomes:
        count = sum(f.severity is Severity.ERROR for f in outcome.findings)
        verdict = outcome.message or (f"{count} error{'s' if count != 1 else ''}" if count else "ready to be scored")
        others = len(outcome.findings) - count
        more = (
            f" (and {others} warning{'s' if others != 1 else ''} or note{'s' if others != 1 else ''})" if others else ""
        )
        say(f"{outcome.path} on {label}: {verdict}{more}")
        print_findings(outcome.findings)
    if output_format == "json":
        print_json(
            {
                "task": chosen.id,
                "split": opened.name,
                "submissions": [
                    {
                        "submission": o.id,
                        "path": str(o.path),
                        "ok": not o.has_errors,
                        "message": o.message,
                        "findings": [f.plain() for f in o.findings],
                    }
                    for o in outcomes
                ],
            }
        )
    if any(o.has_errors for o in outcomes):
        raise click.exceptions.Exit(2)
