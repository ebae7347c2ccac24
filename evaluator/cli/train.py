"""`evaluate train`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("train", short_help="Train a baseline's network for a task's own degradation.")
@click.option(
    "--task", "task_name", required=True, metavar="TASK", help="Photographs are degraded as its mini split is."
)
@click.option(
    "--photographs", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Sharp, clean 8-bit images."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of checkpoint, log, weights."
)
@click.option("--steps", type=click.IntRange(min=1), help="How many in all. As the recipe says if not given.")
@click.option("--batch", type=click.IntRange(min=1), help="Crops a step, in place of the recipe's.")
@click.option("--crop", type=click.IntRange(min=16), help="Side of a crop in pixels, in place of the recipe's.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="How many to compute with; 1 makes it exact to repeat.")
@click.option("--patience", type=click.IntRange(min=1), help="End after so many epochs without a better held-out loss.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@click.argument("baseline", metavar="BASELINE")
def command(
    *,
    task_name: str,
    photographs: Path,
    out: Path,
    steps: int | None,
    batch: int | None,
    crop: int | None,
    seed: int,
    device: str,
    threads: int | None,
    patience: int | None,
    resume: bool,
    baseline: str,
) -> None:
    """Train a baseline's network with its recipe, on photographs that are degraded as a task's mini split is.

    Each step cuts crops and degrades them afresh; every tenth photograph is held out, and the weights that do best on
    those are written. --out becomes a submission for `evaluate --task`, with checkpoint.pt, log.csv, training.json
    (the command, digests, versions) and curve.png beside it. An interrupted training goes on with --resume, exactly.
    """
    from evaluator.cli.output import say
    from evaluator.cli.progress import RunProgress
    from evaluator.tasks import load_task
    from evaluator.training import CHECKPOINT, Settings, train

    progress, done = RunProgress(baseline, unit="steps"), -1

    def report(step: int, steps: int) -> None:
        nonlocal done
        progress.begin(steps, step) if done < 0 else progress.advance(step - done)
        done = step

    settings = Settings(
        baseline,
        load_task(task_name),
        photographs,
        out,
        steps=steps,
        batch=batch,
        crop=crop,
        seed=seed,
        device=device,
        threads=threads,
        patience=patience,
        resume=resume,
    )
    try:
        trained = train(settings, report)
    except KeyboardInterrupt:
        begun = (out / CHECKPOINT).is_file()
        say(f"Interrupted.{' The same command with --resume goes on from the last checkpoint.' if begun else ''}")
        raise click.exceptions.Exit(130) from None
    finally:
        progress.end()
    click.echo(f"{trained.weights}: {trained.steps} steps, sha256 {trained.sha256}")
    click.echo(f"  held-out loss {trained.first:.6g} before, {trained.last:.6g} after step {trained.best}")
    if not trained.curve:
        say("  no curve.png: pip install matplotlib, and give --resume")
