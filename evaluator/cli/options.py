"""Options that several verbs share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from evaluator.remote import Url
    from evaluator.scoring import Backend
    from evaluator.tasks import Task

task = click.option("--task", required=True, metavar="TASK", help="A task's id (see `evaluate tasks`) or a .toml file.")
split = click.option("--split", metavar="SPLIT", help="A split of the task; its official one if not given.")


def path_or_url(text: str) -> Path | Url:
    """Return what an argument names: a path, or a URL that fsspec knows, such as `s3://bucket/folder`."""
    from evaluator.remote import location

    return location(text)


data = click.option(
    "--data",
    type=path_or_url,
    metavar="DIR",
    help="The folder that holds data sets, or its URL. Else EVALUATOR_DATA, else `data` in the config file.",
)
LEADERBOARDS = Path("leaderboards")
leaderboards = click.option(
    "--leaderboards",
    type=click.Path(path_type=Path, file_okay=False),
    default=LEADERBOARDS,
    show_default=True,
    metavar="DIR",
    help="The folder of results.",
)
output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="`json` prints one JSON value on standard output, nothing else.",
)
track = click.option("--track", metavar="ID", help="A track of the task; its main rule if not given.")


def size(_context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Turn an option's HEIGHTxWIDTH into (height, width)."""
    from evaluator.tasks.costs import parse_size

    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param=option) from None


def sizes(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Turn an option's sizes, each once, into (height, width)."""
    found = (size(context, option, value) for value in values)
    return tuple(dict.fromkeys(s for s in found if s is not None))


def _name_weights(_context: click.Context, _option: click.Parameter, folder: Path | None) -> None:
    # By the environment, so that worker processes find them too.
    if folder is not None:
        os.environ["EVALUATOR_WEIGHTS"] = str(folder)


weights = click.option(
    "--weights",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    expose_value=False,
    callback=_name_weights,
    help="The folder of weights that metrics need. Else EVALUATOR_WEIGHTS, else the user's cache folder.",
)


def _name_device(_context: click.Context, _option: click.Parameter, device: str | None) -> None:
    if device is not None:
        os.environ["EVALUATOR_DEVICE"] = device


device = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    expose_value=False,
    callback=_name_device,
    help="Where the networks of metrics run (LPIPS). Else EVALUATOR_DEVICE, else cpu.",
)
workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cases worked on at a time; all processors if not given. The digits do not depend on it.",
)


accept_partial = click.option(
    "--accept-partial",
    is_flag=True,
    help="Run code where the isolation is only partial (level C of `evaluate doctor`).",
)
trust = click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Run the code of this submission, by the name of its folder or file, even without isolation: you wrote it or "
    "have read it. Recorded and shown.",
)


def scoring(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every verb that scores."""
    for option in reversed(
        (
            task,
            split,
            data,
            leaderboards,
            weights,
            device,
            workers,
            accept_partial,
            trust,
            output_format,
        )
    ):
        command = option(command)
    return command


executor = click.option(
    "--executor",
    type=click.Choice(["threads", "processes", "dask"]),
    default="threads",
    show_default=True,
    help="What the workers are. The digits do not depend on it.",
)
scheduler = click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="With --executor dask: tcp://HOST:PORT or a scheduler file, FILE.json. Else a cluster on this machine.",
)


def _resources(_context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for value in values:
        match = re.fullmatch(r"(\w+)=(\d+(?:\.\d+)?)", value)
        if match is None or float(match[2]) == 0:
            raise click.BadParameter(f"{value!r} is not NAME=NUMBER, such as GPU=1", param=option)
        found[match[1]] = float(match[2])
    return found


resources = click.option(
    "--resources",
    multiple=True,
    metavar="NAME=N",
    callback=_resources,
    help="With --executor dask: what a worker must offer to run models, such as GPU=1. Scoring asks for nothing.",
)


def _log_as(_context: click.Context, _option: click.Parameter, value: str) -> None:
    from evaluator.cli.output import log_as

    log_as(value)


log = click.option(
    "--log",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    expose_value=False,
    is_eager=True,
    callback=_log_as,
    help="What is said on standard error: text, or JSON events, one a line.",
)
report = click.option(
    "--report", is_flag=True, help="Say at the end where the time went: stages, references kept, slowest cases."
)


def running(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of how jobs are run."""
    for option in reversed((executor, scheduler, resources, log, report)):
        command = option(command)
    return command


def backend(kind: str, count: int | None, scheduler_address: str, needed: dict[str, float]) -> Backend:
    """Return what does the jobs.

    Raises:
        EvaluatorError: an option of Dask is given without it.
    """
    from evaluator import scoring
    from evaluator.findings import EvaluatorError

    if kind != "dask" and (scheduler_address or needed):
        raise EvaluatorError("--scheduler and --resources are for Dask: add --executor dask.")
    (chosen,) = (known for known in scoring.KINDS if known == kind)
    return scoring.backend(chosen, worker_count(count), scheduler=scheduler_address, resources=needed)


def worker_count(given: int | None) -> int:
    """Return the number of workers to use."""
    from evaluator.efficiency.hardware import usable_cores

    return given or usable_cores()


def board_split(chosen: Task, name: str | None) -> str:
    """Return the split that is meant, checked against the task."""
    found = name or chosen.spec.default_split
    chosen.split_spec(found)
    return found


NAMED = "evaluator.named"
"""Key of a context's `meta`: whether every submission was named, by a verb that takes names."""


def submission_paths(given: tuple[Path | Url, ...], task: str) -> list[Path | Url]:
    """Return the arguments that are to be scored; say which a shell's `*` brought along that are not.

    Documents and hidden files are left out, and of several paths the baselines that are not for the task.
    """
    from evaluator.cli.output import say
    from evaluator.findings import EvaluatorError
    from evaluator.ingest import left_out
    from evaluator.remote import Url, expand

    def beside(path: Path | Url) -> bool:
        name = path.resolve().name if isinstance(path, Path) else path.name
        is_file = path.is_file() if isinstance(path, Path) else True
        document = is_file and name.lower().endswith((".md", ".txt", ".toml", ".json"))
        return document or name.startswith((".", "__"))

    given = tuple(path for one in given for path in (expand(one) if isinstance(one, Url) else [one]))
    others = [p for p in given if beside(p)]
    if others:
        say(f"Left out, being no submissions: {', '.join(map(str, others))}.")
    rest = [p for p in given if p not in others]
    if len(rest) > 1 and not click.get_current_context().meta.get(NAMED):
        reasons = {path: left_out(path, task) for path in rest if isinstance(path, Path)}
        rest = [path for path in rest if not (isinstance(path, Path) and reasons[path])]
        for reason in dict.fromkeys(filter(None, reasons.values())):
            names = ", ".join(path.resolve().name for path, why in reasons.items() if why == reason)
            say(f"Baselines left out, {reason}: {names}.")
    if not rest:
        raise EvaluatorError("There is no submission among the arguments: name a folder or an archive of outputs.")
    return rest
