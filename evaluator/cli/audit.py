"""`evaluate audit`."""

from __future__ import annotations

import click

from evaluator.cli import options


@click.command("audit", short_help="Check the tables of papers for numbers that contradict each other.")
@options.output_format
def command(output_format: str) -> None:
    """Check published tables row by row: do their numbers agree with each other, and with measured counts?

    The table shows what does not agree; `--format json` has every check that was made.
    """
    from evaluator.cli.output import print_json, print_table
    from evaluator.ranking import Verdict, audit

    remarks = audit()
    counts = {verdict.value: sum(r.verdict is verdict for r in remarks) for verdict in Verdict}
    if output_format == "json":
        print_json({"checks": len(remarks), "verdicts": counts, "remarks": [r.to_json() for r in remarks]})
        return
    rows = [
        [r.table, r.label, r.check, r.printed, r.expected_text, r.verdict.value, r.reason]
        for r in remarks
        if r.verdict is not Verdict.AGREES
    ]
    header = ["table", "row", "check", "printed", "expected", "verdict", "likely reason"]
    print_table(header, rows, text=(0, 1, 2, 5, 6))
    summary = ", ".join(f"{verdict} {number}" for verdict, number in counts.items())
    click.echo(f"{len(remarks)} checks: {summary}.")
    click.echo("These are reported numbers, of papers. Nothing here was measured by the harness on a data set.")
