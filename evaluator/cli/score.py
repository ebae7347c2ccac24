"""`evaluate score`, the default verb."""

from __future__ import annotations

import gc
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url
    from evaluator.scoring import Outcome


@click.command("score", short_help="Score submissions on a task (the default verb).")
@options.scoring
@options.running
@click.argument("submissions", nargs=-1, required=True, type=options.path_or_url, metavar="SUBMISSION...")
def command(
    *,
    task: str,
    split: str | None,
    data: Path | Url | None,
    leaderboards: Path,
    workers: int | None,
    executor: str,
    scheduler: str,
    resources: dict[str, float],
    report: bool,
    accept_partial: bool,
    trust: tuple[str, ...],
    output_format: str,
    submissions: tuple[Path | Url, ...],
) -> None:
    """Score submissions on a task and show where they stand (the default verb).

    A SUBMISSION is a folder or archive (.zip, .tar.gz, .npz, …) of outputs named by case id, SIDD's SubmitSrgb.mat or
    .csv, or a baseline's folder. Scorecards are written to the folder of results; a run that was stopped goes on where
    it was.
    """
    from evaluator.cli.output import print_board, print_findings, print_json, say
    from evaluator.cli.progress import RunProgress, print_report
    from evaluator.ranking import rank
    from evaluator.results import Store
    from evaluator.scoring import Permissions, Tally, score
    from evaluator.tasks import load_task

    chosen = load_task(task)
    opened = chosen.split(split, data)
    paths = options.submission_paths(submissions, chosen.id)
    tally = Tally()
    gc.freeze()  # a run makes many small objects: what is loaded by now need not be looked through again and again
    outcomes = score(
        paths,
        opened,
        leaderboards=leaderboards,
        workers=options.worker_count(workers),
        executor=options.backend(executor, workers, scheduler, resources),
        permissions=Permissions(accept_partial, frozenset(trust)),
        progress=RunProgress(f"{chosen.id}/{opened.name}", len(paths), len(opened.case_ids)),
        tally=tally,
    )
    print_report(tally, wanted=report)
    for outcome in outcomes:
        if outcome.message:
            say(f"{outcome.path}: not scored. {outcome.message}")
        elif outcome.findings:
            state = "scored in part" if outcome.card and outcome.card.status == "incomplete" else "scored"
            say(f"{outcome.path}: {state}, with findings:")
        print_findings(outcome.findings)
    kept = {c.submission.id: c.started for c in Store(leaderboards).read(chosen.id, opened.name)}
    scored = {outcome.id for outcome in outcomes if outcome.card}
    for outcome in outcomes:
        if outcome.message and outcome.id in kept and outcome.id not in scored:
            say(f"{outcome.id} keeps its earlier result, of {kept[outcome.id]}.")
    if output_format == "json":
        print_json({"task": chosen.id, "split": opened.name, "submissions": [describe(o) for o in outcomes]})
    elif any(o.card for o in outcomes):
        store = Store(leaderboards)
        cards, opinions = store.read(chosen.id, opened.name), store.read_opinions(chosen.id, opened.name)
        print_board(rank(chosen, opened.name, cards, store.read_costs(chosen.id), opinions))
        elsewhere = "" if leaderboards == options.LEADERBOARDS else f" --leaderboards {shlex.quote(str(leaderboards))}"
        say(f"Scorecards: {leaderboards / chosen.id / opened.name}. Pages: `evaluate site{elsewhere}`.")
    if any(o.has_errors for o in outcomes):
        raise click.exceptions.Exit(2)


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data."""
    card = outcome.card
    metrics = {m: {"state": r.state.value, "value": r.value} for m, r in card.metrics.items()} if card else {}
    return {
        "submission": outcome.id,
        "path": str(outcome.path),
        "status": card.status if card else "rejected",
        "metrics": metrics,
        "message": outcome.message,
        "resumed": outcome.resumed,
        "scorecard": str(outcome.card_file) if outcome.card_file else None,
        "findings": [f.plain() for f in outcome.findings],
    }
