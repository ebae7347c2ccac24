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
    zoo = metrics.pyiqa_zoo
    further = {name: zoo.recorded(name) for name in zoo.fetched()}
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
            | {
                name: {
                    "path": str(zoo.folder_of(name)),
                    "files": [{"name": str(path), "sha256": now} for path, _, now in files],
                    "used_by": name,
                    "licence": zoo.LICENCE,
                    "url": "",
                    "unpinned": True,
                }
                for name, files in further.items()
            }
        )
        return
    rows = [[name, w.used_by, w.licence, str(path) if path else "not here"] for name, (w, path) in found.items()]
    rows += [[name, name, zoo.LICENCE, f"{zoo.folder_of(name)} (unpinned)"] for name in further]
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
    for name in metrics.pyiqa_zoo.fetched():
        files = metrics.pyiqa_zoo.recorded(name)
        wrong_ones = [(file, now) for file, noted, now in files if noted != now]
        bad += len(wrong_ones)
        state = "other than was fetched" if wrong_ones else "as fetched, unpinned"
        click.echo(f"{name}: {state}: {metrics.pyiqa_zoo.folder_of(name)}")
        for file, now in wrong_ones:
            click.echo(f"  {file}: {f'another file (sha256 {now})' if now else 'gone'}: the metric is unavailable")
    if bad:
        raise click.exceptions.Exit(2)


@command.command("fetch")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.weights
def fetch(names: tuple[str, ...]) -> None:
    """Download weights by name (all that are missing, if none is named) into the folder of weights.

    `pyiqa:NAME` is fetched by pyiqa itself, and only when it is named.
    """
    from evaluator import metrics
    from evaluator.cli.output import say
    from evaluator.findings import EvaluatorError, did_you_mean

    known = {w.name: w for w in metrics.known_weights()}
    for name in names:
        if metrics.is_further(name):
            metrics.get(name)
        elif name not in known:
            raise EvaluatorError(
                f"There are no weights {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
    failed = []
    for name in names or known:
        w = known.get(name)
        if w is not None and metrics.weights.locate(w):
            say(f"{name}: already here")
            continue
        try:
            got = metrics.weights.fetch(w) if w else metrics.pyiqa_zoo.fetch(name)
            say(f"{name}: {got}")
        except metrics.Unavailable as reason:
            say(f"{name}: {reason}")
            failed.append(name)
    if failed:
        raise click.exceptions.Exit(2)
