"""Try a model on one small case before the upload: does it run, do its artefacts agree, does its contract fit?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evaluator import metrics
from evaluator.findings import Finding, has_errors
from evaluator.images import Pixels, encode_npy, peak_of
from evaluator.ingest import Expected, examine
from evaluator.runners import ModelRunner, Ran, RunFailed
from evaluator.scoring.jobs import ModelOutputs
from evaluator.scoring.opening import Opened
from evaluator.tasks import Protocol, Split, to_target, to_working

_SIDE = 256
_FAR_BETTER_DB = 3.0
_AGREE_DB = 40.0
_RANGES = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0))


def try_model(opened: Opened, split: Split) -> list[Finding]:
    """Run a model on a crop of the split's first case and return what is wrong with it."""
    if not isinstance(opened.provider, ModelOutputs):
        raise TypeError("only a model can be tried")
    runner, manifest = opened.provider.runner, opened.submission.manifest
    case = split.case_ids[0]
    given = {role: _crop(image) for role, image in split.inputs(case).items()}
    reference = _crop(split.target(case))
    limit = reference.array.size * 8
    height, width, _ = reference.array.shape
    expected = Expected.of(height, width, split.task.spec.protocol)
    ran = _run(runner, given, limit, case)
    if isinstance(ran, Finding):
        return [ran]
    findings = _look(ran, case, expected)
    if has_errors(findings):
        return findings
    if manifest.artefacts is not None and manifest.artefacts.latency is not None:
        other = _run(runner, given, limit, case, role="latency")
        findings += (
            [other] if isinstance(other, Finding) else compare_artefacts(ran, other, manifest.artefacts.latency.file)
        )
    if not split.has_references:
        return findings
    mine = _decibels(ran, reference, split.task.spec.protocol)
    best, change = mine, dict[str, Any]()
    for changes in _alternatives(manifest.model.model_dump(mode="json") if manifest.model else {}):
        tried = _run(runner, given, limit, case, changes=changes)
        if not isinstance(tried, Finding) and not has_errors(_look(tried, case, expected)):
            level = _decibels(tried, reference, split.task.spec.protocol)
            best, change = (level, changes) if level > best else (best, change)
    if best >= mine + _FAR_BETTER_DB:
        words = ", ".join(f"{name} = {_toml(value)}" for name, value in change.items())
        findings.append(
            Finding.warning(
                "contract",
                case,
                "an output near the reference",
                f"{mine:.1f} dB as declared, {best - mine:.1f} dB better with {words}",
                "Correct [model] if that is what the network expects.",
            )
        )
    return findings


def _crop(pixels: Pixels) -> Pixels:
    height, width = pixels.array.shape[:2]
    top, left = max(0, height - _SIDE) // 2, max(0, width - _SIDE) // 2
    cropped = np.ascontiguousarray(pixels.array[top : top + _SIDE, left : left + _SIDE])
    return Pixels(cropped, pixels.peak)


def _run(runner: ModelRunner, given: Mapping[str, Pixels], limit: int, case: str, **how: Any) -> Ran | Finding:  # noqa: ANN401
    try:
        return runner.run(given, limit=limit, **how)
    except RunFailed as failure:
        return replace(failure.finding, file=f"{case} (a crop)")


def _look(ran: Ran, case: str, expected: Expected) -> list[Finding]:
    """Return what would be said of the output if it were a team's file."""
    return list(examine(encode_npy(ran.output), f"{case} (a crop)", expected).findings)


def _decibels(ran: Ran, reference: Pixels, protocol: Protocol) -> float:
    target = to_target(reference, protocol)
    output = to_working(Pixels(ran.output, peak_of(ran.output.dtype)), target.peak, protocol).image
    wanted = target.array.astype(np.float64)
    score = metrics.evaluate("psnr.f64", output=output, reference=wanted, peak=target.peak)
    return math.inf if score.value is None else score.value


def compare_artefacts(quality: Ran, latency: Ran, file: str) -> list[Finding]:
    """Return what is wrong if a model's two artefacts do not give the same on one image: that they are two models."""
    a, b = (r.output.astype(np.float64) / peak_of(r.output.dtype) for r in (quality, latency))
    if a.shape != b.shape:
        got = f"shapes {quality.output.shape} and {latency.output.shape}"
    else:
        error = float(np.mean((a - b) ** 2))
        level = math.inf if error == 0 else -10 * math.log10(error)
        if level >= _AGREE_DB:
            return []
        got = f"a PSNR of {level:.1f} dB between them on the same crop"
    fix = "The runtime is measured with one and the quality with the other: they must be the same network."
    return [Finding.error("artefacts-differ", file, "the output of the quality artefact", got, fix)]


def _alternatives(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return other contracts that people mean: colours swapped, another range, axes swapped."""
    if not model:
        return []
    found: list[dict[str, Any]] = [{"colour": "BGR" if model["colour"] == "RGB" else "RGB"}]
    declared = tuple(model["range"])
    if model["dtype"] != "uint8":
        found += [{"range": list(r), "output_range": list(r)} for r in _RANGES if r != declared]
    if model["layout"] != "flat":
        found.append({"layout": "NCHW" if model["layout"] == "NHWC" else "NHWC"})
    return found


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
