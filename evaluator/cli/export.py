"""`evaluate export`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("export", short_help="Write a Keras model of your own as a TFLite file.")
@click.option("--to", "form", type=click.Choice(["tflite"]), default="tflite", show_default=True, help="What to write.")
@click.option("--fp16", is_flag=True, help="Store the weights as float16: half the size.")
@click.option("--input", "size", callback=options.size, metavar="HxW", help="Fix the input to this height and width.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Beside MODEL if left out."
)
@click.argument("model", metavar="MODEL.keras|FILE.py:FUNCTION")
def command(*, form: str, fp16: bool, size: tuple[int, int] | None, out: Path | None, model: str) -> None:
    """Write a Keras model as a TFLite file, for one image at a time.

    MODEL is a .keras file, or FILE.py:FUNCTION, code of your own that is run here and returns a keras.Model. Open
    heights and widths stay open unless --input fixes them.
    """
    from evaluator.findings import EvaluatorError, Finding
    from evaluator.runners.models.export import export_tflite
    from evaluator.runners.models.problem import ModelProblem

    try:
        made = export_tflite(model, out, size=size, half=fp16)
    except ModelProblem as problem:
        finding = Finding.error(
            problem.code, Path(model).name, expected=problem.expected, got=problem.got, fix=problem.fix
        )
        raise EvaluatorError(f"{model} was not exported to {form}.", [finding]) from None
    click.echo(f"{made.file}: {made.bytes} bytes, sha256 {made.sha256}")
    for word, tensors in (("input", made.inputs), ("output", made.outputs)):
        for tensor in tensors:
            click.echo(f"  {word} {tensor}")
