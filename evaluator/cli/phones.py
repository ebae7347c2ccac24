"""`evaluate phones import` and `evaluate phones devices`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.group("phones", short_help="Bring runtimes from phones, by the logs of two benchmarks.")
def command() -> None:
    """Bring runtimes from phones: logs of AI Benchmark's app and of TensorFlow Lite's benchmark_model."""


@command.command("devices")
@options.output_format
def devices(output_format: str) -> None:
    """List the device cards that ship with the harness."""
    from evaluator.cli.output import print_json, print_table
    from evaluator.efficiency.phones import device_cards

    cards = list(device_cards().values())
    if output_format == "json":
        print_json([card.model_dump(mode="json") for card in cards])
        return
    rows = [[c.id, c.name, c.chipset, c.gpu, f"{c.ram_gb:g}" if c.ram_gb else "", c.launched, c.source] for c in cards]
    header = ["device", "name", "chipset", "GPU", "RAM, GB", "launched", "source"]
    print_table(header, rows, text=(0, 1, 2, 3, 5, 6))
    click.echo("Another one: evaluate phones import … --device ID --device-card FILE.toml, with these keys.")


@command.command("import")
@click.argument("log", type=click.Path(path_type=Path, dir_okay=False))
@options.task
@click.option("--submission", required=True, metavar="ID", help="The submission whose model ran.")
@click.option("--device", required=True, metavar="DEVICE", help="The phone: see `evaluate phones devices`.")
@click.option(
    "--input", "size", callback=options.size, metavar="HxW", help="Height and width of the input, such as 720x1280."
)
@click.option("--backend", default="", metavar="TEXT", help="What it ran on, where the log does not say.")
@click.option("--failed", default="", metavar="REASON", help="It gave no time: why, 'out of memory' for instance.")
@click.option(
    "--device-card",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A .toml file that describes a phone of your own.",
)
@options.leaderboards
def import_log(
    *,
    log: Path,
    task: str,
    submission: str,
    device: str,
    size: tuple[int, int] | None,
    backend: str,
    failed: str,
    device_card: Path | None,
    leaderboards: Path,
) -> None:
    """Add the run of LOG to the costs of a submission; an earlier one of the same kind gives way."""
    from evaluator._version import __version__
    from evaluator.cli.output import print_findings, say
    from evaluator.efficiency import Cost
    from evaluator.efficiency.phones import find_card, read_log
    from evaluator.findings import EvaluatorError
    from evaluator.results import Store
    from evaluator.tasks import load_task
    from evaluator.tasks.costs import size_text

    chosen = load_task(task)
    store = Store(leaderboards)
    if not any(
        card.submission.id == submission for t, s in store.boards() if t == chosen.id for card in store.read(t, s)
    ):
        say(
            f"There is no scorecard of {submission} for {chosen.id} in {leaderboards}: the run shows once it is scored."
        )
    try:
        empty = Cost(task=chosen.id, submission=submission, harness=__version__)
    except ValueError:
        raise EvaluatorError(f"{submission!r} is no id of a submission.") from None
    run, findings = read_log(log, find_card(device, device_card), size, backend=backend, failed=failed)
    record = (store.read_cost(chosen.id, submission) or empty).with_phones((run,))
    path = store.write_cost(record)
    print_findings(findings)
    at = f" at {size_text(run.input)}" if run.input else ", at an input size that is not known"
    shown = f"{run.mean_ms:.4g} ms" if run.mean_ms is not None else f"× ({run.failure})"
    click.echo(f"{submission}: {shown} on {run.device.name}{f' ({run.backend})' if run.backend else ''}{at}: {path}")
    if run.input != chosen.spec.cost.size:
        say(f"The board of {chosen.id} shows {size_text(chosen.spec.cost.size)}; this run is on the submission's page.")
