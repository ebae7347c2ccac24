"""Audit of published tables: do the numbers of a row, of a table and of a paper agree with each other?

Every comparison is of ranges: a printed number stands for all numbers that round to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from math import pi, sqrt

from evaluator.ranking.audit_costs import check_counts, check_macs_and_flops, check_parameters, check_scaling
from evaluator.ranking.remarks import CUT, Remark, Verdict, compare, remark
from evaluator.results.counts import Facts, load_facts
from evaluator.results.published import CellState, Entry, Interval, PublishedTable, load_published

_HEAVIEST = sqrt(2 / pi)
"""MAE / RMSE of Gaussian errors. Errors of images have heavier tails, and a lower ratio."""
_FACTOR = 1.5
"""Speed-ups on two machines differ by less."""
_COSTS = ("parameters", "macs", "flops")
_QUALITY = ("psnr", "ssim", "ms_ssim", "lpips", "niqe", "mae", "rmse_rel", "map")
_FAMILY = ("kernel", "channels", "blocks", "time")
"""Columns of a table of one network's variants."""
_REFERENCES = re.compile(r"\[([\d, ]+)\]")


def audit(tables: Sequence[PublishedTable] | None = None, facts: Facts | None = None) -> list[Remark]:
    """Check published tables; return every check that was made, in the order of tables and rows.

    Args:
        tables: those that ship with the harness if not given.
        facts: measured counts; those that ship with the harness if not given.
    """
    tables = load_published() if tables is None else tables
    facts = load_facts() if facts is None else facts
    entries = [entry for table in tables for entry in table.entries()]
    remarks = [
        *_rmse_from_psnr(entries, tables),
        *_mae_below_rmse(entries),
        *_averages(entries, facts),
        *check_counts(entries, facts),
        *check_parameters(entries, facts),
        *check_macs_and_flops(entries, facts),
        *check_scaling(entries),
        *_repeated(entries),
        *_copied(entries),
        *_differences(entries, tables),
        *_times_of_a_family(tables),
        *_speed_ups(entries),
        *_references(tables),
    ]
    places = {table.id: number for number, table in enumerate(tables)}
    return sorted(remarks, key=lambda r: (places[r.table], -1 if r.row is None else r.row))


def _numbers(entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.printed.state is CellState.NUMBER]


def _by_row(entries: Sequence[Entry], *quantities: str) -> Iterator[tuple[Entry, ...]]:
    """Yield the cells of these quantities of every row that has one number of each."""
    for _, group in groupby(_numbers(entries), key=lambda e: (e.table, e.row)):
        cells = list(group)
        found = tuple(next((e for e in cells if e.quantity == q), None) for q in quantities)
        if None not in found:
            yield tuple(e for e in found if e is not None)


def _rmse_of(psnr: Entry) -> Interval:
    """Return the RMSE on [0, 1] that a printed mean PSNR stands for."""
    decibels = psnr.printed.rounded
    return Interval(10 ** (-decibels.high / 20), 10 ** (-decibels.low / 20))


def _rmse_from_psnr(entries: Sequence[Entry], tables: Sequence[PublishedTable]) -> Iterator[Remark]:
    notes = {(t.id, number): row.note for t in tables for number, row in enumerate(t.rows)}
    for psnr, rmse in _by_row(entries, "psnr", "rmse_rel"):
        expected = _rmse_of(psnr)
        verdict = compare(rmse, expected)
        note = {Verdict.AGREES: "", Verdict.CLOSE: CUT}.get(verdict, notes[rmse.table, rmse.row])
        reason = f"RMSE_rel = 10^(−PSNR/20). {note}".strip()
        yield remark("rmse-psnr", rmse, expected, verdict, reason, psnr)


def _mae_below_rmse(entries: Sequence[Entry]) -> Iterator[Remark]:
    for psnr, mae in _by_row(entries, "psnr", "mae"):
        expected = Interval(0, _rmse_of(psnr).high * _HEAVIEST)
        agrees = mae.printed.rounded.overlaps(expected)
        reason = "At most 0.80 of the RMSE (Gaussian errors); errors of images have heavier tails and lie below."
        if not agrees:
            reason += " Copied from elsewhere, or defined otherwise: not to be used."
        verdict = Verdict.AGREES if agrees else Verdict.CONTRADICTS
        yield remark("mae-rmse", mae, expected, verdict, reason, psnr)


def _averages(entries: Sequence[Entry], facts: Facts) -> Iterator[Remark]:
    for average in facts.averages:
        rows = groupby((e for e in _numbers(entries) if e.table == average.table), key=lambda e: e.row)
        for _, group in rows:
            cells = {e.column: e for e in group}
            parts = [(cells[name].printed.rounded, images) for name, images in average.images.items()]
            total = sum(images for _, images in parts)
            expected = Interval(
                sum(part.low * images for part, images in parts) / total,
                sum(part.high * images for part, images in parts) / total,
            )
            counts = ", ".join(f"{n} {cells[name].title}" for name, n in average.images.items())
            reason = f"Mean over {total} pooled images: {counts}."
            entry = cells[average.column]
            yield remark("average", entry, expected, compare(entry, expected), reason)


def _repeated(entries: Sequence[Entry]) -> Iterator[Remark]:
    """Compare what several tables of a paper print for the same method, quantity and images."""

    def key(e: Entry) -> tuple[object, ...]:
        images = (e.size,) if e.quantity in _COSTS else (e.task, e.split)
        return e.paper, e.method, e.quantity, *images

    first: dict[tuple[object, ...], Entry] = {}
    for entry in _numbers(entries):
        if not entry.method or entry.quantity not in (*_COSTS, *_QUALITY):
            continue
        if entry.quantity in _QUALITY and entry.task is None:
            continue
        before = first.setdefault(key(entry), entry)
        if before.table != entry.table:
            coarse, fine = sorted((before, entry), key=lambda e: -e.printed.step)
            verdict = compare(coarse, fine.printed.rounded)
            reason = f"{before.table} prints {before.printed.text}."
            reason += f" {CUT}" if verdict is Verdict.CLOSE else ""
            yield remark("repeated", entry, before.printed.rounded, verdict, reason)


def _copied(entries: Sequence[Entry]) -> Iterator[Remark]:
    """Find numbers that stand, digit by digit, for the same method on another task in an earlier table."""
    first: dict[tuple[object, ...], Entry] = {}
    for entry in _numbers(entries):
        if not entry.method or entry.quantity not in _QUALITY or not entry.task:
            continue
        before = first.setdefault((entry.paper, entry.method, entry.quantity, entry.printed.text), entry)
        if before.task != entry.task:
            reason = f"The same digits as on {before.task} in {before.table}: likely taken from there."
            yield remark("copied", entry, before.printed.rounded, Verdict.EXPLAINED, reason)


def _differences(entries: Sequence[Entry], tables: Sequence[PublishedTable]) -> Iterator[Remark]:
    """Hold printed differences of SSIM against the two SSIM, where one table prints both."""
    notes = {(t.id, number): row.note for t in tables for number, row in enumerate(t.rows)}
    ssim = [e for e in _numbers(entries) if e.quantity == "ssim" and e.method]
    for entry in (e for e in _numbers(entries) if e.quantity == "ssim_difference" and e.task):
        own = [e for e in ssim if (e.paper, e.method, e.task) == (entry.paper, entry.method, entry.task)]
        pairs = [(a, b) for a in own for b in ssim if b.method == entry.against and b.table == a.table]
        ranges = [
            Interval(x.low - y.high, x.high - y.low)
            for x, y in ((a.printed.rounded, b.printed.rounded) for a, b in pairs)
        ]
        if not pairs:
            continue
        index = next((i for i, r in enumerate(ranges) if entry.printed.rounded.overlaps(r)), 0)
        (a, b), expected = pairs[index], ranges[index]
        verdict = compare(entry, expected)
        reason = f"{a.table} prints {a.printed.text} and, for {entry.against}, {b.printed.text}."
        if verdict is not Verdict.AGREES and notes[entry.table, entry.row]:
            reason += f" {notes[entry.table, entry.row]}"
        yield remark("difference", entry, expected, verdict, reason)


def _times_of_a_family(tables: Sequence[PublishedTable]) -> Iterator[Remark]:
    """Find the row that does not fit the times of one network with several kernels, widths and depths.

    A time is made up of the width, and of width × depth, each with a factor of its own for every kernel (reading and
    writing feature maps), and of the blocks' multiply-accumulates. The numbers of a table must fit that once the worst
    row is left out.
    """
    for table in tables:
        names = [c.id for c in table.columns]
        if not set(_FAMILY) <= set(names):
            continue
        settings = [tuple(float(row.cells[names.index(name)]) for name in _FAMILY[:3]) for row in table.rows]
        times = [e for e in table.entries() if e.column == _FAMILY[3]]
        errors = _errors_without_the_odd_one(settings, [e.printed.value or 0.0 for e in times])
        spread = sorted(map(abs, errors))[-2]
        for entry, error in zip(times, errors, strict=True):
            predicted = (entry.printed.value or 0.0) * (1 + error)
            expected = Interval(predicted / (1 + spread), predicted / (1 - spread))
            reason = f"From the other rows, by width, depth and kernel; they fit within {spread:.0%}."
            yield remark("family-time", entry, expected, compare(entry, expected), reason)


def _errors_without_the_odd_one(settings: Sequence[tuple[float, ...]], times: Sequence[float]) -> list[float]:
    """Return predicted / printed − 1 of every row, fitted to all rows but the one whose absence helps most."""
    import numpy as np

    kernels = sorted({kernel for kernel, _, _ in settings})
    design = [
        [width * depth**power * (kernel == one) for one in kernels for power in (0, 1)]
        + [(kernel * width) ** 2 * depth]
        for kernel, width, depth in settings
    ]
    relative = np.array(design) / np.array(times)[:, None]
    best: list[float] = []
    for left_out in range(len(times)):
        keep = np.arange(len(times)) != left_out
        solution = np.linalg.lstsq(relative[keep], np.ones(keep.sum()), rcond=None)[0]
        errors = [float(e) for e in relative @ solution - 1]
        if not best or sorted(map(abs, errors))[-2] < sorted(map(abs, best))[-2]:
            best = errors
    return best


def _speed_ups(entries: Sequence[Entry]) -> Iterator[Remark]:
    """Hold the speed-ups of one method over another in several tables, each on its machine, against each other."""
    times = [e for e in _numbers(entries) if e.quantity == "time" and e.method and e.on]
    pairs: dict[tuple[str, str, str], list[tuple[Entry, Entry, Interval]]] = {}
    for slow, fast in product(times, times):
        same = (slow.paper, slow.on, slow.size) == (fast.paper, fast.on, fast.size)
        if same and slow.method and fast.method and slow.method != fast.method:
            a, b = slow.printed.rounded, fast.printed.rounded
            ratio = Interval(a.low / b.high, a.high / b.low)
            pairs.setdefault((slow.paper, slow.method, fast.method), []).append((slow, fast, ratio))
    for found in pairs.values():
        if len({slow.table for slow, _, _ in found}) < 2 or found[0][2].low < 1:
            continue
        ratios = [ratio for _, _, ratio in found]
        alike = max(
            ([r for r in ratios if one.low / _FACTOR < r.high and r.low < one.high * _FACTOR] for one in ratios),
            key=len,
        )
        common = Interval(min(r.low for r in alike), max(r.high for r in alike))
        for slow, fast, ratio in found:
            expected = common.times(fast.printed.value or 0.0)
            verdict = Verdict.AGREES if ratio in alike else Verdict.CONTRADICTS
            reason = (
                f"{ratio.low:.2f} times the {fast.printed.text} {fast.unit} of {fast.label} in {fast.table}; "
                f"{len(alike)} of {len(found)} machines: {common.low:.2f} to {common.high:.2f} times."
            )
            yield remark("speed-up", slow, expected, verdict, reason)


def _references(tables: Sequence[PublishedTable]) -> Iterator[Remark]:
    """Find methods that bear other reference numbers in another table of the same paper."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for table in tables:
        for number, row in enumerate(table.rows):
            found = _REFERENCES.search(row.cells[0])
            if not found or not row.method:
                continue
            before, home = first.setdefault((table.paper, row.method), (found[0], table.id))
            if before != found[0] and (table.id, row.method) not in seen:
                seen.add((table.id, row.method))
                yield Remark(
                    "reference",
                    table.id,
                    number,
                    table.label(number),
                    (table.columns[0].id,),
                    found[0],
                    None,
                    Verdict.CONTRADICTS,
                    f"{home} cites {before} for the same method.",
                )
