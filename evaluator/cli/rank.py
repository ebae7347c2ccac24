"""`evaluate rank`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("rank", short_help="Print the ranked table of a task and split.")
@options.task
@options.split
@options.track
@options.leaderboards
@click.option(
    "--intervals",
    is_flag=True,
    help="Add 95 % intervals of scores and ranks, groups that cannot be told apart, and rankings by other metrics; "
    "reads every case's scores.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv", "markdown", "latex"]),
    default="table",
    show_default=True,
    help="`json` prints one JSON value; `csv` bare numbers, with remarks in the last column.",
)
def command(
    *, task: str, split: str | None, track: str | None, leaderboards: Path, intervals: bool, output_format: str
) -> None:
    """Print the ranked table of a task and split, from the scorecards."""
    from evaluator.cli.output import print_json, print_whole
    from evaluator.findings import EvaluatorError
    from evaluator.ranking import board_table, rank, sensitivity, uncertainty
    from evaluator.results import Store
    from evaluator.tasks import load_task

    chosen = load_task(task)
    name = options.board_split(chosen, split)
    chosen.spec.rule(track)
    store = Store(leaderboards)
    cards = store.read(chosen.id, name)
    if not cards:
        others = [s for t, s in store.boards() if t == chosen.id]
        hint = f" There are some for --split {', '.join(others)}." if others else ""
        raise EvaluatorError(
            f"There are no scorecards in {leaderboards / chosen.id / name}.{hint} "
            f"Score something: evaluate --task {task} --split {name} SUBMISSION"
        )
    opinions = store.read_opinions(chosen.id, name)
    board = rank(chosen, name, cards, store.read_costs(chosen.id), opinions, track=track)
    sure = beside = None
    if intervals:
        cases = {row.submission: store.read_cases(row.card) for row in board.ranked}
        sure, beside = uncertainty(board, cases), sensitivity(board, cases)
    if output_format == "json":
        more = {"uncertainty": sure.to_json(), "sensitivity": beside.to_json()} if sure and beside else {}
        print_json(board.to_json() | more)
        return
    table = board_table(board, sure, beside)
    if output_format == "table":
        print_whole(table)
    else:
        write = {"csv": table.csv, "markdown": table.markdown, "latex": table.latex}[output_format]
        click.echo(write(), nl=False)
