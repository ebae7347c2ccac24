"""`evaluate tasks` and `evaluate tasks show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.tasks import Task
    from evaluator.tasks.spec import BlocksSplit, FilesSplit


@click.group("tasks", invoke_without_command=True, short_help="List the tasks, or show one.")
@options.output_format
@click.pass_context
def command(context: click.Context, output_format: str) -> None:
    """List the tasks; `tasks show TASK` tells all about one."""
    if context.invoked_subcommand is not None:
        return
    from evaluator.cli.output import print_json, print_table
    from evaluator.tasks import find_root, load_task, task_ids

    find_root()  # a data folder that is named and wrong is an error, not a split that is not here
    tasks = [load_task(name) for name in task_ids()]
    if output_format == "json":
        print_json([_brief(t) for t in tasks])
        return
    rows = [[t.id, t.spec.title, ", ".join(_here(t, name) for name in t.spec.splits)] for t in tasks]
    print_table(["task", "title", "splits"], rows, text=(0, 1, 2))
    click.echo("(–) the data of this split is not on this machine: `evaluate tasks show TASK` says how to get it.")


def _is_here(task: Task, split: str) -> bool:
    from evaluator.findings import EvaluatorError

    try:
        task.split(split)
    except EvaluatorError:
        return False
    return True


def _here(task: Task, split: str) -> str:
    return split if _is_here(task, split) else f"{split} (–)"


def _brief(task: Task) -> dict[str, object]:
    return {
        "task": task.id,
        "title": task.spec.title,
        "default_split": task.spec.default_split,
        "splits": {name: {"cases": s.count, "here": _is_here(task, name)} for name, s in task.spec.splits.items()},
    }


def _files_in_words(split: FilesSplit | BlocksSplit) -> list[str]:
    if split.reader == "blocks":
        return [name for name in (split.inputs, split.references) if name is not None]
    return [f"{role} {' or '.join(patterns)}" for role, patterns in split.roles().items()]


def _folder_in_words(name: str) -> str:
    return "the data folder itself" if name == "." else f"its folder {name}"


@command.command("show")
@click.argument("task")
@options.output_format
def show(task: str, output_format: str) -> None:
    """Show a task: inputs, protocol, metrics, ranking rules, splits and how to get their data."""
    from evaluator import metrics
    from evaluator.cli.output import print_json
    from evaluator.tasks import load_task
    from evaluator.text import safe

    chosen = load_task(task)
    spec = chosen.spec
    if output_format == "json":
        print_json(spec.model_dump(mode="json"))
        return
    lines = [f"{spec.title} ({spec.id})", "", spec.description, f"Paper: {spec.paper}", f"Inputs: {spec.inputs}"]
    lines += ["", "Protocol:", *(f"  {s}" for s in spec.protocol.sentences())]
    contracts = [metrics.get(m).contract for m in spec.metrics]
    lines += ["", "Metrics:", *(f"  {c.id} {c.arrow}  {c.title}" for c in contracts)]

    def named(where: Mapping[str, str]) -> str:
        return ", ".join(f"{name} = {target}" for name, target in where.items())

    if spec.scores:
        lines += ["", "Scores:", *(f"  {s.id}  {s.title}: {s.formula}; {named(s.where)}" for s in spec.scores)]
    lines += ["", "Costs:", *(f"  {s}" for s in spec.cost.sentences())]
    lines += ["", "Ranking:", *(f"  {s}" for s in spec.rule_sentences())]
    for track in spec.tracks:
        lines += ["", f"Track {track.id}: {track.title}", *(f"  {s}" for s in spec.rule_sentences(track.id))]
    lines += ["", "Splits:"]
    for name, split in spec.splits.items():
        default = ", the default" if name == spec.default_split else ""
        here = "" if _is_here(chosen, name) else "; not on this machine"
        lines += [
            f"  {name}: {split.title} ({split.count or 'any number of'} cases{default}){here}",
            f"    licence: {split.licence}",
            f"    home: {split.home}",
            f"    get: {split.get}",
        ]
        if split.reader != "generated":
            folders = " or ".join(map(_folder_in_words, split.folders))
            lines.append(f"    files: {', '.join(_files_in_words(split))} in {folders}")
    click.echo(safe("\n".join(lines)).replace("\\u000a", "\n"))
