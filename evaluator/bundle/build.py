"""Write a Codabench bundle of a task: a folder to look at and edit, and the zip file to upload."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

import evaluator
from evaluator import metrics
from evaluator._version import __version__
from evaluator.bundle.competition import (
    TITLE_LENGTH,
    BundleTask,
    Competition,
    Leaderboard,
    Page,
    Phase,
    Settings,
    columns_of,
    date_text,
)
from evaluator.bundle.program import CACHE, DATA, SETTINGS, TASK, WEIGHTS, environment
from evaluator.findings import EvaluatorError
from evaluator.images import encode_png
from evaluator.ingest import baselines_folder
from evaluator.metrics import State
from evaluator.remote import Url
from evaluator.tasks import Split, load_task
from evaluator.tasks.rules import MEAN_RANK
from evaluator.tasks.spec import GeneratedSplit, TaskSpec

PROGRAM, REFERENCE, KIT = "scoring_program", "reference_data", "starting_kit"
COMMAND = "python3 /app/program/score.py /app/input /app/output"
"""The paths are those at which Codabench's worker mounts its folders."""
_DISTRIBUTION = "restoration-evaluator"
_PACKAGE = Path(evaluator.__file__).parent
_PAGES = {"Overview": "overview.md", "Evaluation": "evaluation.md", "Submit": "submit.md"}
_LEAST_S, _S_PER_MEGAPIXEL = 600, 10
"""Time limit of a submission: far above what scoring takes, for a stuck one is to be ended and no other."""
_PROBE = 256
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """What was written."""

    folder: Path
    archive: Path
    """The folder's content, to be uploaded."""
    competition: Competition
    left_out: dict[str, str]
    """Metrics of the task without a column → why."""
    docker_image: str
    given_image: bool
    """Whether the image was named; else it is Python's own, and the first thing done in it is to install."""


def build_bundle(
    task: str | Path,
    out: Path,
    *,
    split: str | None = None,
    data: Path | Url | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    docker_image: str | None = None,
) -> Bundle:
    """Write a Codabench bundle to the folder `out`, and `out` with `.zip` added.

    Args:
        task: as for `load_task`.
        out: a folder that does not exist or is empty.
        split: the split; None means the task's official one.
        data: the folder that holds data sets, with the references.
        start: when submissions are accepted from, in UTC; None: from today on.
        end: until when; None: for ever.
        docker_image: an image with Python 3.11 or newer and the packages of `requirements.txt`; None means Python's
            own image, into which they are installed before each scoring.

    Returns:
        What was written.

    Raises:
        EvaluatorError: no such task or split, its data is not here or not whole, the ranking rests on something that
            cannot be computed here, the dates make no sense, or `out` holds something.
    """
    loaded = load_task(task)
    if not out.name:
        raise EvaluatorError(f"{out} has no name that .zip could be added to. Name a folder to be made.")
    archive = out.with_name(f"{out.name}.zip")
    if (out.exists() and (not out.is_dir() or any(out.iterdir()))) or archive.exists():
        raise EvaluatorError(f"{out} or {archive} is there already; nothing was written. Name another folder.")
    opened = loaded.split(split, data)
    spec = loaded.spec
    left_out = _cannot_compute(spec.metrics)
    for name in spec.ranking.by:
        if name in left_out:
            raise EvaluatorError(f"{loaded.id} is ranked by {name}, which cannot be computed here: {left_out[name]}.")
    columns = columns_of(spec, list(left_out))
    _check_rule(spec, {name for name, _ in columns})
    image = docker_image or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    settings = Settings(
        task=f"{TASK}/{Path(task).name}" if str(task).endswith(".toml") else loaded.id,
        split=opened.name,
        evaluator=__version__,
        dataset=opened.digest,
        rules=loaded.rules_digest(),
        columns={column.key: name for name, column in columns},
        ranking=spec.ranking.by,
    )
    try:
        competition = _competition(opened, columns, start or _today(), end, image)
    except ValidationError as error:
        raise EvaluatorError(f"The bundle cannot be written: {error.errors()[0]['msg']}.") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        work = Path(name) / "bundle"
        work.mkdir()
        _write_texts(work, opened, competition, settings, left_out)
        (work / "logo.png").write_bytes(encode_png(_logo()))
        _write_program(work / PROGRAM, [m for m in spec.metrics if m not in left_out])
        _write_reference(work / REFERENCE, opened, settings, Path(task))
        _zip(work, Path(name) / "bundle.zip")
        if out.exists():
            out.rmdir()
        work.rename(out)
        (Path(name) / "bundle.zip").rename(archive)
    return Bundle(out, archive, competition, left_out, image, docker_image is not None)


def _check_rule(spec: TaskSpec, known: Container[str]) -> None:
    """Check that Codabench can rank as the task does: by one column after the other, of numbers that outputs have."""
    if spec.ranking.method == MEAN_RANK:
        raise EvaluatorError(f"{spec.id} is ranked by the mean of ranks, which Codabench cannot do.")
    for name in spec.ranking.names:
        if name not in known:
            raise EvaluatorError(f"{spec.id} is ranked by {name}, which uploaded outputs alone do not have.")


def _today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _cannot_compute(ids: Sequence[str]) -> dict[str, str]:
    """Return the metrics that cannot be carried along, with why; the others are tried on a small pair."""
    random = np.random.default_rng(0)
    pair = random.uniform(0, 255, (2, _PROBE, _PROBE, 3))
    found = {}
    for name in ids:
        if metrics.is_further(name):
            found[name] = "pyiqa's weights are not carried along"
            continue
        score = metrics.evaluate(name, output=pair[0], reference=pair[1], peak=255)
        if score.state is State.UNAVAILABLE:
            found[name] = score.detail.rstrip(".")
    return found


def _competition(
    split: Split, columns: Sequence[Any], start: datetime, end: datetime | None, image: str
) -> Competition:
    spec = split.task.spec
    split_spec = spec.splits[split.name]
    phase = Phase(
        index=0,
        name=split.name,
        description=split_spec.title,
        start=date_text(start),
        end=date_text(end) if end else None,
        execution_time_limit=max(_LEAST_S, round(_S_PER_MEGAPIXEL * split.pixels / 1e6)),
        starting_kit=KIT,
        tasks=(0,),
    )
    return Competition(
        title=spec.title,
        description=spec.description,
        image="logo.png",
        terms="pages/terms.md",
        docker_image=image,
        pages=tuple(Page(title=title, file=f"pages/{file}") for title, file in _PAGES.items()),
        phases=(phase,),
        tasks=(
            BundleTask(
                index=0,
                name=f"{spec.id}/{split.name}"[:TITLE_LENGTH],
                description=split_spec.title,
                scoring_program=PROGRAM,
                reference_data=REFERENCE,
            ),
        ),
        leaderboards=(
            Leaderboard(
                index=0,
                title=f"{spec.id}/{split.name}"[:TITLE_LENGTH],
                key="main",
                columns=tuple(column for _, column in columns),
            ),
        ),
    )


def _write_texts(
    work: Path, split: Split, competition: Competition, settings: Settings, left_out: dict[str, str]
) -> None:
    import yaml

    text = yaml.safe_dump(competition.plain(), sort_keys=False, allow_unicode=True, width=120)
    (work / "competition.yaml").write_text(text, encoding="utf-8")
    spec = split.task.spec
    values: dict[str, Any] = {
        "spec": spec,
        "split": split,
        "about": spec.splits[split.name],
        "generated": isinstance(spec.splits[split.name], GeneratedSplit),
        "contracts": [metrics.get(m).contract for m in spec.metrics if m not in left_out],
        "scores": [s for s in spec.scores if s.id in settings.columns.values()],
        "left_out": left_out,
        "columns": settings.columns,
        "task_option": settings.task.rpartition("/")[2],
        "own": settings.task.endswith(".toml"),
    }
    made = environment(html=False)
    for name in (*_PAGES.values(), "terms.md"):
        _put(work / "pages" / name, made.get_template(name).render(values))
    _put(work / KIT / "README.md", made.get_template("starting_kit.md").render(values))


def _write_program(folder: Path, ids: Sequence[str]) -> None:
    """Write the scoring program: the harness as it is here, so that its digits depend on no other that is installed."""
    folder.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc", "_baselines", "_published")
    shutil.copytree(_PACKAGE, folder / "evaluator", ignore=skip)
    shutil.copytree(baselines_folder(), folder / "evaluator" / "_baselines", ignore=skip)
    shutil.copyfile(_PACKAGE / "cli" / "scoring_program.py", folder / "score.py")
    _put(folder / "metadata.yaml", f"command: {COMMAND}\n")
    _put(folder / "requirements.txt", "".join(f"{line}\n" for line in requirements(ids)))
    python = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    _put(folder / "Dockerfile", environment(html=False).get_template("Dockerfile").render(python=python))


def requirements(ids: Sequence[str]) -> list[str]:
    """Return the packages that scoring with these metrics needs, pinned to the versions that are installed here."""
    extra = "torch" if any(m.startswith("lpips") for m in ids) else None
    names = [name for name in _declared(extra) if _is_installed(name)]  # the metrics were tried with these
    # A build tag (+cpu) names a wheel of one index alone.
    return sorted({f"{n}=={metadata.version(n).partition('+')[0]}" for n in names}, key=str.lower)


def _is_installed(name: str) -> bool:
    return any(True for _ in metadata.Distribution.discover(name=name))


def _declared(extra: str | None) -> list[str]:
    """Return the names of the packages that the harness depends on, with those of an extra."""
    project = _PACKAGE.parent / "pyproject.toml"
    if project.is_file():  # a checkout, which may have moved on since it was installed
        found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        lines = [*found["dependencies"], *(found["optional-dependencies"][extra] if extra else ())]
    else:
        lines = []
        for line in metadata.requires(_DISTRIBUTION) or []:
            marker = re.search(r"extra\s*==\s*['\"]([\w-]+)", line)
            if marker is None or marker[1] == extra:
                lines.append(line)
    return [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9._-]+", line))]


def _write_reference(folder: Path, split: Split, settings: Settings, task_file: Path) -> None:
    """Write what the split is read from, and what names it."""
    spec = split.task.split_spec(split.name)
    reader = split.reader
    if isinstance(spec, GeneratedSplit):
        target = folder / CACHE / "mini" / reader.folder.name
    else:
        target = folder / DATA / spec.folders[0]
    for name in reader.files():
        _copy(reader.folder / name, target / name)
    for weights in metrics.known_weights():
        file = metrics.weights.locate(weights) if any(weights.serves(m) for m in split.task.spec.metrics) else None
        if file is not None:
            _copy(file, folder / WEIGHTS / file.name)
    if settings.task.endswith(".toml"):
        _copy(task_file, folder / settings.task)
        if spec.manifest is not None:
            _copy(split.task.folder / spec.manifest, folder / TASK / spec.manifest)
    _put(folder / SETTINGS, settings.model_dump_json(indent=2) + "\n")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise EvaluatorError(f"{source} cannot be copied into the bundle ({error.strerror}).") from None


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _zip(folder: Path, target: Path) -> None:
    """Write a folder's content as a zip file, byte for byte the same for the same content."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as into, path.open("rb") as source:
                shutil.copyfileobj(source, into, 1 << 20)


def _logo() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the competition's picture: a disc, noisy on the left, restored on the right, `(256, 256, 3)`."""
    rows, columns = np.mgrid[-1:1:256j, -1:1:256j]
    disc = np.where(np.hypot(rows, columns) < 0.7, 200.0 - 60 * rows, 40.0)
    noise = np.random.default_rng(0).normal(0, 45, disc.shape) * (columns < 0)
    gray = np.clip(disc + noise, 0, 255)
    return np.stack([gray * 0.7, gray * 0.85, gray], axis=2).astype(np.uint8)
