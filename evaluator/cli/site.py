"""`evaluate site`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url


@click.command("site", short_help="Write the leaderboard pages.")
@options.leaderboards
@options.data
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="The .toml file of a task of your own that has scorecards; may be given more than once. With --single-file, "
    "the task that is meant: a file or an id.",
)
@click.option(
    "--split", metavar="SPLIT", help="With --single-file: a split of the task; its official one if not given."
)
@click.option(
    "--single-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.html",
    help="Write the page of one task alone, as one file with everything in it, to send or to attach.",
)
def command(
    *, leaderboards: Path, data: Path | Url | None, tasks: tuple[str, ...], split: str | None, single_file: Path | None
) -> None:
    """Write the leaderboard pages of all scorecards; prints the path of the index page."""
    from evaluator import site
    from evaluator.cli.output import say
    from evaluator.results.store import write_atomically
    from evaluator.tasks import load_task

    if single_file is None:
        if split is not None:
            raise click.UsageError("--split is for --single-file; the pages of all splits are written otherwise.")
        index = site.build_site(leaderboards, data=data, tasks=[load_task(task) for task in tasks])
        click.echo(str(index))
        say("Open it in a browser, or publish the folder as it is.")
        return
    if len(tasks) != 1:
        raise click.UsageError("--single-file is the page of one task: name it with --task TASK.")
    chosen = load_task(tasks[0])
    write_atomically(single_file, site.single_file(chosen, options.board_split(chosen, split), leaderboards))
    click.echo(str(single_file))
