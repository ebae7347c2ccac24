"""`evaluate site`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("site", short_help="Write the leaderboard pages.")
@options.leaderboards
@options.data
def command(*, leaderboards: Path, data: Path | None) -> None:
    """Write the leaderboard pages of all scorecards; prints the path of the index page."""
    from evaluator.cli.output import say
    from evaluator.site import build_site

    index = build_site(leaderboards, data=data)
    click.echo(str(index))
    say("Open it in a browser, or publish the folder as it is.")
