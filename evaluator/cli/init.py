"""`evaluate init`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", short_help="Write a filled-in submission.toml, or a task file of your own.")
@click.option(
    "--kind",
    type=click.Choice(["outputs", "model", "python"]),
    help="What is handed in: images (if not given), a model file, or Python code.",
)
@click.argument("words", nargs=-1, metavar="[FOLDER | task [FILE.toml]]")
def command(*, kind: str | None, words: tuple[str, ...]) -> None:
    """Write a filled-in submission.toml into FOLDER (here, if none is named).

    With the word `task`, write the task file of a challenge of your own instead: FILE.toml, or my_challenge.toml. A
    folder of the name task is written ./task.
    """
    is_task = words[:1] == ("task",)
    if len(words) > 1 + is_task:
        raise click.UsageError("Name one folder, or `task` and one file.")
    if is_task:
        if kind is not None:
            raise click.UsageError("--kind says what a submission is; a task has none.")
        _init_task(Path(*words[1:]) if words[1:] else Path("my_challenge.toml"))
    else:
        _init_submission(Path(*words), kind or "outputs")


def _init_task(file: Path) -> None:
    from evaluator.cli.output import say
    from evaluator.findings import EvaluatorError

    if file.suffix != ".toml":
        raise EvaluatorError(f"A task file's name ends with .toml: {file}.toml, say.")
    _write(file, "evaluator.tasks", "task")
    name = file if file.is_absolute() else f"./{file}"
    say(f"Wrote {file}. Fill it in, then: evaluate data verify {name} --root DATA")


def _init_submission(folder: Path, kind: str) -> None:
    from evaluator.cli.output import say

    file = folder / "submission.toml"
    _write(file, "evaluator.ingest", kind)
    say(f"Wrote {file}. Fill it in, then: evaluate check --task TASK {folder}")


def _write(file: Path, package: str, template: str) -> None:
    from importlib import resources

    from evaluator.findings import EvaluatorError

    text = resources.files(package).joinpath("templates", f"{template}.toml").read_text(encoding="utf-8")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise EvaluatorError(f"{file} is there already; nothing was written. Name another.") from None
