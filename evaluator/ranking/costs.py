"""What models cost, as cells and columns of a board, at the one input size that the task shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from evaluator.efficiency import Cost, PhoneRun, Timing
from evaluator.efficiency.cost import OUT_OF_MEMORY
from evaluator.metrics import State
from evaluator.ranking.cells import Cell, Column
from evaluator.results import Scorecard
from evaluator.tasks.costs import CostRules, size_text

FAILED = "×"
NOT_MEASURED = "–"
OTHER_VERSION = "measured on another version: profile it again"
MACS = "multiply-accumulates of convolutions, dense layers, matrix products and attention; biases left out"
_BOUND = "operators without a rule make up a thousandth of its output or more, and count nothing"
_HIDDEN = ("cost.flops", "cost.tf_profiler_flops", "cost.size_bytes")
"""Left out of the table; on the submission's page, in JSON and for formulas."""
_PER_COUNT = ("macs", "flops", "tf_profiler_flops")


def is_shown(column: str) -> bool:
    """Tell whether a cost has a column in tables."""
    return column not in _HIDDEN


def columns(rules: CostRules, costs: Sequence[Cost]) -> tuple[Column, ...]:
    """Return a column for each cost; those of phones only for the phones that a record names."""
    at = size_text(rules.size)
    on = f"on the {rules.device.upper()}"
    ratio = f"Runtime of {rules.reference} over the model's, at {at} {on}"
    fixed = (
        _column("cost.parameters", "Weights and biases, in millions", "M", "parameters", 1e6),
        _column("cost.macs", f"MACs at {at}, in thousands of millions: {MACS}", "G", "MACs", 1e9),
        _column("cost.flops", f"FLOPs at {at}: two for each MAC", "G", "FLOPs", 1e9),
        _column("cost.tf_profiler_flops", f"FLOPs at {at} as TensorFlow's profiler counts", "G", "tf FLOPs", 1e9),
        _column("cost.size_bytes", "Size of the model's files", "MB", "size", 1e6),
        _column("measured.runtime_ms", f"Median runtime at {at} {on}", "ms", "runtime"),
        Column("measured.runtime_ratio", ratio, "higher", "", 0, "runtime ratio", digits=3),
        _column("measured.memory_mb", f"Most memory taken at {at} {on}", "MB", "memory"),
    )
    phones = {run.device.id: run.device for cost in costs for run in cost.phones}
    return fixed + tuple(
        _column(
            f"phone.{card.id}.latency_ms",
            f"Mean runtime at {at} on the phone {card.name}" + (f" ({card.parts})" if card.parts else ""),
            "ms",
            card.name,
        )
        for _, card in sorted(phones.items())
    )


def _column(name: str, title: str, unit: str, head: str, scale: float = 1) -> Column:
    return Column(name, title, "lower", unit, 0, f"{head}, {unit}", scale, digits=3)


def cell(target: str, card: Scorecard, cost: Cost | None, rules: CostRules) -> Cell:
    """Return a cost in its base unit (one, bytes, ms, MB), or why there is none.

    Args:
        target: the cost's name, as in a task's formulas.
        card: the submission's scorecard.
        cost: what was measured; None if nothing was.
        rules: the task's.
    """
    if cost is None:
        return _nothing("not measured: evaluate profile")
    if _other_version(card, cost):
        return Cell(State.UNAVAILABLE, detail=OTHER_VERSION)
    kind, _, name = target.partition(".")
    if kind == "phone":
        return _phone(name.removesuffix(".latency_ms"), cost, rules)
    if kind == "measured":
        return _measured(name, cost, rules)
    if name in _PER_COUNT:
        return _counted(name, cost, rules)
    value = getattr(cost, name)
    return _nothing("it cannot be told") if value is None else Cell(State.OK, float(value))


def over_the_limit(card: Scorecard, cost: Cost | None, rules: CostRules) -> str:
    """Return that a model takes more memory than the task allows, or an empty string."""
    if cost is None or rules.memory_mb is None or _other_version(card, cost):
        return ""
    timing = cost.timing_at(rules.size, rules.device)
    allowed = f"the task allows {rules.memory_mb:g} MB at {size_text(rules.size)}"
    if timing is not None and timing.failure.startswith(OUT_OF_MEMORY):
        return f"it ran out of memory; {allowed}"
    if timing is None or timing.memory_mb is None or timing.memory_mb <= rules.memory_mb:
        return ""
    return f"it takes {timing.memory_mb:.0f} MB of memory; {allowed}"


def notes(
    rules: CostRules, shown: Sequence[Column], rows: Iterable[tuple[str, Mapping[str, Cell], Cost | None]]
) -> list[str]:
    """Return sentences on the costs of a board.

    Args:
        rules: the task's.
        shown: the cost columns of the table.
        rows: submission, cells and record of each row.
    """
    rows = list(rows)
    names = {column.id for column in shown}
    lines = [f"Costs are for inputs of {size_text(rules.size)} (height×width); – was not measured."]
    if "cost.macs" in names:
        lines.append(f"MACs: {MACS}.")
    if any(cells[name].at_least for _, cells, _ in rows for name in names):
        lines.append(f"≥: a lower bound; {_BOUND}.")
    lines += _machines(rules, rows)
    failed: dict[tuple[str, str], list[str]] = {}
    for submission, cells, _ in rows:
        for column in shown:
            if cells[column.id].sign == FAILED:
                failed.setdefault((submission, cells[column.id].detail), []).append(column.head.partition(",")[0])
    if failed:
        each = "; ".join(f"{name} {why} ({', '.join(heads)})" for (name, why), heads in failed.items())
        lines.append(f"× failed: {each}.")
    others = [s for s, cells, _ in rows if any(cells[name].detail == OTHER_VERSION for name in names)]
    if others:
        lines.append(f"Costs of {', '.join(others)} were {OTHER_VERSION}.")
    return lines


def _machines(rules: CostRules, rows: Sequence[tuple[str, Mapping[str, Cell], Cost | None]]) -> list[str]:
    """Name the machine of the runtimes; where there are several, say whose is whose."""
    machines: dict[str, list[str]] = {}
    for submission, cells, cost in rows:
        timing = cost.timing_at(rules.size, rules.device) if cost else None
        if timing and cells["measured.runtime_ms"].value is not None:
            machines.setdefault(conditions(timing), []).append(submission)
    if not machines:
        return []
    ratio = f"The runtime ratio is the runtime of {rules.reference} on the same machine over the model's."
    if len(machines) == 1:
        return [f"Runtimes are medians on {next(iter(machines))}. {ratio}"]
    each = "; ".join(f"{machine} ({', '.join(names)})" for machine, names in machines.items())
    return [f"Runtimes are medians on several machines: {each}; compare their ratios, not ms. {ratio}"]


def conditions(timing: Timing) -> str:
    """Return what a time was taken on, in words."""
    threads = f"{timing.threads} thread{'' if timing.threads == 1 else 's'}" if timing.threads else ""
    return ", ".join(filter(None, (timing.device_name or timing.device.upper(), threads, timing.precision)))


def _nothing(why: str) -> Cell:
    return Cell(State.UNAVAILABLE, detail=why, sign=NOT_MEASURED)


def _other_version(card: Scorecard, cost: Cost) -> bool:
    # Outputs tell nothing of the model that gave them; logs alone tell nothing of its files.
    if card.submission.kind == "outputs" or not cost.version:
        return False
    return cost.version != card.submission.digest


def _counted(name: str, cost: Cost, rules: CostRules) -> Cell:
    counts = cost.counts_at(rules.size)
    if counts is None:
        return _nothing(f"not counted at {size_text(rules.size)}")
    value = float(getattr(counts, name))
    return Cell(State.OK, value) if counts.complete else Cell(State.OK, value, detail=_BOUND, at_least=True)


def _measured(name: str, cost: Cost, rules: CostRules) -> Cell:
    timing = cost.timing_at(rules.size, rules.device)
    if timing is None:
        return _nothing(f"not measured at {size_text(rules.size)} on the {rules.device.upper()}")
    if timing.failure:
        return Cell(State.FAILED, detail=timing.failure, sign=FAILED)
    if name == "runtime_ratio" and timing.ratio is not None and timing.reference != rules.reference:
        other = f"measured beside {timing.reference}, not {rules.reference}: profile it again"
        return Cell(State.UNAVAILABLE, detail=other)
    value = {"runtime_ms": timing.median_ms, "runtime_ratio": timing.ratio, "memory_mb": timing.memory_mb}[name]
    if value is None:
        return _nothing("not measured")
    return Cell(State.OK, value, detail=conditions(timing))


def _phone(device: str, cost: Cost, rules: CostRules) -> Cell:
    runs = [run for run in cost.phones if run.device.id == device and run.input == rules.size]
    if not runs:
        return _nothing(f"no log from {device} at {size_text(rules.size)}")
    timed = [(run.mean_ms, run) for run in runs if run.mean_ms is not None]
    if not timed:
        why = "; ".join(f"{run.backend}: {run.failure}" if run.backend else run.failure for run in runs)
        return Cell(State.FAILED, detail=why, sign=FAILED)
    value, fastest = min(timed, key=lambda pair: pair[0])
    return Cell(State.OK, value, detail=_said(fastest, len(runs)))


def _said(run: PhoneRun, runs: int) -> str:
    backend = run.backend or "backend not stated"
    return f"{backend}, the fastest of {runs}" if runs > 1 else backend
