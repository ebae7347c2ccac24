"""`evaluate init`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click


@click.command("init")
@click.option(
    "--kind",
    type=click.Choice(["outputs", "model", "python"]),
    default="outputs",
    show_default=True,
    help="What is handed in: images, a model file, or Python code.",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[FOLDER]")
def command(*, kind: str, folder: Path) -> None:
    """Write a filled-in submission.toml into FOLDER (here, if none is named)."""
    from evaluator.cli.output import say
    from evaluator.findings import EvaluatorError

    text = resources.files("evaluator.ingest").joinpath("templates", f"{kind}.toml").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "submission.toml"
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise EvaluatorError(f"{file} is there already; nothing was written. Name another folder.") from None
    say(f"Wrote {file}. Fill it in, then: evaluate check --task TASK {folder}")
