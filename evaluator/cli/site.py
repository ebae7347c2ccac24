"""`evaluate site`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("site", short_help="Write the leaderboard pages.")
@options.leaderboards
@options.data
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The .toml file of a task of your own that has scorecards; may be given more than once.",
)
def command(*, leaderboards: Path, data: Path | None, tasks: tuple[Path, ...]) -> None:
    """Write the leaderboard pages of all scorecards; prints the path of the index page."""
    from evaluator.cli.output import say
    from evaluator.site import build_site
    from evaluator.tasks import load_task

    index = build_site(leaderboards, data=data, tasks=[load_task(str(file)) for file in tasks])
    click.echo(str(index))
    say("Open it in a browser, or publish the folder as it is.")
