"""Tasks and splits: find a task file, open one of its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError, Finding, did_you_mean
from evaluator.images import Pixels
from evaluator.metrics.sharp_region import combined_view
from evaluator.remote import Remote, Url
from evaluator.tasks.data import DataRoot, cache_folder, config_file, find_root
from evaluator.tasks.manifests import manifest_digest, parse_manifest
from evaluator.tasks.readers import BlocksReader, FilesReader, GeneratedReader, Mirror, Reader, RemoteReader
from evaluator.tasks.readers.files import has_match
from evaluator.tasks.readers.remote import search
from evaluator.tasks.spec import BlocksSplit, FilesSplit, GeneratedSplit, SplitSpec, TaskSpec
from evaluator.typed_toml import parse_toml

DEFINITIONS = Path(__file__).parent / "definitions"


@dataclass(frozen=True)
class Split:
    """One set of cases of a task, open for reading. Cheap to pickle: readers open files only when asked."""

    task: Task
    name: str
    reader: Reader

    @cached_property
    def case_ids(self) -> tuple[str, ...]:
        """The ids of all cases, in order.

        Raises:
            EvaluatorError: files are missing.
        """
        return tuple(self.reader.case_ids())

    @cached_property
    def case_numbers(self) -> Mapping[str, int]:
        """The place of every case in `case_ids`, by its id."""
        return {case: number for number, case in enumerate(self.case_ids)}

    @cached_property
    def digest(self) -> str:
        """The data set's digest."""
        return self.reader.digest()

    @cached_property
    def pixels(self) -> int:
        """Height × width of all cases together, if all are as large as the first."""
        size = self.task.split_spec(self.name).size
        if size is None:
            height, width, _ = self.target(self.case_ids[0]).array.shape
            size = width, height
        return len(self.case_ids) * size[0] * size[1]

    @cached_property
    def has_references(self) -> bool:
        """Whether outputs are compared with anything."""
        spec = self.task.split_spec(self.name)
        if isinstance(spec, GeneratedSplit):
            return self.reader.reference(self.case_ids[0]) is not None
        return spec.references is not None

    def inputs(self, case_id: str) -> dict[str, Pixels]:
        """Return what a method is given for a case, by role; `input` is always among them.

        Of dual-pixel pairs, `input` is the mean of `left` and `right`: what the camera would have shown.
        """
        found = self.reader.inputs(case_id)
        if "input" not in found:
            left, right = found["left"], found["right"]
            mean = combined_view(left.array, right.array)
            integers = left.kind != "float"
            found["input"] = Pixels((np.rint(mean) if integers else mean).astype(left.array.dtype), left.peak)
        return found

    def input(self, case_id: str) -> Pixels:
        """Return the input of a case that is looked at, `(H, W, C)`; see `inputs`."""
        return self.inputs(case_id)["input"]

    def mask(self, case_id: str) -> NDArray[np.bool_] | None:
        """Return where the input of a case is in focus, `(H, W)`; None where that is not known."""
        return self.reader.mask(case_id)

    def group(self, case_id: str) -> str:
        """Return the group of a case, whose mean is published beside that of all; empty if there are none."""
        return self.reader.group(case_id)

    def reference(self, case_id: str) -> Pixels | None:
        """Return what outputs are compared with, `(H, W, C)`; None where there is nothing.

        Raises:
            EvaluatorError: it is not of the size or bit depth that the task file states.
        """
        pixels = self.reader.reference(case_id)
        return None if pixels is None else self._checked(case_id, pixels)

    def target(self, case_id: str) -> Pixels:
        """Return what outputs must have the size of: the reference, or the input where there is none.

        Raises:
            EvaluatorError: it is not of the size or bit depth that the task file states.
        """
        reference = self.reference(case_id)
        return self._checked(case_id, self.input(case_id)) if reference is None else reference

    def _checked(self, case_id: str, pixels: Pixels) -> Pixels:
        protocol = self.task.spec.protocol
        size = self.task.split_spec(self.name).size
        found = (pixels.array.shape[1], pixels.array.shape[0])
        kind = "float" if protocol.tone_map else f"uint{protocol.bit_depth}"
        wanted = []
        if size is not None and found != size:
            wanted.append(("data-size", f"{size[0]}×{size[1]}", f"{found[0]}×{found[1]}"))
        if pixels.array.shape[2] != protocol.channels:
            wanted.append(("data-channels", f"{protocol.channels} channels", f"{pixels.array.shape[2]}"))
        if pixels.kind != kind:
            wanted.append(("data-depth", kind.replace("uint", "") + " bit", pixels.array.dtype.name))
        if wanted:
            fix = "Correct the task file, or get the right data."
            faults = [Finding.error(code, case_id, expected, got, fix) for code, expected, got in wanted]
            raise EvaluatorError(f"The reference of case {case_id} is not what the task says.", faults)
        return pixels

    def verify(self) -> list[Finding]:
        """Read every file and return what is wrong with the data set."""
        findings = self.reader.verify()
        for case in [] if findings else self.case_ids:
            try:
                self.target(case)
            except EvaluatorError as error:
                findings += error.findings
        return findings


@dataclass(frozen=True)
class Task:
    """A task: its typed definition and the folder that its file lies in."""

    spec: TaskSpec
    folder: Path

    @property
    def id(self) -> str:
        """The task's id."""
        return self.spec.id

    def rules_digest(self) -> str:
        """Return the sha256 of what changes numbers: protocol and metrics with their versions."""
        from evaluator import metrics

        versions = ",".join(f"{m}@{metrics.get(m).contract.version}" for m in self.spec.metrics)
        rules = self.spec.protocol.model_dump_json(exclude={"notes"}) + versions
        return hashlib.sha256(rules.encode()).hexdigest()

    def split(self, name: str | None = None, data: Path | Url | str | None = None) -> Split:
        """Open a split.

        Args:
            name: the split; None means the task's official one.
            data: the folder that holds data sets, or its URL; None means EVALUATOR_DATA or the user's config file.

        Raises:
            EvaluatorError: no such split, or its data is not on this machine.
        """
        chosen = name or self.spec.default_split
        spec = self.split_spec(chosen)
        if isinstance(spec, GeneratedSplit):
            manifest = self.manifest(spec)
            assert manifest is not None  # noqa: S101 - GeneratedSplit.manifest is not optional
            folder = cache_folder() / "mini" / f"{self.id}-{manifest_digest(manifest)[:16]}"
            return Split(self, chosen, GeneratedReader(spec.generator, folder, manifest))
        root = find_root(data)
        place = locate(spec, root) if root else None
        if place is None:
            raise EvaluatorError(self._not_here(chosen, spec, root))
        manifest = self.manifest(spec)
        folder = place if isinstance(place, Path) else Path()
        reader = FilesReader(spec, folder, manifest) if spec.reader == "files" else BlocksReader(spec, folder, manifest)
        if isinstance(place, Path):
            return Split(self, chosen, reader)
        return Split(self, chosen, RemoteReader(Mirror(place, _patterns(spec), manifest is not None), reader))

    def split_spec(self, name: str) -> SplitSpec:
        """Return a split's definition.

        Raises:
            EvaluatorError: the task has none of that name.
        """
        try:
            return self.spec.splits[name]
        except KeyError:
            hint = did_you_mean(name, self.spec.splits)
            raise EvaluatorError(
                f"Task {self.id} has no split {name!r}.{hint} It has: {', '.join(self.spec.splits)}."
            ) from None

    def manifest(self, spec: SplitSpec) -> Mapping[str, str] | None:
        """Return the sha256 manifest that ships with a split, if it has one."""
        if spec.manifest is None:
            return None
        file = self.folder / spec.manifest
        try:
            return parse_manifest(file.read_text(encoding="utf-8"), spec.manifest)
        except OSError as error:
            raise EvaluatorError(
                f"Task {self.id}: its manifest {file} cannot be read ({error.strerror}). "
                "Make it with sha256sum, or leave out the line manifest = … of the split."
            ) from None

    def _not_here(self, name: str, spec: SplitSpec, root: DataRoot | None) -> str:
        assert not isinstance(spec, GeneratedSplit)  # noqa: S101 - generated splits are always here
        if root:
            looked = " and ".join(str(_below(root.path, folder)) for folder in spec.folders)
            where = f"Looked for {' and '.join(wanted(spec))} in {looked} (data folder from {root.origin})."
        else:
            where = (
                f"No data folder is configured: --data is not given, EVALUATOR_DATA is not set, and {config_file()} "
                'has no line data = "DIR".'
            )
        others = [n for n, s in self.spec.splits.items() if isinstance(s, GeneratedSplit)]
        hint = f" Or use --split {others[0]}, which needs no data set." if others else ""
        return f"The data of {self.id}/{name} is not here. {where} Get it: {spec.get} ({spec.home}).{hint}"


def locate(spec: SplitSpec, root: DataRoot) -> Path | Url | None:
    """Return the folder below a data root in which a split's files lie, or None.

    Raises:
        EvaluatorError: the root is a URL whose store cannot be asked.
    """
    if isinstance(spec, GeneratedSplit):
        return None
    for name in spec.folders:
        place = _below(root.path, name)
        if isinstance(place, Path):
            found = all(has_match(place, pattern) for pattern in wanted(spec))
        else:
            remote = Remote(place)
            found = all(search(remote, pattern) for pattern in wanted(spec))
        if found:
            return place
    return None


def _below(root: Path | Url, folder: str) -> Path | Url:
    return root / folder if isinstance(root, Path) else root.child(folder)


def _patterns(spec: FilesSplit | BlocksSplit) -> tuple[str, ...]:
    """Return the patterns of all files that a split is read from."""
    if not isinstance(spec, FilesSplit):
        return tuple(wanted(spec))
    listed = [*spec.groups.values(), *([spec.select.file] if spec.select else [])]
    return (*(pattern for patterns in spec.roles().values() for pattern in patterns), *listed)


def wanted(spec: FilesSplit | BlocksSplit) -> list[str]:
    """Return a pattern for each role of the files of a split."""
    if isinstance(spec, FilesSplit):
        return [patterns[0] for patterns in spec.roles().values()]
    return [name for name in (spec.inputs, spec.references) if name is not None]


def task_ids() -> list[str]:
    """Return the ids of the tasks that ship with the harness."""
    return sorted(file.stem for file in DEFINITIONS.glob("*.toml"))


def load_task(name: str | Path) -> Task:
    """Load a task by id, or from a TOML file of one's own.

    Args:
        name: an id such as `sidd`, or a path that ends with `.toml`.

    Raises:
        EvaluatorError: no such task, or a file that does not say what a task must say.
    """
    own = str(name).endswith(".toml")
    file = Path(name) if own else DEFINITIONS / f"{name}.toml"
    if not own and name not in task_ids():
        hint = did_you_mean(str(name), task_ids())
        known = ", ".join(task_ids())
        raise EvaluatorError(f"There is no task {str(name)!r}.{hint} Known: {known}; or name a task file, FILE.toml.")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise EvaluatorError(f"The task file {file} cannot be read ({error.strerror}).") from None
    spec, findings = parse_toml(TaskSpec, data, str(file), "task-file")
    if spec is None:
        raise EvaluatorError(f"The task file {file} cannot be used.", findings)
    if own and spec.id in task_ids() and file.resolve().parent != DEFINITIONS.resolve():
        raise EvaluatorError(
            f"The task file {file} has the id {spec.id!r} of a task that ships with the harness: "
            "their results would be mixed. Give it an id of its own."
        )
    return Task(spec, file.parent)
