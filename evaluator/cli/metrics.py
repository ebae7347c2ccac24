"""`evaluate metrics` and `evaluate metrics explain`."""

from __future__ import annotations

import click

from evaluator.cli import options

_FIELDS = (
    ("direction", "direction"),
    ("unit", "unit"),
    ("worst", "worst value"),
    ("colour", "colour"),
    ("range", "range"),
    ("window", "window"),
    ("border", "border"),
    ("pooling", "within an image"),
    ("aggregation", "over images"),
    ("identical", "identical images"),
    ("minimum_size", "minimum size"),
    ("source", "source"),
    ("used_by", "used by"),
    ("version", "version"),
)


@click.group("metrics", invoke_without_command=True, short_help="List the metrics, or explain one.")
@options.output_format
@click.pass_context
def command(context: click.Context, output_format: str) -> None:
    """List the metrics; `metrics explain ID` tells what changes a number."""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from evaluator import metrics
    from evaluator.cli.output import print_json, print_table

    contracts = [m.contract for m in metrics.metrics().values()]
    if output_format == "json":
        print_json({c.id: asdict(c) for c in contracts})
        return
    rows = [[c.id, c.arrow, c.title, c.used_by] for c in contracts]
    print_table(["metric", "", "what it is", "used by"], rows, left=4)


@command.command("explain")
@click.argument("metric_id", metavar="ID")
@options.output_format
def explain(metric_id: str, output_format: str) -> None:
    """Show a metric's contract: everything that changes its number."""
    from dataclasses import asdict

    from evaluator import metrics
    from evaluator.cli.output import print_json

    contract = metrics.get(metric_id).contract
    if output_format == "json":
        print_json(asdict(contract))
        return
    click.echo(f"{contract.id}: {contract.title}")
    for name, label in _FIELDS:
        value = getattr(contract, name)
        click.echo(f"  {label:<17} {value if value != '' else '–'}")
