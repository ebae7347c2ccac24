"""`evaluate baseline list`, `run`, `table` and `import`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.cli import options
from evaluator.cli.score import command as score_command

if TYPE_CHECKING:
    from evaluator.remote import Url
    from evaluator.scoring import Outcome, Overview
    from evaluator.scoring.overview import Entry
    from evaluator.tasks import Split


@click.group("baseline")
def command() -> None:
    """The baselines that ship with the harness."""


@command.command("list")
@options.output_format
def list_baselines(output_format: str) -> None:
    """List the baselines."""
    from evaluator.cli.output import print_json, print_table
    from evaluator.ingest import baseline_manifest, baseline_names

    found = {name: baseline_manifest(name) for name in baseline_names()}
    if output_format == "json":
        print_json({name: {"method": m.method, "description": m.description} for name, m in found.items()})
        return
    print_table(
        ["baseline", "method", "what it does"],
        [[n, m.method or "", m.description] for n, m in found.items()],
        text=(0, 1, 2),
    )


@command.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.scoring
@click.pass_context
def run(context: click.Context, /, names: tuple[str, ...], **values: object) -> None:
    """Run baselines by name and score them: the same as `evaluate --task T baselines/NAME` in a checkout."""
    from evaluator.ingest import baselines_folder

    _check_names(names)
    paths: tuple[Path, ...] = tuple(baselines_folder() / name for name in names)
    context.meta[options.NAMED] = True
    context.invoke(score_command, submissions=paths, **values)


@command.command("table")
@click.option("--tasks", metavar="TASK,...", help="The columns; all tasks that have the split if not given.")
@click.option(
    "--baselines", metavar="NAME,...", help="The rows, on all tasks; all, each on those it is for, if not given."
)
@click.option("--split", "split_name", default="mini", show_default=True, metavar="SPLIT", help="A split of each task.")
@options.data
@options.leaderboards
@options.weights
@options.workers
@click.option("--no-run", is_flag=True, help="Show the scorecards that there are; run nothing.")
@click.option(
    "--format", "output_format", type=click.Choice(["table", "json", "markdown"]), default="table", show_default=True
)
def table(
    *,
    tasks: str | None,
    baselines: str | None,
    split_name: str,
    data: Path | Url | None,
    leaderboards: Path,
    workers: int | None,
    no_run: bool,
    output_format: str,
) -> None:
    """Print one table of all baselines on several tasks: scores, run times, costs, and what is missing and why.

    Scorecards in the folder of results are taken as they are; the others are made first. Networks without weights are
    listed with what `evaluate profile NAME --task TASK` has counted.
    """
    from evaluator.cli.output import print_json, print_table
    from evaluator.cli.progress import RunProgress
    from evaluator.findings import EvaluatorError
    from evaluator.results import Store
    from evaluator.scoring import all_baselines, overview, score
    from evaluator.tasks import load_task, task_ids
    from evaluator.tasks.costs import size_text

    names = baselines.split(",") if baselines else all_baselines()
    _check_names(names)
    chosen = [load_task(name) for name in (tasks.split(",") if tasks else task_ids())]
    chosen = [t for t in chosen if tasks or split_name in t.spec.splits]
    if not chosen:
        raise EvaluatorError(f"No task has a split {split_name!r}.")

    def run_baselines(paths: Sequence[Path], split: Split) -> Sequence[Outcome]:
        progress = RunProgress(f"{split.task.id}/{split.name}")
        return score(paths, split, leaderboards=leaderboards, workers=options.worker_count(workers), progress=progress)

    splits = [t.split(split_name, data) for t in chosen]
    found = overview(splits, names, Store(leaderboards), None if no_run else run_baselines, every=bool(baselines))
    if output_format == "json":
        print_json(found.to_json())
    elif output_format == "markdown":
        click.echo(markdown(found), nl=False)
    else:
        head = ["baseline", *(f"{task}: {metric}" for task, metric in found.heads.items())]
        rows = [[name, *(e.reason or f"{e.text} ({seconds(e.seconds)})" for e in row)] for name, _, row in found.rows()]
        print_table(head, rows, title=f"Baselines on {split_name}: score (s per megapixel)")
        for line in found.missing():
            click.echo(line)
        if found.networks:
            size_heads = [f"G MACs at {size_text(size)}" for size in found.sizes]
            rows = [[name, parameters, *macs] for name, parameters, macs in network_rows(found)]
            print_table(["network", "parameters", *size_heads], rows, title="Networks without weights")


def _numbers(texts: int, numbers: int) -> list[bool]:
    """Return which columns of a table hold numbers: all after those of texts."""
    return [False] * texts + [True] * numbers


def markdown(found: Overview) -> str:
    """Return the table as the document that ships: scores, then run times, costs, and what is missing."""
    from evaluator.ranking import markdown_lines
    from evaluator.tasks.costs import size_text

    lines = [
        "# Baselines on the mini splits" if found.split == "mini" else f"# Baselines on the split {found.split}",
        "",
        "Written by `evaluate baseline table --format markdown`; do not edit. No setting was tuned on these splits; "
        "cards say where a training was repeated after its score was seen.",
        "",
        "A dash: the baseline is for other tasks (`[baseline] tasks` in its `submission.toml`).",
        "",
        "## Scores",
    ]
    for group, tasks in found.groups.items():
        heads = [f"{task}<br>{found.heads[task]}" for task in tasks]
        rows = ([f"`{name}`", how, *map(cell, row)] for name, how, row in found.rows(tasks))
        lines += [
            "",
            f"### {group}",
            "",
            *markdown_lines(["baseline", "method", *heads], rows, _numbers(2, len(heads))),
        ]
    times = ([f"`{name}`", *(seconds(e.seconds) for e in row)] for name, _, row in found.rows())
    lines += [
        "",
        "## Run time, seconds per megapixel",
        "",
        "Beside other work on one machine: an order of magnitude, no ranking figure.",
        "",
        *markdown_lines(["baseline", *found.heads], times, _numbers(1, len(found.heads))),
    ]
    if found.networks:
        lines += [
            "",
            "## Networks",
            "",
            "Without trained weights, so without scores. MACs in thousands of millions, at the sizes (height×width)",
            "that the tasks show costs for; a dash: not counted. `evaluate profile NAME --task TASK` counts.",
            "",
            *markdown_lines(
                ["network", "parameters", *map(size_text, found.sizes)],
                ([f"`{name}`", parameters, *macs] for name, parameters, macs in network_rows(found)),
                _numbers(1, 1 + len(found.sizes)),
            ),
        ]
    missing = [f"- {line}" for line in found.missing()]
    return "\n".join([*lines, *(["", "## Missing", "", *missing] if missing else [])]) + "\n"


def cell(entry: Entry) -> str:
    """Return a score as it is printed, or why there is none."""
    return "–" if entry.reason == "other tasks" else entry.reason or entry.text


def network_rows(found: Overview) -> list[tuple[str, str, list[str]]]:
    """Return of each network its name, its parameters and its MACs at each size, in thousands of millions."""
    rows = []
    for name, cost in found.networks.items():
        macs = [cost.macs.get(size) for size in found.sizes]
        parameters = "–" if cost.parameters is None else f"{cost.parameters:,}"
        rows.append((name, parameters, ["–" if m is None else f"{m / 1e9:.4g}" for m in macs]))
    return rows


def seconds(value: float | None) -> str:
    """Return a run time with two significant digits, or a dash."""
    return "–" if value is None else f"{float(f'{value:.2g}'):g}"


def _check_names(names: Sequence[str]) -> None:
    from evaluator.findings import EvaluatorError, did_you_mean
    from evaluator.ingest import baseline_names

    known = baseline_names()
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise EvaluatorError(f"There is no baseline {name!r}.{hint} Known: {', '.join(known)}.")


@command.command("import")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The submission's folder, new."
)
@click.argument("name")
@click.argument("checkpoint", type=click.Path(path_type=Path))
def import_weights(*, out: Path, name: str, checkpoint: Path) -> None:
    """Make a submission of a baseline and the checkpoint that its authors published.

    CHECKPOINT is a .npz or .pth file, or the .index file of a TensorFlow checkpoint. No code in it is run.
    """
    from evaluator.runners.models.importing import import_checkpoint

    made = import_checkpoint(name, checkpoint, out)
    click.echo(f"{made.folder}: {made.id}, {made.parameters:,} parameters, from sha256 {made.sha256}")
