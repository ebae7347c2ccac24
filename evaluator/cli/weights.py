"""`evaluate weights list`, `fetch` and `verify`."""

from __future__ import annotations

import click

from evaluator.cli import options


@click.group("weights", short_help="Look after the weights that metrics need.")
def command() -> None:
    """Look after the weights that metrics need. Nothing is ever downloaded while scoring."""


@command.command("list")
@options.weights
@options.output_format
def list_weights(output_format: str) -> None:
    """List the weights: what needs them, and where they are."""
    from evaluator import metrics
    from evaluator.cli.output import print_json, print_table

    found = {w.name: (w, metrics.weights.locate(w)) for w in metrics.known_weights()}
    if output_format == "json":
        print_json(
            {
                name: {
                    "path": str(path) if path else None,
                    "files": [{"name": file, "sha256": digest} for file, digest in w.files],
                    "used_by": w.used_by,
                    "licence": w.licence,
                    "url": w.url,
                }
                for name, (w, path) in found.items()
            }
        )
        return
    rows = [[name, w.used_by, w.licence, str(path) if path else "not here"] for name, (w, path) in found.items()]
    print_table(["weights", "used by", "licence", "file"], rows, text=(0, 1, 2, 3))
    click.echo(f"Folder of weights: {metrics.weights.weights_folder()}")


@command.command("verify")
@options.weights
def verify() -> None:
    """Compare the files in the folder of weights with their sha256; status 2 if one is not what it should be."""
    from evaluator import metrics

    bad = 0
    for w in metrics.known_weights():
        path = metrics.weights.locate(w)
        wrong = metrics.weights.misfits(w)
        state = f"as published: {path}" if path else "not here"
        click.echo(f"{w.name}: {state}")
        for file, got in wrong:
            bad += 1
            click.echo(f"  {file} is another file (sha256 {got}): it is not used")
    if bad:
        raise click.exceptions.Exit(2)


@command.command("fetch")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.weights
def fetch(names: tuple[str, ...]) -> None:
    """Download weights by name (all that are missing, if none is named) into the folder of weights."""
    from evaluator import metrics
    from evaluator.cli.output import say
    from evaluator.findings import EvaluatorError, did_you_mean

    known = {w.name: w for w in metrics.known_weights()}
    for name in names:
        if name not in known:
            raise EvaluatorError(
                f"There are no weights {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
    failed = []
    for w in [known[n] for n in names] if names else known.values():
        if metrics.weights.locate(w):
            say(f"{w.name}: already here")
            continue
        try:
            say(f"{w.name}: {metrics.weights.fetch(w)}")
        except metrics.Unavailable as reason:
            say(f"{w.name}: {reason}")
            failed.append(w.name)
    if failed:
        raise click.exceptions.Exit(2)
