"""`evaluate profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from evaluator.cli import options

if TYPE_CHECKING:
    from evaluator.scoring import Profile
    from evaluator.scoring.profile import Subject
    from evaluator.tasks import Task

Size = tuple[int, int]
_DEFAULT_SIZES: tuple[Size, ...] = ((256, 256), (720, 1280))


@click.command("profile", short_help="Count what a model costs, and time it beside a reference.")
@click.option("--input", "sizes", multiple=True, callback=options.sizes, metavar="HxW",
              help="Height and width of an image; may be given several times. Else the task's sizes, else 256x256 and "
              "720x1280.")  # fmt: skip
@click.option("--task", metavar="TASK", help="A task: its sizes and its reference; the result goes to its leaderboard.")
@click.option("--runtime", is_flag=True, help="Also time it, beside the reference, and look at its memory.")
@click.option("--reference", metavar="MODEL", help="Time it beside this model. Else the task's reference, else srcnn.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Threads that a framework may use.")  # fmt: skip
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True,
              help="Where models of torch are timed.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Also show each layer at the first size.")
@options.leaderboards
@options.accept_partial
@options.trust
@options.output_format
@click.argument("model", metavar="MODEL")
def command(
    *,
    sizes: tuple[Size, ...],
    task: str | None,
    runtime: bool,
    reference: str | None,
    threads: int,
    device: Literal["cpu", "cuda"],
    layers: bool,
    leaderboards: Path,
    accept_partial: bool,
    trust: tuple[str, ...],
    output_format: str,
    model: str,
) -> None:
    """Count a model's parameters, multiply-accumulates and activations; with --runtime, time it.

    MODEL is a submission's folder or archive, the name of a baseline, a lone model file (.tflite, .onnx, .pt, .pt2,
    .keras, .pb, the folder of a SavedModel), or FILE.py:FUNCTION, where the function returns a torch module or a Keras
    model.

    \b
    evaluate profile net.onnx --input 256x256 --input 720x1280
    evaluate profile baselines/srcnn --task dped --runtime
    """
    from evaluator.cli.output import print_findings, print_json, say
    from evaluator.findings import has_errors
    from evaluator.results import Store
    from evaluator.runners import Reception
    from evaluator.scoring import Permissions
    from evaluator.scoring.profile import Bench, count_operators, find_model, open_model, time_runs
    from evaluator.tasks import Limits, load_task

    chosen = load_task(task) if task else None
    sizes = sizes or (chosen.spec.cost.sizes if chosen else _DEFAULT_SIZES)
    limits = chosen.spec.limits if chosen else Limits()
    permissions = Permissions(accept_partial, frozenset(trust))
    with Reception(limits, [leaderboards]) as reception:
        subject = open_model(find_model(model), reception, permissions)
        profile = subject.start()
        count_operators(subject, sizes, profile)
        if runtime:
            other = _reference(reference, chosen)
            beside = open_model(other, reception, permissions)
            time_runs(subject, sizes, Bench(beside, limits, threads, device), profile, say)
    if output_format == "json":
        print_json(_json(profile, subject))
    else:
        _print(profile, with_layers=layers)
    print_findings(profile.findings)
    if chosen and profile.is_known:
        _write(profile, chosen, Store(leaderboards), say=say)
    if has_errors(profile.findings):
        raise click.exceptions.Exit(2)


def _reference(given: str | None, task: Task | None) -> Path:
    from evaluator.scoring.profile import find_model
    from evaluator.tasks.costs import CostRules

    return find_model(given or (task.spec.cost if task else CostRules()).reference)


def _write(profile: Profile, task: Task, store: Any, say: Any) -> None:  # noqa: ANN401 - a Store and a function
    old = store.read_cost(task.id, profile.submission)
    path = store.write_cost(profile.record(task.id).replacing(old))
    say(f"Wrote {path}; `evaluate rank --task {task.id}` shows it beside the scores.")


def _json(profile: Profile, subject: Subject) -> dict[str, Any]:
    return {
        "submission": profile.submission,
        "format": profile.format,
        "version": profile.version,
        "size_bytes": profile.size_bytes,
        "parameters": profile.parameters,
        "inputs": [
            {
                **counts.model_dump(mode="json"),
                "layers": [layer.model_dump(mode="json") for layer in profile.layers[counts.input]],
            }
            for counts in profile.counts
        ],
        "timings": [timing.model_dump(mode="json") for timing in profile.timings],
        "isolation": subject.runner.workers.isolation.level.value,
        "findings": [finding.plain() for finding in profile.findings],
    }


def _print(profile: Profile, *, with_layers: bool) -> None:
    from evaluator.cli.output import print_table
    from evaluator.tasks.costs import size_text
    from evaluator.text import safe

    parameters = "unknown" if profile.parameters is None else f"{profile.parameters:,}"
    on_disk = "" if profile.size_bytes is None else f", {profile.size_bytes / 1e6:.2f} MB on disk"
    click.echo(safe(f"{profile.submission} ({profile.format}): {parameters} parameters{on_disk}"))
    if profile.counts:
        print_table(
            ["input", "MACs (G)", "FLOPs (G)", "TF profiler (G)", "activations (M)"],
            [
                [
                    size_text(c.input) + ("" if c.passes == 1 else f" in {c.passes} tiles"),
                    ("" if c.complete else "≥ ") + f"{c.macs / 1e9:.4g}",
                    f"{c.flops / 1e9:.4g}",
                    f"{c.tf_profiler_flops / 1e9:.4g}",
                    f"{c.activations / 1e6:.4g}",
                ]
                for c in profile.counts
            ],
        )
        click.echo("MACs: convolutions, dense layers, matrix products, attention; FLOPs: two for each. TF profiler: as")
        click.echo("TensorFlow's profiler counts, with biases, element-wise arithmetic, pooling and means.")
        _print_uncounted(profile)
    if profile.timings:
        _print_timings(profile)
    if with_layers and profile.layers:
        size, rows = next(iter(profile.layers.items()))
        print_table(
            ["layer", "operator", "output", "parameters", "MACs (M)"],
            [
                [r.name, r.operator, "×".join(map(str, r.output)), f"{r.parameters:,}", f"{r.macs / 1e6:.4g}"]
                for r in rows
            ],
            text=(0, 1, 2),
            title=f"Layers at {size_text(size)}",
        )


def _print_uncounted(profile: Profile) -> None:
    from evaluator.text import safe

    words = {"convention": "by convention", "unknown": "no rule", "moves": "moves data"}
    uncounted = profile.counts[0].uncounted
    if uncounted:
        shown = [f"{u.operator} ×{u.times} ({u.share:.1%}, {words[u.why]})" for u in uncounted]
        click.echo(safe("Not counted, with their share of output elements: " + ", ".join(shown)))


def _print_timings(profile: Profile) -> None:
    from evaluator.cli.output import print_table
    from evaluator.tasks.costs import size_text

    def number(value: float | None, digits: str) -> str:
        return "×" if value is None else format(value, digits)

    first = profile.timings[0]
    print_table(
        ["input", "median (ms)", "p95 (ms)", "spread", "ratio", "memory (MB)", "runs", ""],
        [
            [
                size_text(t.input),
                number(t.median_ms, ".1f"),
                number(t.p95_ms, ".1f"),
                number(t.spread, ".1%"),
                number(t.ratio, ".3f"),
                number(t.memory_mb, ".0f"),
                str(t.runs),
                t.failure,
            ]
            for t in profile.timings
        ],
        text=(0, 7),
        title=f"Time on {first.device_name}, {first.threads} thread{'s' if first.threads != 1 else ''}, {first.device}",
    )
    click.echo(f"Ratio: the time of {first.reference or 'no reference'}, run in turns with it, over its own: higher is")
    click.echo("faster. Spread: the interquartile range over the median.")
