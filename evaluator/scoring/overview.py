"""All baselines on several tasks, in one table: scores, run times, costs of networks, and why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evaluator import metrics
from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder
from evaluator.metrics import Contract, State
from evaluator.results import Scorecard, Store
from evaluator.scoring.engine import Outcome
from evaluator.tasks import Split

NOT_INSTALLED = "not installed"
NOT_RUN = "not run"
OTHER_INPUTS = "other inputs"
OTHER_TASKS = "other tasks"
NEEDS_REFERENCES = "needs references"
NEEDS_WEIGHTS = "needs weights"
FAILED = "failed"
NO_WEIGHTS = "no weights"

ONE_IMAGE, TWO_VIEWS = "One image", "Two views"

Size = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """One baseline on one task."""

    value: float | None = None
    text: str = "–"
    """The score as the task's boards print it."""
    seconds: float | None = None
    """Per megapixel."""
    reason: str = ""
    """Why there is no score; one of the names above."""
    detail: str = ""
    """More of the reason, in words."""


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs that has no weights, and so no score."""

    parameters: int | None
    """None if it was not counted."""
    macs: Mapping[Size, int]
    """Multiply-accumulates by height and width of the input; sizes that were counted without a gap."""


@dataclass(frozen=True)
class Overview:
    """Baselines × tasks."""

    split: str
    heads: Mapping[str, str]
    """Of each task, the metric that ranks first, with its direction."""
    methods: Mapping[str, str]
    entries: Mapping[str, Mapping[str, Entry]]
    """By baseline and task."""
    groups: Mapping[str, Sequence[str]]
    """Tasks by what they give: one image or two views."""
    networks: Mapping[str, NetworkCost]
    sizes: Sequence[Size]
    """At which the tasks' boards show costs, height and width."""

    def rows(self, tasks: Sequence[str] = ()) -> Iterator[tuple[str, str, tuple[Entry, ...]]]:
        """Yield each baseline that is for one of some tasks (all): its name, its method, its entries in their order."""
        for name, found in self.entries.items():
            entries = tuple(found[task] for task in tasks or self.heads)
            if any(e.reason != OTHER_TASKS for e in entries):
                yield name, self.methods[name], entries

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "split": self.split,
            "metrics": dict(self.heads),
            "baselines": {
                name: {
                    task: {"score": e.value, "s_per_megapixel": e.seconds, "missing": e.reason, "detail": e.detail}
                    for task, e in found.items()
                }
                for name, found in self.entries.items()
            },
            "networks": {
                name: {
                    "parameters": cost.parameters,
                    "macs": {f"{height}x{width}": cost.macs.get((height, width)) for height, width in self.sizes},
                    "missing": NO_WEIGHTS,
                }
                for name, cost in self.networks.items()
            },
        }

    def missing(self) -> list[str]:
        """Return a line for each reason that stands in the table with words of its own."""
        said: dict[str, list[str]] = {}
        for name, found in self.entries.items():
            for entry in found.values():
                line = f"{entry.reason}: {entry.detail}"
                if entry.detail and name not in said.setdefault(line, []):
                    said[line].append(name)
        return [f"{', '.join(names)} – {line}" for line, names in said.items()]


class Runner(Protocol):
    """Scores baselines on a split; see `evaluator.scoring.score`."""

    def __call__(self, paths: Sequence[Path], split: Split) -> Sequence[Outcome]:
        """Write their scorecards."""
        ...


def all_baselines() -> list[str]:
    """Return the names of the baselines, the input itself first."""
    return sorted(baseline_names(), key=lambda name: (name != "identity", name))


def scoreable_baselines() -> list[str]:
    """Return the names of the baselines that give outputs, the input itself first."""
    return [name for name in all_baselines() if baseline_manifest(name).has_weights]


def overview(
    splits: Sequence[Split], names: Sequence[str], store: Store, run: Runner | None = None, *, every: bool = True
) -> Overview:
    """Return the table of the scorecards and counts that there are.

    Args:
        splits: the columns, opened; all of one name.
        names: the rows; networks without weights are listed with their costs.
        store: where scorecards and costs lie.
        run: scores what has no scorecard yet; None: it is left out.
        every: run each baseline on each task; else on those that it says it is for.

    Raises:
        EvaluatorError: a data set is at fault, or a scorecard is damaged.
    """
    networks = [name for name in names if not baseline_manifest(name).has_weights]
    names = [name for name in names if name not in networks]
    entries: dict[str, dict[str, Entry]] = {name: {} for name in names}
    heads = {}
    groups: dict[str, list[str]] = {ONE_IMAGE: [], TWO_VIEWS: []}
    for split in splits:
        contract = metrics.get(split.task.spec.lead_metric()).contract
        heads[split.task.id] = f"{contract.id} {'↑' if contract.direction == 'higher' else '↓'}"
        roles = set(split.inputs(split.case_ids[0]))
        groups[TWO_VIEWS if {"left", "right"} <= roles else ONE_IMAGE].append(split.task.id)
        refused = {} if every else _other_tasks(split.task.id, names)
        refused |= _other_inputs(roles, [name for name in names if name not in refused])
        known = _cards(split, store)
        left = [baselines_folder() / name for name in names if name not in refused and name not in known]
        if run is not None and left:
            for outcome in run(left, split):
                if outcome.card is None:
                    refused[outcome.path.name] = _refusal(outcome)
            known = _cards(split, store)
        for name in names:
            found = _entry(known[name], contract) if name in known else refused.get(name) or _not_run(name)
            entries[name][split.task.id] = found
    methods = {name: baseline_manifest(name).method or name for name in names}
    sizes = sorted({split.task.spec.cost.size for split in splits}, key=lambda size: size[0] * size[1])
    costs = {name: _network_cost(name, [split.task.id for split in splits], store) for name in networks}
    return Overview(
        splits[0].name, heads, methods, entries, {g: tasks for g, tasks in groups.items() if tasks}, costs, sizes
    )


def _network_cost(name: str, tasks: Sequence[str], store: Store) -> NetworkCost:
    records = [record for task in tasks if (record := store.read_cost(task, name)) is not None]
    counts = [counts for record in records for counts in record.counts if counts.complete]
    parameters = next((record.parameters for record in records if record.parameters is not None), None)
    return NetworkCost(parameters, {c.input: c.macs for c in counts})


def _other_tasks(task: str, names: Sequence[str]) -> dict[str, Entry]:
    tasks = {name: baseline_manifest(name).baseline.tasks for name in names}
    return {name: Entry(reason=OTHER_TASKS) for name in names if tasks[name] and task not in tasks[name]}


def _not_run(name: str) -> Entry:
    return Entry(reason=NOT_RUN, detail="slow" if baseline_manifest(name).baseline.by_name else "")


def _other_inputs(roles: set[str], names: Sequence[str]) -> dict[str, Entry]:
    found = {}
    for name in names:
        python = baseline_manifest(name).python
        wanted = python.inputs if python is not None else ("input",)
        if not roles.issuperset(wanted):
            found[name] = Entry(reason=OTHER_INPUTS, detail=f"it takes {' and '.join(wanted)}")
    return found


def _cards(split: Split, store: Store) -> dict[str, Scorecard]:
    rules = split.task.rules_digest()
    cards = store.read(split.task.id, split.name)
    return {
        c.submission.id: c
        for c in cards
        if c.submission.baseline and c.rules_digest == rules and c.dataset.digest == split.digest
    }


def _entry(card: Scorecard, contract: Contract) -> Entry:
    result = card.metrics[contract.id]
    if result.value is not None:
        seconds = card.runtime.s_per_megapixel if card.runtime else None
        return Entry(result.value, f"{result.value:.{contract.decimals}f}", seconds)
    if result.state is State.UNAVAILABLE:
        return Entry(reason=NEEDS_WEIGHTS, detail=result.detail)
    if result.state is State.NOT_APPLICABLE:
        return Entry(reason=NEEDS_REFERENCES, detail=result.detail)
    return Entry(reason=FAILED, detail=next((f.got for f in card.findings if f.severity == "error"), ""))


def _refusal(outcome: Outcome) -> Entry:
    load = next((f for f in outcome.findings if f.code in ("model-load", "model-missing-runtime")), None)
    if load is None:
        return Entry(reason=FAILED, detail=outcome.message)
    missing = load.got.startswith(("ImportError", "ModuleNotFoundError"))
    return Entry(reason=NOT_INSTALLED if missing else FAILED, detail=load.got.partition(": ")[2] or load.got)
