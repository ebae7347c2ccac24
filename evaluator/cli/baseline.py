"""`evaluate baseline list`, `run` and `import`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options
from evaluator.cli.score import command as score_command


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
    from evaluator.findings import EvaluatorError, did_you_mean
    from evaluator.ingest import baseline_names, baselines_folder

    known = baseline_names()
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise EvaluatorError(f"There is no baseline {name!r}.{hint} Known: {', '.join(known)}.")
    paths: tuple[Path, ...] = tuple(baselines_folder() / name for name in names)
    context.invoke(score_command, submissions=paths, **values)


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
