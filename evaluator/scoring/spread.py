"""Every variant of every metric for one pair of images, or for two folders: why is my number different?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluator import metrics
from evaluator.findings import EvaluatorError, Finding, Severity
from evaluator.images import SUFFIXES, Header, ImageProblem, Pixels
from evaluator.ingest import Expected, judge, suspect_range
from evaluator.metrics import Aggregate, Score
from evaluator.runners import Failed, Reception, Stopped, Workers, decode, stopped_finding
from evaluator.tasks import Limits, Protocol


@dataclass(frozen=True)
class Spread:
    """Every metric of an image, or over the images of a folder, and what `check` would warn of in them."""

    metrics: dict[str, Aggregate]
    findings: tuple[Finding, ...]


def spread(output: Path, reference: Path | None = None, metric_ids: Sequence[str] | None = None) -> Spread:
    """Compute every metric of an image, or the mean over a folder of images.

    Args:
        output: an image file, or a folder of them.
        reference: the same; files of two folders are matched by name without suffix. Without it, only metrics that
            need no reference have a value.
        metric_ids: these metrics only, `pyiqa:NAME` among them; all of the harness's own if not given.

    Returns:
        One aggregate a metric, without a value where the metric is not applicable or something it needs is missing;
        and the warnings: another depth, lossy files, values of another scale.

    Raises:
        EvaluatorError: a file cannot be read, has no partner, or has another size than its reference; an unknown id.
    """
    wanted = metrics.ids() if metric_ids is None else metric_ids
    contracts = {metric: metrics.get(metric).contract for metric in wanted}
    pairs = matched(output, reference)
    scores: dict[str, list[Score]] = {metric: [] for metric in wanted}
    findings: list[Finding] = []
    with Reception(Limits()) as reception:
        workers = reception.workers()
        for out_file, ref_file in pairs.values():
            out, header = read_pixels(out_file, workers)
            ref, target = (None, header) if ref_file is None else read_pixels(ref_file, workers)
            for metric, score in _spread_pair(out, ref, (out_file, ref_file), wanted).items():
                scores[metric].append(score)
            depth: Literal[8, 16] = 16 if target.dtype == "uint16" else 8
            protocol = Protocol(channels=1 if target.channels == 1 else 3, bit_depth=depth)
            expected = Expected.of(target.height, target.width, protocol)
            findings += [*judge(header, out_file.name, expected), *suspect_range(out, out_file.name, expected.white)]
    found = {m: metrics.aggregate(contracts[m], each, "unranked") for m, each in scores.items()}
    return Spread(found, tuple(f for f in findings if f.severity is not Severity.ERROR))


def _spread_pair(
    out: Pixels, ref: Pixels | None, files: tuple[Path, Path | None], metric_ids: Sequence[str]
) -> dict[str, Score]:
    peak = out.peak if ref is None else ref.peak
    image = np.ascontiguousarray(out.array, dtype=np.float64) * (peak / out.peak)
    target = None if ref is None else np.ascontiguousarray(ref.array, dtype=np.float64)
    if target is not None and target.shape != image.shape:
        fix = "Nothing is resized, cropped or converted."
        finding = Finding.error("size", str(files[0]), f"{_size(target)} as {files[1]}", _size(image), fix)
        raise EvaluatorError("Output and reference are images of different shapes.", [finding])
    prepared: dict[Any, Any] = {}
    return {
        metric: metrics.evaluate(metric, output=image, reference=target, peak=peak, prepared=prepared)
        for metric in metric_ids
    }


def _size(image: np.ndarray[Any, Any]) -> str:
    return f"{image.shape[1]}×{image.shape[0]} with {image.shape[2]} channel{'s' if image.shape[2] > 1 else ''}"


def read_pixels(path: Path, workers: Workers) -> tuple[Pixels, Header]:
    """Have an image without alpha decoded.

    Raises:
        EvaluatorError: it cannot be read, or is no such image.
    """
    try:
        pixels, header = decode(path.read_bytes(), workers)
        if header.alpha:
            raise ImageProblem("alpha", expected="no alpha channel", got="one", fix="Save it without transparency.")
    except ImageProblem as problem:
        finding = Finding.error(problem.code, str(path), problem.expected, problem.got, problem.fix)
        raise EvaluatorError(f"{path} cannot be used.", [finding]) from None
    except (Stopped, Failed) as reason:
        raise EvaluatorError(f"{path} cannot be used.", [stopped_finding(str(path), reason)]) from None
    except OSError as error:
        raise EvaluatorError(f"{path} cannot be read ({error.strerror}).") from None
    return pixels, header


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
