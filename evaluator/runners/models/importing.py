"""From an official checkpoint to a submission folder with the weights of a baseline."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from evaluator.findings import EvaluatorError, Finding, did_you_mean, some
from evaluator.ingest import FILE_NAME, Manifest, baseline_files, baseline_manifest, baseline_names
from evaluator.runners.models.checkpoint import Arrays, read_checkpoint
from evaluator.runners.models.official import OFFICIAL, Official
from evaluator.runners.models.problem import ModelProblem, runtime
from evaluator.text import safe

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Imported:
    """What was written."""

    folder: Path
    id: str
    parameters: int
    sha256: str
    """Of the checkpoint."""


def import_checkpoint(name: str, checkpoint: Path, out: Path) -> Imported:
    """Write a submission: the code of a baseline, and the weights of a checkpoint that its authors published.

    Args:
        name: of the baseline.
        checkpoint: see `read_checkpoint`; the sha256 of a TensorFlow checkpoint is that of its data.
        out: the submission's folder, which must not exist yet or be empty.

    Raises:
        EvaluatorError: there is no such baseline, the checkpoint is not one of its own, or the folder holds something.
    """
    official = _official(name)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise EvaluatorError(f"{out} exists already and is not an empty folder. Name another folder with --out.")
    try:
        runtime("safetensors", "torch")
        arrays = read_checkpoint(checkpoint)
    except ModelProblem as problem:
        finding = Finding.error(
            problem.code, checkpoint.name, expected=problem.expected, got=problem.got, fix=problem.fix
        )
        raise EvaluatorError(f"{checkpoint} was not imported.", [finding]) from None
    arrays = {n: a for n, a in arrays.items() if not (official.ignored and n.endswith(official.ignored))}
    findings = _compared(name, official, arrays, checkpoint.name)
    if findings:
        raise EvaluatorError(f"{checkpoint} is no checkpoint of {name}.", findings)
    return _written(name, official, official.convert(arrays), checkpoint, out)


def _official(name: str) -> Official:
    if name in OFFICIAL:
        return OFFICIAL[name]
    known = f"Checkpoints can be imported for: {', '.join(OFFICIAL)}."
    if name in baseline_names():
        raise EvaluatorError(f"No checkpoint of the baseline {name!r} is known. {known}")
    raise EvaluatorError(f"There is no baseline {name!r}.{did_you_mean(name, OFFICIAL)} {known}")


def _compared(name: str, official: Official, arrays: Arrays, file: str) -> list[Finding]:
    """Say which arrays are missing, of another shape, or not the network's."""
    findings = []
    others = [n for n, o in OFFICIAL.items() if {k: a.shape for k, a in arrays.items()} == dict(o.shapes)]
    fix = f"Import it as {others[0]}." if others else f"Take a checkpoint that the authors of {name} published."
    if missing := [n for n in official.shapes if n not in arrays]:
        held = some(sorted(arrays)) or "none at all"
        got = f"a file without {some(missing)}; it holds {held}"
        expected = f"{len(official.shapes)} arrays"
        findings.append(Finding.error("checkpoint-arrays", file, expected=expected, got=got, fix=fix))
    if surplus := [n for n in arrays if n not in official.shapes]:
        expected = f"the {len(official.shapes)} arrays of {name} alone"
        got = f"{some(sorted(surplus))} beside them"
        findings.append(Finding.error("checkpoint-arrays", file, expected=expected, got=got, fix=fix))
    for array, shape in official.shapes.items():
        if array in arrays and arrays[array].shape != shape:
            expected = f"{array} of shape {_shown(shape)}"
            got = _shown(arrays[array].shape)
            findings.append(Finding.error("checkpoint-arrays", file, expected=expected, got=got, fix=fix))
    return findings


def _shown(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single value"


def _written(name: str, official: Official, weights: Arrays, checkpoint: Path, out: Path) -> Imported:
    data = checkpoint.with_suffix(".data-00000-of-00001")
    source = data if checkpoint.suffix == ".index" and data.is_file() else checkpoint
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    identifier = f"{name}-{sha256[:8]}"
    out.mkdir(parents=True, exist_ok=True)
    for part in baseline_files(name).values():
        if part.suffix in (".py", ".md"):
            shutil.copyfile(part, out / part.name)
    contiguous = {n: a.copy(order="C") for n, a in weights.items()}
    runtime("safetensors.numpy", "torch").save_file(contiguous, out / WEIGHTS)
    manifest = baseline_manifest(name)
    description = f"The baseline's code with the weights of {safe(source.name)} (sha256 {sha256})."
    method = official.method or manifest.method
    text = network_manifest(
        manifest, identifier=identifier, method=method, entry=official.entry, description=description
    )
    (out / FILE_NAME).write_text(text, encoding="utf-8")
    return Imported(out, identifier, sum(a.size for a in weights.values()), sha256)


def network_manifest(manifest: Manifest, *, identifier: str, method: str | None, entry: str, description: str) -> str:
    """Return a baseline's manifest as that of a network with weights, a submission of its own.

    Args:
        manifest: the baseline's.
        identifier: the submission's id.
        method: its name for readers.
        entry: `module:function` that builds the network.
        description: where the weights come from.
    """
    assert manifest.model is not None  # noqa: S101 - a network has one
    tables = {
        "": {"id": identifier, "team": manifest.team, "method": method, "description": description, "kind": "network"},
        "links": manifest.links.model_dump(exclude_none=True),
        "network": {"entry": entry, "weights": WEIGHTS},
        "model": manifest.model.model_dump(mode="json", exclude_unset=True),
    }
    lines = []
    for table, values in tables.items():
        lines += ["", f"[{table}]"] if table else []
        # Strings, numbers and lists of them are the same in JSON and TOML.
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
