"""`evaluate compare`."""

from __future__ import annotations

import math
from pathlib import Path

import click


def _limits(_context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """Turn NAME=NUMBER into a mapping."""
    found: dict[str, float] = {}
    for value in values:
        name, sign, text = value.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not sign or not name or not math.isfinite(number) or number < 0:
            raise click.BadParameter(f"{value!r} is not NAME=NUMBER with a number of 0 or more.", param=option)
        if name in found:
            raise click.BadParameter(f"{name} is given twice.", param=option)
        found[name] = number
    return found


@click.command("compare", short_help="Compare a result with an earlier one, for CI; status 1 on a regression.")
@click.argument("old", type=click.Path(path_type=Path, exists=True))
@click.argument("new", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--max-drop",
    multiple=True,
    callback=_limits,
    metavar="METRIC=VALUE",
    help="How far a mean may get worse, in the metric's unit; a unit of its last printed digit if not given.",
)
@click.option(
    "--max-case-drop",
    multiple=True,
    callback=_limits,
    metavar="METRIC=VALUE",
    help="How far any single case may get worse; without limit if not given.",
)
@click.option(
    "--max-cost",
    multiple=True,
    callback=_limits,
    metavar="COST=PERCENT",
    help="How much worse a cost may get; 0 for cost.parameters and cost.macs, and others only shown, if not given.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="`json` prints one JSON value on standard output, nothing else.",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML, too.")
def command(
    *,
    old: Path,
    new: Path,
    max_drop: dict[str, float],
    max_case_drop: dict[str, float],
    max_cost: dict[str, float],
    output_format: str,
    junit: Path | None,
) -> None:
    """Compare the result NEW with OLD, case by case, and say what got worse.

    OLD and NEW are scorecards (scorecard.json, its cases.csv beside it), or folders that hold one; of the same task,
    split, data and rules. Exit status: 0 no regression; 1 a regression; 2 they cannot be compared.

    \b
    evaluate compare main/sidd/mini/net/scorecard.json leaderboards/sidd/mini/net/scorecard.json
    """
    from evaluator.cli.output import print_json, print_table, say
    from evaluator.ranking import Limits, compare, compare_texts
    from evaluator.results import read_result
    from evaluator.results.store import write_atomically
    from evaluator.text import safe

    found = compare(read_result(old), read_result(new), Limits(max_drop, max_case_drop, max_cost))
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(junit, compare_texts.junit(found))
    if output_format == "json":
        print_json(found.to_json())
    elif output_format == "markdown":
        click.echo(compare_texts.markdown(found), nl=False)
    else:
        last = len(compare_texts.METRIC_HEAD) - 1
        rows = [compare_texts.metric_row(m) for m in found.metrics]
        print_table(compare_texts.METRIC_HEAD, rows, text=(0, 6, last), title=compare_texts.verdict(found))
        if found.costs:
            click.echo()
            rows = [compare_texts.cost_row(c) for c in found.costs]
            print_table(compare_texts.COST_HEAD, rows, text=(0, 5))
        for line in (*found.notes, *found.problems):
            click.echo(safe(line))
    if found.problems:
        say(compare_texts.verdict(found))
        raise click.exceptions.Exit(1)
