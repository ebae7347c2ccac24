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
    resume: bool,
    baseline: str,
) -> None:
    """Train a baseline's network with its recipe, on photographs that are degraded as a task's mini split is.

    Each step cuts crops and degrades them afresh; every tenth photograph is held out. --out takes checkpoint.pt,
    log.csv and weights.safetensors. An interrupted training goes on with --resume, exactly.
    """
    from evaluator.cli.output import say
    from evaluator.tasks import load_task
    from evaluator.training import Settings, train

    def report(step: int) -> None:
        if step % 100 == 0:
            say(f"{baseline}: {step} steps")

    trained = train(
        Settings(baseline, load_task(task_name), photographs, out, steps, batch, crop, seed, device, resume), report
    )
    click.echo(f"{trained.weights}: {trained.steps} steps, sha256 {trained.sha256}")
    click.echo(f"  held-out loss {trained.first:.6g} before, {trained.last:.6g} after")
