"""`evaluate data verify` and `evaluate data lint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url


@click.group("data")
def command() -> None:
    """Look after data sets."""


@command.command("verify")
@click.argument("task")
@options.split
@click.option(
    "--root",
    type=options.path_or_url,
    metavar="DIR",
    help="The folder that holds data sets, or its URL, or the task's own. Else EVALUATOR_DATA, else the config file.",
)
@options.output_format
def verify(task: str, split: str | None, root: Path | Url | None, output_format: str) -> None:
    """Read a task's data and compare it with what was published: counts, sizes, sha256."""
    from evaluator.cli.output import print_findings, print_json, say
    from evaluator.findings import EvaluatorError
    from evaluator.tasks import load_task

    chosen = load_task(task)
    if split:
        chosen.split_spec(split)
    results = []
    for name in [split] if split else list(chosen.spec.splits):
        spec = chosen.split_spec(name)
        here, message = True, ""
        findings = []
        try:
            findings = chosen.split(name, root).verify()
        except EvaluatorError as error:
            # A split whose data is not here is a fault only if it was asked for, or if nothing at all is here.
            here, message, findings = False, str(error), list(error.findings)
        pinned = "sha256 of every file" if spec.manifest else "counts and shapes (no sha256 is published)"
        results.append(
            {
                "split": name,
                "here": here,
                "ok": here and not findings,
                "checked": pinned if here else "",
                "message": message,
                "findings": [f.plain() for f in findings],
            }
        )
        if not here:
            say(f"{chosen.id}/{name}: {message}")
        else:
            say(f"{chosen.id}/{name}: {'as published' if not findings else 'NOT as published'} ({pinned}).")
        print_findings(findings)
    if output_format == "json":
        print_json({"task": chosen.id, "splits": results})
    official = [r for r in results if r["split"] == (split or chosen.spec.default_split)]
    if any(r["here"] and not r["ok"] for r in results) or any(not r["here"] for r in official):
        raise click.exceptions.Exit(2)


@command.command("lint")
@click.argument("task")
@options.split
@options.data
@options.output_format
def lint_command(*, task: str, split: str | None, data: Path | Url | None, output_format: str) -> None:
    """Look for pairs that are shifted, exposed otherwise, swapped, mixed up or twice there.

    It measures, which can err, and changes nothing: look at what it names. Status 0 whatever it finds.
    """
    from dataclasses import asdict

    from evaluator.cli.output import print_findings, print_json
    from evaluator.cli.progress import RunProgress
    from evaluator.tasks import lint_pairs, load_task

    opened = load_task(task).split(split, data)
    label = f"{opened.task.id}/{opened.name}"
    progress = RunProgress(label)
    progress.begin(len(opened.case_ids), 0)
    try:
        found = lint_pairs(opened, lambda: progress.advance(1))
    finally:
        progress.end()
    print_findings(found.findings)
    if output_format == "json":
        pairs = {
            case: {
                "identical": pair.identical,
                "shift": None if pair.shift is None else [pair.shift.right, pair.shift.down],
                "gain": pair.gain,
                "sides": None if pair.sides is None else asdict(pair.sides),
            }
            for case, pair in found.pairs.items()
        }
        findings = [f.plain() for f in found.findings]
        print_json(
            {"task": opened.task.id, "split": opened.name, "summary": asdict(found.summary), "findings": findings}
            | {"pairs": pairs}
        )
        return
    summary = found.summary
    click.echo(f"{label}: {summary.pairs} of {summary.cases} pairs looked at, {len(found.findings)} findings.")
    if summary.median_shift is not None:
        click.echo(
            f"Shift, where it can be told ({summary.shifts} pairs): {summary.median_shift:.2f} px in the median."
        )
    if summary.median_gain is not None:
        click.echo(f"References are {summary.median_gain:.2f} times as bright as inputs in the median.")
