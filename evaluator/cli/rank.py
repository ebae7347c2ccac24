"""`evaluate rank`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("rank", short_help="Print the ranked table of a task and split.")
@options.task
@options.split
@options.leaderboards
@options.output_format
def command(*, task: str, split: str | None, leaderboards: Path, output_format: str) -> None:
    """Print the ranked table of a task and split, from the scorecards."""
    from evaluator.cli.output import print_board, print_json
    from evaluator.findings import EvaluatorError
    from evaluator.ranking import rank
    from evaluator.results import Store
    from evaluator.tasks import load_task

    chosen = load_task(task)
    name = options.board_split(chosen, split)
    store = Store(leaderboards)
    cards = store.read(chosen.id, name)
    if not cards:
        others = [s for t, s in store.boards() if t == chosen.id]
        hint = f" There are some for --split {', '.join(others)}." if others else ""
        raise EvaluatorError(
            f"There are no scorecards in {leaderboards / chosen.id / name}.{hint} "
            f"Score something: evaluate --task {task} --split {name} SUBMISSION"
        )
    board = rank(chosen, name, cards, store.read_costs(chosen.id), store.read_opinions(chosen.id, name))
    if output_format == "json":
        print_json(board.to_json())
    else:
        print_board(board)
