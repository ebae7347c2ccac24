"""`evaluate opinions import`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.group("opinions", short_help="What people said of outputs: ratings, and choices between two.")
def command() -> None:
    """What people said of outputs: ratings, and choices between two."""


@command.command("import")
@options.task
@options.split
@options.leaderboards
@click.option(
    "--kind",
    type=click.Choice(["ratings", "pairs"]),
    required=True,
    help="`ratings`: rater,submission,case,score. `pairs`: rater,case,first,second,choice (first, second or tie).",
)
@click.option(
    "--scale",
    type=(float, float),
    default=(1.0, 5.0),
    show_default=True,
    metavar="LOW HIGH",
    help="The lowest and the highest score of ratings.",
)
@click.option("--screen", is_flag=True, help="Leave out erratic raters as ITU-R BT.500 says; how many is shown.")
@click.option(
    "--prior",
    type=click.FloatRange(min=0, max=1000),
    default=0.0,
    show_default=True,
    metavar="N",
    help="For pairs: imagined comparisons of each two submissions, half won by each; recorded and shown.",
)
@options.output_format
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_opinions(
    *,
    task: str,
    split: str | None,
    leaderboards: Path,
    kind: str,
    scale: tuple[float, float],
    screen: bool,
    prior: float,
    output_format: str,
    file: Path,
) -> None:
    """Import FILE, a CSV file with a line a rating or a choice; an earlier import of the same kind gives way.

    Ratings become mean opinion scores with 95 % confidence (`opinion.mos`), choices Bradley–Terry strengths with
    standard errors (`opinion.bt`). A fault in any line, and nothing is taken. No rater's name is kept.
    """
    from math import isfinite

    from evaluator._version import __version__
    from evaluator.cli.output import print_json, print_table
    from evaluator.findings import EvaluatorError
    from evaluator.ranking import choice_strengths, mean_opinions
    from evaluator.results import Opinions, Store
    from evaluator.results.opinion_files import read_choices, read_ratings
    from evaluator.tasks import load_task

    if not all(map(isfinite, scale)) or scale[0] >= scale[1]:
        raise click.UsageError("--scale needs two numbers, the lower one first.")
    if kind == "pairs" and screen:
        raise click.UsageError("--screen is for ratings.")
    if kind == "ratings" and prior:
        raise click.UsageError("--prior is for pairs.")
    chosen = load_task(task)
    name = options.board_split(chosen, split)
    store = Store(leaderboards)
    known = {card.submission.id: card.submission.digest for card in store.read(chosen.id, name)}
    if not known:
        raise EvaluatorError(
            f"There are no scorecards in {leaderboards / chosen.id / name}: score the submissions first."
        )
    record = store.read_opinions(chosen.id, name) or Opinions(task=chosen.id, split=name, harness=__version__)
    if kind == "ratings":
        ratings = mean_opinions(read_ratings(file, list(known), scale), scale, screen=screen)
        record = record.model_copy(update={"ratings": ratings, "harness": __version__})
    else:
        choices = choice_strengths(read_choices(file, list(known)), prior=prior)
        record = record.model_copy(update={"choices": choices, "harness": __version__})
    record = record.of(known)
    path = store.write_opinions(record)
    if output_format == "json":
        print_json(record.model_dump(mode="json"))
        return
    if kind == "ratings":
        best = sorted(ratings.submissions, key=lambda m: -m.mos)
        rows = [[m.submission, f"{m.mos:.4f}", _interval(m.low, m.high), f"{m.ratings}", f"{m.raters}"] for m in best]
        print_table(["submission", "MOS", "95 % confidence", "ratings", "raters"], rows)
        if ratings.screened is not None:
            click.echo(f"Left out as erratic: {ratings.screened} of {ratings.raters + ratings.screened} raters.")
    else:
        strongest = sorted(choices.submissions, key=lambda s: -s.strength)
        rows = [
            [s.submission, f"{s.strength:+.4f}", f"{s.error:.4f}", f"{s.wins:g}", f"{s.comparisons}"] for s in strongest
        ]
        print_table(["submission", "strength", "standard error", "wins", "comparisons"], rows)
        if prior:
            click.echo(f"With {prior:g} imagined comparisons of each two, half won by each.")
    click.echo(str(path))


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.4f}–{high:.4f}"
