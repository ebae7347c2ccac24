"""`evaluate rescore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url


@click.command("rescore", short_help="Score kept outputs again by new metrics or versions; no model is run.")
@options.scoring
@options.running
@click.option("--all", "everything", is_flag=True, help="Also those that are by the rules of now already.")
@click.argument("submissions", nargs=-1, metavar="[ID...]")
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
    everything: bool,
    output_format: str,
    submissions: tuple[str, ...],
) -> None:
    """Score kept outputs again where the task's protocol or metrics have changed since, and say who moved.

    The outputs of models are those kept in `outputs/` of the folder of results; a team's are read from where they were.
    They must be the ones that were scored, by sha256; else the scorecard stays as it is. No model is run.
    """
    from evaluator.cli.output import print_findings, print_json, print_table, say
    from evaluator.cli.progress import RunProgress, print_report
    from evaluator.findings import EvaluatorError
    from evaluator.ranking import who_moved
    from evaluator.results import Store
    from evaluator.scoring import Permissions, Tally, rescore
    from evaluator.tasks import load_task

    chosen = load_task(task)
    opened = chosen.split(split, data)
    store = Store(leaderboards)
    before = store.read(chosen.id, opened.name)
    if not before:
        raise EvaluatorError(f"There are no scorecards in {leaderboards / chosen.id / opened.name}.")
    # Read first: a damaged file must be said before scorecards are replaced.
    costs, opinions = store.read_costs(chosen.id), store.read_opinions(chosen.id, opened.name)
    earlier = store.read_moves(chosen.id, opened.name)
    tally = Tally()
    found = rescore(
        opened,
        submissions,
        leaderboards=leaderboards,
        everything=everything,
        workers=options.worker_count(workers),
        executor=options.backend(executor, workers, scheduler, resources),
        progress=RunProgress(f"{chosen.id}/{opened.name}"),
        permissions=Permissions(accept_partial, frozenset(trust)),
        tally=tally,
    )
    print_report(tally, wanted=report)
    for one in found:
        if one.state == "refused":
            say(f"{one.submission}: not scored again. {one.why}")
            print_findings(one.findings)
        else:
            say(f"{one.submission}: {'scored again' if one.state == 'rescored' else 'up to date, left as it is'}.")
    moves = None
    if any(one.state == "rescored" for one in found):
        after = store.read(chosen.id, opened.name)
        moves = who_moved(chosen, opened.name, before, after, costs=costs, opinions=opinions, earlier=earlier)
        store.write_moves(moves)
    if output_format == "json":
        states = [{"submission": r.submission, "state": r.state, "why": r.why} for r in found]
        record = moves.model_dump(mode="json") if moves else None
        print_json({"task": chosen.id, "split": opened.name, "submissions": states, "moves": record})
    elif moves is not None:
        rows = [[m.submission, m.before, m.after, "moved" if m.moved else ""] for m in moves.moves]
        title = f"Ranks on {chosen.id}/{opened.name}, before and after"
        print_table(["submission", "old rank", "new rank", ""], rows, text=(0, 1, 2, 3), title=title)
        for metric, (old, new) in moves.versions.items():
            click.echo(f"{metric}: {_version(old)} before, {_version(new)} now")
        say(f"Who moved: {store.moves_file(chosen.id, opened.name)}")
    if any(one.state == "refused" for one in found):
        raise click.exceptions.Exit(2)


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
