"""`evaluate metrics` and its verbs: explain, spread, sharp, detections, conformance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.metrics import Aggregate


@click.group(
    "metrics", invoke_without_command=True, short_help="List the metrics, explain one, or compare their variants."
)
@options.output_format
@click.pass_context
def command(context: click.Context, output_format: str) -> None:
    """List the metrics; `metrics explain ID` tells what changes a number.

    Besides those listed, `pyiqa:NAME` is any metric of the package pyiqa, where it is installed.
    """
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from evaluator import metrics
    from evaluator.cli.output import print_json, print_table

    contracts: list[metrics.Contract | metrics.SetContract] = [
        *(m.contract for m in metrics.metrics().values()),
        *metrics.set_contracts().values(),
    ]
    if output_format == "json":
        print_json({c.id: asdict(c) for c in contracts})
        return
    rows = [[c.id, c.arrow, c.title + (" (flawed)" if c.flaw else ""), c.used_by] for c in contracts]
    print_table(["metric", "", "what it is", "used by"], rows, text=(0, 1, 2, 3))


@command.command("explain")
@click.argument("metric_id", metavar="ID")
@options.output_format
def explain(metric_id: str, output_format: str) -> None:
    """Show a metric's contract: everything that changes its number."""
    from dataclasses import asdict

    from evaluator import metrics
    from evaluator.cli.output import print_json

    contract = metrics.contract_of(metric_id)
    if output_format == "json":
        print_json(asdict(contract))
        return
    click.echo(f"{contract.id}: {contract.title}")
    if contract.flaw:
        click.echo(f"  flaw              {contract.flaw}; kept because published numbers rest on it")
    for label, words in contract.facts():
        click.echo(f"  {label:<17} {words}")


@command.command("spread")
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="REF",
    help="The reference image or folder; without it, only metrics that need none have a value.",
)
@click.option(
    "--metric", "metric_ids", multiple=True, metavar="ID", help="Only this one; may be repeated, and be `pyiqa:NAME`."
)
@options.weights
@options.device
@options.output_format
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
def spread_command(*, reference: Path | None, metric_ids: tuple[str, ...], output: Path, output_format: str) -> None:
    """Print every variant of every metric for one image (or folder) side by side: why is my number different?"""
    from evaluator import metrics
    from evaluator.cli.output import print_findings, print_json, print_table
    from evaluator.scoring import spread

    result_of = spread(output, reference, metric_ids or None)
    found = result_of.metrics
    print_findings(result_of.findings)
    if output_format == "json":
        print_json({m: _aggregate_json(a) for m, a in found.items()})
        return
    rows = []
    for metric, result in found.items():
        contract = metrics.get(metric).contract
        shown = contract.format(result.value) if result.value is not None else result.state.value.replace("_", " ")
        extra = "".join(f" {name} {value:.4f}" for name, value in result.extra.items())
        note = f"FLAW: {contract.flaw}" if contract.flaw else contract.used_by
        rows.append([metric, f"{shown}{'*' if result.infinite and result.value is not None else ''}{extra}", note])
    print_table(["metric", "value", "used by"], rows, text=(0, 2))
    cases = max(r.cases for r in found.values())
    if cases > 1:
        click.echo(f"Means over {cases} images.")
    infinite = max((r.infinite for r in found.values() if r.value is not None), default=0)
    if infinite:
        click.echo(f"* {infinite} identical pairs are infinite and left out of the mean.")
    reasons: dict[str, list[str]] = {}
    for metric, result in found.items():
        if result.value is None and result.detail:
            reasons.setdefault(result.detail, []).append(metric)
    for reason, ids in reasons.items():
        click.echo(
            f"no value, as it {reason}: {', '.join(ids)}"
            if reason.startswith("needs")
            else f"{', '.join(ids)}: {reason}"
        )


@command.command("sharp")
@click.option(
    "--input", "input_", required=True, type=click.Path(path_type=Path), metavar="IN", help="What was restored."
)
@click.option(
    "--mask", required=True, type=click.Path(path_type=Path), metavar="MASK", help="Gray PNG, 255 where IN is in focus."
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.svg", help="Draw the curve.")
@options.output_format
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT")
def sharp_command(*, input_: Path, mask: Path, plot: Path | None, output: Path, output_format: str) -> None:
    """Print the sharp-region preservation of one image or folder: what a method leaves alone where all is sharp."""
    from evaluator.cli.output import print_json, print_table, say
    from evaluator.scoring import sharp
    from evaluator.site.curve import curve_svg

    pooled, cases = sharp(output, input_, mask)
    if plot is not None:
        plot.write_text(curve_svg({output.name: (pooled.thresholds, pooled.shares)}), encoding="utf-8")
        say(f"Curve: {plot}")
    if output_format == "json":
        print_json(
            {
                "area": pooled.area,
                "thresholds": pooled.thresholds,
                "shares": pooled.shares,
                "kept": pooled.kept,
                "dropped": pooled.dropped,
                "images": {
                    n: {"area": c.curve.area, "mask_share": c.curve.mask_share, "mask_sha256": c.mask_sha256}
                    for n, c in cases.items()
                },
            }
        )
        return
    rows = [[f"{round(255 * t)}/255", f"{s:.2f}"] for t, s in zip(pooled.thresholds, pooled.shares, strict=True)]
    print_table(["error below", "% of in-focus pixels"], rows, text=())
    click.echo(f"Area under the curve up to 16/255: {pooled.area:.2f} of 100.")
    click.echo(f"{pooled.kept} images; {pooled.dropped} left out, less than 2 % of them being in focus.")


@command.command("detections")
@click.option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FOLDER|CSV",
    help="The objects: a table case,class,left,top,width,height[,difficult], or a folder of ExDark's annotation files.",
)
@click.option(
    "--split",
    metavar="SPLIT",
    help="train, validation or test of FOLDER's imageclasslist.txt; all images if not given.",
)
@click.option("--without", multiple=True, metavar="CLASS", help="A class that does not count; may be repeated.")
@options.output_format
@click.argument("detections", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="DETECTIONS.csv")
def detections_command(
    *, truth: Path, split: str | None, without: tuple[str, ...], detections: Path, output_format: str
) -> None:
    """Print the mean average precision of detected boxes, by class, in both variants of the VOC protocol.

    DETECTIONS.csv has the header case,class,score,left,top,width,height and one box a line, in pixels.
    """
    from dataclasses import asdict

    from evaluator.cli.output import print_findings, print_json, print_table
    from evaluator.scoring import score_detections
    from evaluator.text import safe

    scores = score_detections(detections, truth, part=split, left_out=without)
    print_findings(scores.findings)
    if output_format == "json":
        print_json(
            {
                "images": scores.cases,
                "map": {v: asdict(m) for v, m in scores.by_variant.items()},
                "findings": [f.plain() for f in scores.findings],
            }
        )
    elif scores.by_variant:
        eleven, area = scores.by_variant["map.voc07"], scores.by_variant["map.voc"]
        rows = [
            [name, f"{eleven.classes[name].value:.4f}", f"{c.value:.4f}"]
            + [str(n) for n in (c.objects, c.difficult, c.detections, c.hits, c.duplicates, c.misses, c.ignored)]
            for name, c in area.classes.items()
        ]
        rows.append(["mean", f"{eleven.value:.4f}", f"{area.value:.4f}"])
        head = ["class", "map.voc07", "map.voc", "objects", "difficult", "boxes", "hits", "duplicates", "misses"]
        print_table([*head, "ignored"], rows)
        classes = f"{len(area.classes)} class{'es' if len(area.classes) > 1 else ''}"
        click.echo(f"Mean over {classes} with objects to be found, in {scores.cases} images.")
        if area.without_truth:
            left = ", ".join(f"{name} ({count})" for name, count in area.without_truth.items())
            click.echo(safe(f"Left out, having none: {left}."))
    if not scores.by_variant:
        raise click.exceptions.Exit(2)


@command.command("conformance")
@click.option("--save", is_flag=True, help="Keep the result in the folder of results: the site gets a page of it.")
@options.leaderboards
@options.output_format
def conformance_command(*, save: bool, leaderboards: Path, output_format: str) -> None:
    """Compare our values with those of the libraries that are installed, on photographs; status 2 if one disagrees."""
    from evaluator.cli.output import print_json, print_table, say
    from evaluator.results import Store
    from evaluator.scoring.conformance import conformance, record

    rows = conformance()
    if save:
        say(f"Kept: {Store(leaderboards).write_conformance(record(rows))}")
    if output_format == "json":
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        shown = [[r.pair, r.metric, _digits(r.ours), _digits(r.theirs), r.peer, r.verdict, r.reason] for r in rows]
        head = ["photograph", "metric", "ours", "theirs", "peer", "verdict", "reason"]
        print_table(head, shown, text=(0, 1, 4, 5, 6))
    if any(row.verdict == "DISAGREES" for row in rows):
        raise click.exceptions.Exit(2)


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.7f}"


def _aggregate_json(result: Aggregate) -> dict[str, object]:
    values: dict[str, object] = {"state": result.state.value, "value": result.value}
    if result.cases > 1:
        values |= {"cases": result.cases, "infinite": result.infinite, "not_applicable": result.not_applicable}
    if result.extra:
        values["extra"] = dict(result.extra)
    if result.detail:
        values["detail"] = result.detail
    return values
