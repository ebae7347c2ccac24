"""Every variant of every metric for one pair of images, or for two folders: why is my number different?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluator import metrics
from evaluator.findings import EvaluatorError, Finding, Severity
from evaluator.images import SUFFIXES, ImageProblem, Pixels, inspect, read_image
from evaluator.ingest import Expected, FolderSource, read_output
from evaluator.metrics import Aggregate, Score
from evaluator.tasks import Protocol


def spread(
    output: Path, reference: Path | None = None, metric_ids: Sequence[str] | None = None
) -> dict[str, Aggregate]:
    """Return every metric of an image, or the mean over a folder of images, by metric id.

    Args:
        output: an image file, or a folder of them.
        reference: the same; files of two folders are matched by name without suffix. Without it, only metrics that
            need no reference have a value.
        metric_ids: these metrics only, `pyiqa:NAME` among them; all of the harness's own if not given.

    Returns:
        One aggregate a metric; without a value where the metric is not applicable or something it needs is missing.

    Raises:
        EvaluatorError: a file cannot be read, has no partner, or has another size than its reference; an unknown id.
    """
    wanted = metrics.ids() if metric_ids is None else metric_ids
    contracts = {metric: metrics.get(metric).contract for metric in wanted}
    pairs = matched(output, reference)
    scores: dict[str, list[Score]] = {metric: [] for metric in wanted}
    for out_file, ref_file in pairs.values():
        for metric, score in _spread_pair(out_file, ref_file, wanted).items():
            scores[metric].append(score)
    return {m: metrics.aggregate(contracts[m], found, "unranked") for m, found in scores.items()}


def input_findings(output: Path, reference: Path | None = None) -> list[Finding]:
    """Return what `check` would warn of in these outputs: another depth, lossy files, values of another scale.

    Arguments and errors as for `spread`.
    """
    findings: list[Finding] = []
    for out_file, ref_file in matched(output, reference).values():
        header = inspect(out_file.read_bytes())
        target = header if ref_file is None else inspect(ref_file.read_bytes())
        protocol = Protocol(channels=1 if target.channels == 1 else 3, bit_depth=16 if target.dtype == "uint16" else 8)
        expected = Expected(target.height, target.width, protocol)
        findings += read_output(FolderSource(out_file.parent), out_file.name, expected).findings
    return [f for f in findings if f.severity is not Severity.ERROR]


def _spread_pair(output: Path, reference: Path | None, metric_ids: Sequence[str]) -> dict[str, Score]:
    out = read_pixels(output)
    ref = None if reference is None else read_pixels(reference)
    peak = out.peak if ref is None else ref.peak
    image = np.ascontiguousarray(out.array, dtype=np.float64) * (peak / out.peak)
    target = None if ref is None else np.ascontiguousarray(ref.array, dtype=np.float64)
    if target is not None and target.shape != image.shape:
        finding = Finding.error(
            "size",
            str(output),
            f"{_size(target)} as {reference}",
            _size(image),
            "Nothing is resized, cropped or converted.",
        )
        raise EvaluatorError("Output and reference are images of different shapes.", [finding])
    prepared: dict[Any, Any] = {}
    return {
        metric: metrics.evaluate(metric, output=image, reference=target, peak=peak, prepared=prepared)
        for metric in metric_ids
    }


def _size(image: np.ndarray[Any, Any]) -> str:
    return f"{image.shape[1]}×{image.shape[0]} with {image.shape[2]} channel{'s' if image.shape[2] > 1 else ''}"


def read_pixels(path: Path) -> Pixels:
    """Read an image without alpha.

    Raises:
        EvaluatorError: it cannot be read, or is no such image.
    """
    try:
        if inspect(path.read_bytes()).alpha:
            raise ImageProblem("alpha", expected="no alpha channel", got="one", fix="Save it without transparency.")
        return read_image(path)
    except ImageProblem as problem:
        finding = Finding.error(problem.code, str(path), problem.expected, problem.got, problem.fix)
        raise EvaluatorError(f"{path} cannot be used.", [finding]) from None
    except OSError as error:
        raise EvaluatorError(f"{path} cannot be read ({error.strerror}).") from None


def matched(output: Path, reference: Path | None) -> Mapping[str, tuple[Path, Path | None]]:
    """Pair two files, or the images of two folders by name without suffix; the second may be absent altogether.

    Raises:
        EvaluatorError: a file without a partner, an empty folder, or a file set against a folder.
    """
    if not output.is_dir():
        if reference is not None and reference.is_dir():
            raise EvaluatorError(f"{reference} is a folder and {output} is not: give two files or two folders.")
        return {output.name: (output, reference)}
    outputs = _images(output)
    if not outputs:
        raise EvaluatorError(f"{output} holds no image ({', '.join(SUFFIXES)}).")
    if reference is None:
        return {name: (path, None) for name, path in outputs.items()}
    if not reference.is_dir():
        raise EvaluatorError(f"{output} is a folder and {reference} is not: give two files or two folders.")
    references = _images(reference)
    lonely = [
        Finding.error("missing-partner", str(here[n]), f"an image of that name in {there}", "none", "Match the names.")
        for here, there, other in ((outputs, reference, references), (references, output, outputs))
        for n in sorted(set(here) - set(other))
    ]
    if lonely:
        raise EvaluatorError("The two folders do not hold the same names.", lonely)
    return {name: (path, references[name]) for name, path in outputs.items()}


def _images(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise EvaluatorError(
                    f"{folder} holds two images named {path.stem}: {found[path.stem].name}, {path.name}."
                )
            found[path.stem] = path
    return found
