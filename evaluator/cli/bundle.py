"""`evaluate bundle`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.remote import Url

_DATES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")


@click.command("bundle", short_help="Write a Codabench bundle of a task.")
@options.task
@options.split
@options.data
@options.weights
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder to write; DIR.zip, to be uploaded, is written beside it.",
)
@click.option("--start", type=click.DateTime(_DATES), metavar="DATE", help="When it opens, in UTC; today if not given.")
@click.option("--end", type=click.DateTime(_DATES), metavar="DATE", help="When it closes, in UTC; never if not given.")
@click.option(
    "--docker-image",
    metavar="NAME",
    help="An image with the packages of the bundle's requirements.txt. Else Python's own, into which they are "
    "installed before each scoring.",
)
def command(
    *,
    task: str,
    split: str | None,
    data: Path | Url | None,
    out: Path,
    start: datetime | None,
    end: datetime | None,
    docker_image: str | None,
) -> None:
    """Write a Codabench bundle of a task: rules, pages, leaderboard, references, and this harness as scoring program.

    It holds the split's references: upload it to Codabench, and give it to nobody else.
    """
    from evaluator.bundle import build_bundle
    from evaluator.cli.output import say

    made = build_bundle(task, out, split=split, data=data, start=start, end=end, docker_image=docker_image)
    click.echo(str(made.archive))
    for name, why in made.left_out.items():
        say(f"{name} has no column: {why}.")
    if not made.given_image:
        say(
            f"Every scoring will install its packages into {made.docker_image}, over the network. To spare that: "
            f"docker build -t NAME {out / 'scoring_program'}, push it, and write the bundle with --docker-image NAME."
        )
    say(f"Upload {made.archive} (Benchmarks, Management, Upload). It holds the references.")
