"""Audit of the cost columns: against measured counts, between MACs and FLOPs, between image sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluator.ranking.remarks import CUT, Remark, Verdict, compare, remark
from evaluator.results.counts import Count, Facts, Network
from evaluator.results.published import CellState, Convention, Entry, Interval

_NEAR = 0.01
"""Two tools that mean the same differ by less: biases, normalisation, one pooling."""

# What a number may count: multiply-accumulates times this; the first is what the column says.
_MEANINGS: dict[str, tuple[tuple[Convention, float], ...]] = {
    "macs": (("macs", 1.0), ("flops", 2.0), ("half_macs", 0.5)),
    "flops": (("flops", 2.0), ("macs", 1.0)),
}


@dataclass(frozen=True)
class Reading:
    """The measured count that comes nearest to a printed one, and how it must be read to do so."""

    network: Network
    count: Count
    convention: Convention
    said: bool
    """Whether it is read as the table says: its unit, its image size, the method's own network, a sound counter."""
    own_size: bool
    expected: float
    """In thousands of millions."""
    nearness: int
    """0 rounded, 1 cut off, 2 within 1 %, 3 further away."""

    @property
    def fits(self) -> bool:
        """Whether it is what was printed, as far as one can tell."""
        return self.nearness < 3

    @property
    def verdict(self) -> Verdict:
        """See `Verdict`."""
        if not self.fits:
            return Verdict.CONTRADICTS
        if not self.said:
            return Verdict.EXPLAINED
        return Verdict.CLOSE if self.nearness else Verdict.AGREES


def read_cost(entry: Entry, facts: Facts) -> Reading | None:
    """Return the best reading of a printed count of operations, or None where nothing was measured."""
    if entry.quantity not in _MEANINGS or entry.printed.state is not CellState.NUMBER or entry.size is None:
        return None
    if entry.method is None:
        return None
    readings = [r for network in facts.of(entry.method) for r in _readings(entry, entry.size, network, facts)]
    value = entry.printed.rounded
    middle = (value.low + value.high) / 2

    def rank(reading: Reading) -> tuple[int, bool, int, float]:
        coarse = 0 if reading.nearness < 2 else reading.nearness
        distance = abs(middle / reading.expected - 1)
        if not reading.fits:  # a column of FLOPs may hold MACs all over; other readings are no help
            return coarse, not (reading.said or entry.quantity == "flops"), 0, distance
        return coarse, not reading.said, reading.nearness, distance

    return min(readings, key=rank, default=None)


def _readings(entry: Entry, size: tuple[int, int], network: Network, facts: Facts) -> Iterator[Reading]:
    for count, at, own_size in _counts_for(network, size):
        area = at[0] * at[1] / (count.size[0] * count.size[1])
        flawed = bool(facts.counters[count.counter].flaw)
        for convention, factor in _MEANINGS[entry.quantity]:
            expected = facts.macs(count) * area * factor
            said = convention == entry.quantity and not (own_size or network.other or flawed)
            nearness = _nearness(entry, expected)
            yield Reading(network, count, convention, said, own_size, expected, nearness)


def _counts_for(network: Network, size: tuple[int, int]) -> Iterator[tuple[Count, tuple[int, int], bool]]:
    """Yield each counter's count, the size it is wanted at (by area, where it was not taken there), whether its own."""
    for _, group in groupby(sorted(network.counts, key=lambda c: c.counter), key=lambda c: c.counter):
        counts = list(group)
        yield next((c for c in counts if c.size == size), counts[0]), size, False
    if network.works_at is not None and network.works_at != size:
        yield from ((c, c.size, True) for c in network.counts if c.size == network.works_at)


def _nearness(entry: Entry, expected: float) -> int:
    exact = Interval(expected, expected)
    if entry.printed.rounded.overlaps(exact):
        return 0
    if entry.printed.cut.overlaps(exact):
        return 1
    near = Interval(expected * (1 - _NEAR), expected * (1 + _NEAR))
    return 2 if entry.printed.rounded.overlaps(near) else 3


def check_counts(entries: Sequence[Entry], facts: Facts) -> Iterator[Remark]:
    """Hold every count of operations against the measured ones; say which columns mix what they count."""
    readings = [(e, r) for e in entries if (r := read_cost(e, facts)) is not None]
    for entry, reading in readings:
        point = Interval(reading.expected, reading.expected)
        yield remark("count", entry, point, reading.verdict, _why(entry, reading, facts))
    for (table, column), group in groupby(readings, key=lambda pair: (pair[0].table, pair[0].column)):
        found: dict[str, list[str]] = {}
        for entry, reading in group:
            if reading.fits:
                labels = found.setdefault(reading.convention, [])
                labels += [entry.label] if entry.label not in labels else []
        if len(found) > 1:
            parts = ". ".join(f"{_sentence(_NAMES[c])}: {'; '.join(labels)}" for c, labels in found.items())
            reason = f"The rows do not count the same, so they cannot be ranked by it. {parts}."
            yield Remark("mixed-column", table, None, "", (column,), "", None, Verdict.CONTRADICTS, reason)


_NAMES: dict[str, str] = {
    "macs": "multiply-accumulates (MACs)",
    "flops": "operations (FLOPs, two a MAC)",
    "half_macs": "half the multiply-accumulates",
}


def _why(entry: Entry, reading: Reading, facts: Facts) -> str:
    """Return the likely reason for a printed count, in sentences."""
    counter = facts.counters[reading.count.counter]
    network = reading.network
    variant = f" ({network.variant})" if network.variant else ""
    if not reading.fits:
        excess = (entry.printed.value or 0) / reading.expected - 1
        more = "more" if excess > 0 else "less"
        what = "" if reading.convention == entry.quantity else f", read as {_NAMES[reading.convention]}"
        text = f"{abs(excess):.1%} {more} than the nearest count{variant}{what}. Counter: {counter.title}."
        return _with_note(text, network.note)
    parts = []
    if reading.convention != entry.quantity:
        if reading.convention == "half_macs":
            parts.append("Half the MACs: halved once too often.")
        else:
            said = "MACs" if entry.quantity == "macs" else "FLOPs"
            parts.append(f"Counts {_NAMES[reading.convention]}, not {said} as the column says.")
    if reading.own_size:
        width, height = reading.count.size
        parts.append(f"Counted at {width}×{height}, which the network resizes to, not at {_size(entry.size)}.")
    if network.other:
        parts.append(f"It is the count of {network.variant}.")
    if counter.flaw:
        parts.append(f"The counter has a flaw: {counter.flaw}.")
    named = f"Counter{variant if not network.other else ''}: {counter.title}."
    parts.append(named)
    if reading.nearness == 1:
        parts.append(CUT)
    elif reading.nearness == 2:
        parts.append(f"Within {abs((entry.printed.value or 0) / reading.expected - 1):.2%}.")
    return _with_note(" ".join(parts), network.note)


def _with_note(text: str, note: str) -> str:
    return f"{text} {_sentence(note)}." if note else text


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _size(size: tuple[int, int] | None) -> str:
    return "–" if size is None else f"{size[0]}×{size[1]}"


def check_parameters(entries: Iterable[Entry], facts: Facts) -> Iterator[Remark]:
    """Hold every number of parameters against the public code."""
    for entry in entries:
        if entry.quantity != "parameters" or entry.printed.state is not CellState.NUMBER or entry.method is None:
            continue
        for network in facts.of(entry.method):
            if network.parameters is None or network.other:
                continue
            millions = network.parameters / 1e6
            nearness = _nearness(entry, millions)
            verdict = (Verdict.AGREES, Verdict.CLOSE, Verdict.CLOSE, Verdict.CONTRADICTS)[nearness]
            reason = f"The public code has {network.parameters:,} parameters."
            if verdict is not Verdict.AGREES:
                reason = _with_note(f"{reason} {CUT}" if nearness == 1 else reason, network.parameters_note)
            yield remark("parameters", entry, Interval(millions, millions), verdict, reason)


def check_macs_and_flops(entries: Sequence[Entry], facts: Facts) -> Iterator[Remark]:
    """Hold MACs against FLOPs of the same method at the same size in another table of the paper: half of them."""
    numbers = [e for e in entries if e.printed.state is CellState.NUMBER and e.method]
    for macs in (e for e in numbers if e.quantity == "macs"):
        for flops in (e for e in numbers if e.quantity == "flops"):
            same = (macs.paper, macs.method, macs.size) == (flops.paper, flops.method, flops.size)
            if not same or macs.table == flops.table:
                continue
            expected = flops.printed.rounded.times(0.5)
            verdict = compare(macs, expected)
            reason = f"Half of the {flops.printed.text} GFLOPs of {flops.table}."
            readings = [r for e in (macs, flops) if (r := read_cost(e, facts)) is not None and r.fits]
            counters = [facts.counters[r.count.counter].title for r in readings]
            if verdict is not Verdict.AGREES and len(set(counters)) == 2:
                reason += f" Two tools: here {counters[0]}; there {counters[1]}."
            yield remark("macs-flops", macs, expected, verdict, reason)


def check_scaling(entries: Iterable[Entry]) -> Iterator[Remark]:
    """Hold the counts of one method at several sizes against each other: they grow with the number of pixels."""

    def key(entry: Entry) -> tuple[str, str, str]:
        return entry.table, entry.column, entry.method or ""

    usable = [e for e in entries if e.quantity in _MEANINGS and e.method and e.printed.state is CellState.NUMBER]
    for _, group in groupby(sorted(usable, key=key), key=key):
        cells = [(e, e.size[0] * e.size[1]) for e in group if e.size]
        if len({pixels for _, pixels in cells}) < 2:
            continue
        each = [e.printed.rounded.times(1 / pixels) for e, pixels in cells]
        # The largest set of rows with one count a pixel in common: a common point is some row's lower end.
        sets = [[i for i in each if i.overlaps(Interval(one.low, one.low))] for one in each]
        agreeing = max(sets, key=len)
        common = Interval(max(i.low for i in agreeing), min(i.high for i in agreeing))
        for entry, pixels in cells:
            expected = common.times(pixels)
            verdict = compare(entry, expected)
            reason = f"By the count a pixel of {len(agreeing)} of {len(cells)} rows of this method."
            if verdict is Verdict.CONTRADICTS and entry.size and entry.printed.value in entry.size:
                reason += " It repeats the size of the image: a misprint."
            yield remark("scaling", entry, expected, verdict, reason)
