"""`evaluate export`."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.cli import options


@click.command("export", short_help="Write a network as a TFLite or an ONNX file.")
@click.option("--to", "form", type=click.Choice(["tflite", "onnx"]), default="tflite", show_default=True)
@click.option("--fp16", is_flag=True, help="TFLite: store the weights as float16; half their size.")
@click.option("--input", "size", callback=options.size, metavar="HxW", help="Fix the input to this height and width.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Beside MODEL's file, or in this folder, if left out.",
)
@click.argument("model", metavar="MODEL.keras|FILE.py:FUNCTION|FOLDER|BASELINE")
def command(*, form: str, fp16: bool, size: tuple[int, int] | None, out: Path | None, model: str) -> None:
    """Write a network for one image at a time: a Keras model as TFLite, a Keras model or a torch module as ONNX.

    MODEL is a .keras file; FILE.py:FUNCTION, code of your own that is run here and returns the network; the folder of a
    submission of kind "network", or a baseline's name, each with its weights where it has any. Open heights and widths
    stay open unless --input fixes them.
    """
    from evaluator.findings import EvaluatorError, Finding
    from evaluator.runners.models.export import export_onnx, export_tflite
    from evaluator.runners.models.problem import ModelProblem

    if fp16 and form == "onnx":
        raise click.UsageError("--fp16 is for --to tflite.")
    try:
        onnx = form == "onnx"
        made = export_onnx(model, out, size=size) if onnx else export_tflite(model, out, size=size, half=fp16)
    except ModelProblem as problem:
        finding = Finding.error(
            problem.code, Path(model).name, expected=problem.expected, got=problem.got, fix=problem.fix
        )
        raise EvaluatorError(f"{model} was not exported to {form}.", [finding]) from None
    click.echo(f"{made.file}: {made.bytes} bytes, sha256 {made.sha256}")
    for word, tensors in (("input", made.inputs), ("output", made.outputs)):
        for tensor in tensors:
            click.echo(f"  {word} {tensor}")
