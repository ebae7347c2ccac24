"""How sure a ranking is: intervals of scores and ranks, and which rows cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator import metrics
from evaluator.metrics import State
from evaluator.ranking import order
from evaluator.ranking.board import Board, Row
from evaluator.ranking.percase import Floats, PerCase, aggregate, per_case
from evaluator.ranking.significance import holm, wilcoxon
from evaluator.results import CaseRow
from evaluator.tasks.rules import MEAN_RANK

LEVEL = 0.95
"""Of the intervals; tests are at 1 − LEVEL."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Span:
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class RowUncertainty:
    """One ranked row."""

    submission: str
    spans: Mapping[str, Span]
    """The interval of each metric and score that has one."""
    rank_low: int
    rank_high: int
    first: float
    """Share of the resamples in which no row stands above it."""

    @property
    def rank_text(self) -> str:
        """The interval of the rank: `2–4`, or `3`."""
        return str(self.rank_low) if self.rank_low == self.rank_high else f"{self.rank_low}–{self.rank_high}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "submission": self.submission,
            "intervals": {name: [span.low, span.high] for name, span in self.spans.items()},
            "rank_interval": [self.rank_low, self.rank_high],
            "first": self.first,
        }


@dataclass(frozen=True)
class Neighbours:
    """The test of a ranked row against the next one."""

    upper: str
    lower: str
    p: float
    """Two-sided, of Wilcoxon's signed-rank test over the cases."""
    p_holm: float
    """Corrected for the tests of all neighbours."""
    apart: bool
    """Whether the upper row is better case by case, and significantly so."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"upper": self.upper, "lower": self.lower, "p": self.p, "p_holm": self.p_holm, "apart": self.apart}


@dataclass(frozen=True)
class Pairs:
    """The tests of all ranked rows against each other, for a significance map; rows and columns as on the board."""

    p: tuple[tuple[float, ...], ...]
    """Two-sided; 1 on the diagonal."""
    p_holm: tuple[tuple[float, ...], ...]
    """Corrected for the tests of all pairs."""
    better: tuple[tuple[int, ...], ...]
    """1 where the row is significantly better than the column's, −1 where it is worse, 0 where neither is shown."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"p": self.p, "p_holm": self.p_holm, "better": self.better}


@dataclass(frozen=True)
class Uncertainty:
    """What is known of a board's ranks beyond the digits."""

    cases: int
    resamples: int
    seed: int
    rows: tuple[RowUncertainty, ...]
    """Those that have a rank, in the board's order."""
    tested: str
    """What the tests compare case by case: a metric, a score, or `mean_rank`; empty: cases have no value of it."""
    neighbours: tuple[Neighbours, ...]
    groups: tuple[tuple[str, ...], ...]
    """Rows that cannot be told apart from their neighbours, best group first."""
    pairs: Pairs | None
    """None where nothing was tested."""
    notes: tuple[str, ...]
    """What was done, in words."""

    def row(self, submission: str) -> RowUncertainty | None:
        """Return what is known of a row; None if it has no rank."""
        return next((row for row in self.rows if row.submission == submission), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data for `json.dumps(..., allow_nan=False)`."""
        return {
            "level": LEVEL,
            "cases": self.cases,
            "resamples": self.resamples,
            "seed": self.seed,
            "rows": [row.to_json() for row in self.rows],
            "tested": self.tested or None,
            "neighbours": [pair.to_json() for pair in self.neighbours],
            "groups": [list(group) for group in self.groups],
            "pairs": self.pairs.to_json() if self.pairs else None,
            "notes": list(self.notes),
        }


def uncertainty(
    board: Board, cases: Mapping[str, Sequence[CaseRow]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Uncertainty:
    """Return how sure a board's scores and ranks are.

    Intervals are 2.5 % and 97.5 % quantiles over resamples of the cases (percentile bootstrap), drawn once for all
    rows; in each, metrics are aggregated as their contracts say and rows are ranked by the board's rule, digits as
    printed. Costs, opinions and what teams reported stay as they are. Cases that an aggregate leaves out (identical, or
    not applicable) are left out of it in every resample, too. A metric that has no number on the board has no interval.

    Two neighbours are apart if the upper one is better case by case in what the rule ranks by first, by a paired
    two-sided Wilcoxon test at 5 % after Holm's correction; a group ends where neighbours are apart. Rows that share a
    rank are not tested apart.

    Args:
        board: a board.
        cases: the per-case table of each ranked row, by submission; see `Store.read_cases`.
        resamples: how many.
        seed: of numpy's PCG64.

    Raises:
        EvaluatorError: a table is missing, or does not fit the board.
    """
    return uncertainty_of(per_case(board, cases), resamples=resamples, seed=seed)


def uncertainty_of(joined: PerCase, *, resamples: int = RESAMPLES, seed: int = 0) -> Uncertainty:
    """Return the same from per-case tables that are joined already; see `uncertainty`."""
    board, rows, count = joined.board, joined.rows, len(joined.cases)
    if not rows:
        return Uncertainty(0, resamples, seed, (), "", (), (), None, ("No row has a rank.",))
    found = joined.with_scores(_resampled(joined, draw(count, resamples, seed)))
    ranks = order.places(joined.keys({m: found[m] for m in joined.values}))
    low, high = np.quantile(ranks, _ENDS, axis=0, method="inverted_cdf").astype(int).tolist()
    first = (ranks == 1).mean(axis=0).tolist()
    named = [c.id for c in (*board.metric_columns, *board.score_columns) if c.id in found and joined.of_cases(c.id)]
    spans = {name: percentile_spans(found[name]) for name in named}
    known = [{n: s[i] for n, s in spans.items() if row.cells[n].state is State.OK} for i, row in enumerate(rows)]
    details = tuple(
        RowUncertainty(row.submission, {n: s for n, s in mine.items() if s is not None}, low[i], high[i], first[i])
        for i, (row, mine) in enumerate(zip(rows, known, strict=True))
    )
    compared = joined.tested()
    tested, pairs = (compared[0], _pairs(compared[1])) if compared else ("", None)
    neighbours = _neighbours(rows, compared[1]) if compared else ()
    notes = (_on_intervals(joined, resamples, seed), _on_tests(tested, board))
    return Uncertainty(
        count,
        resamples,
        seed,
        details,
        tested,
        neighbours,
        _groups(rows, neighbours),
        pairs,
        notes,
    )


_ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


def draw(cases: int, resamples: int, seed: int) -> Floats:
    """Return how often each case stands in each resample, `(resamples, cases)`; each row sums up to `cases`."""
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(0, cases, (resamples, cases))
    places = drawn + np.arange(resamples)[:, None] * cases
    return np.bincount(places.ravel(), minlength=resamples * cases).reshape(resamples, cases).astype(np.float64)


def percentile_spans(values: Floats) -> list[Span | None]:
    """Return the interval of each column of `(R, S)` resampled values; None where a column has no finite one."""
    if np.isfinite(values).all():
        return [Span(*ends) for ends in np.quantile(values, _ENDS, axis=0).T.tolist()]
    columns = [column[np.isfinite(column)] for column in values.T]
    return [Span(*np.quantile(column, _ENDS).tolist()) if len(column) else None for column in columns]


def _resampled(joined: PerCase, weights: Floats) -> dict[str, Floats]:
    return {m: aggregate(metrics.get(m).contract, values, weights) for m, values in joined.values.items()}


def _neighbours(rows: Sequence[Row], values: Floats) -> tuple[Neighbours, ...]:
    tests = [wilcoxon(values[:, i], values[:, i + 1]) for i in range(len(rows) - 1)]
    ranked_apart = [rows[i].rank != rows[i + 1].rank for i in range(len(rows) - 1)]
    of_these = iter(holm([p for (p, _), differ in zip(tests, ranked_apart, strict=True) if differ]))
    corrected = [next(of_these) if differ else 1.0 for differ in ranked_apart]
    found = []
    for i, ((p, sign), p_holm) in enumerate(zip(tests, corrected, strict=True)):
        apart = sign > 0 and p_holm < 1 - LEVEL
        found.append(Neighbours(rows[i].submission, rows[i + 1].submission, p, p_holm, apart))
    return tuple(found)


def _groups(rows: Sequence[Row], neighbours: Sequence[Neighbours]) -> tuple[tuple[str, ...], ...]:
    if len(rows) > 1 and not neighbours:
        return ()
    groups = [[rows[0].submission]]
    for pair in neighbours:
        if pair.apart:
            groups.append([])
        groups[-1].append(pair.lower)
    return tuple(tuple(group) for group in groups)


def _pairs(values: Floats) -> Pairs:
    size = values.shape[1]
    places = list(combinations(range(size), 2))
    tests = [wilcoxon(values[:, i], values[:, j]) for i, j in places]
    corrected = holm([p for p, _ in tests])
    p, p_holm, better = np.ones((size, size)), np.ones((size, size)), np.zeros((size, size), dtype=int)
    for (i, j), (value, sign), adjusted in zip(places, tests, corrected, strict=True):
        p[i, j] = p[j, i] = value
        p_holm[i, j] = p_holm[j, i] = adjusted
        if adjusted < 1 - LEVEL:
            better[i, j], better[j, i] = sign, -sign
    return Pairs(_tuples(p), _tuples(p_holm), _tuples(better))


def _tuples(matrix: NDArray[Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _on_intervals(joined: PerCase, resamples: int, seed: int) -> str:
    count = len(joined.cases)
    used = {*joined.board.rule.by, *(t for d in joined.board.task.spec.scores for t in d.where.values())}
    scores = {d.id for d in joined.board.task.spec.scores}
    fixed = " Costs, opinions and what teams reported are held fixed." if used - scores - set(joined.values) else ""
    number = f"{count:,} case{'' if count == 1 else 's'}"
    return (
        f"Intervals are of {LEVEL * 100:g} %, over {resamples:,} resamples of the {number} (percentile bootstrap, the"
        f" same resamples for all rows, seed {seed}); cases count as independent, and those "
        f"that a mean leaves out are left out of it in each resample.{fixed}"
    )


def _on_tests(tested: str, board: Board) -> str:
    if not tested:
        return f"Rows are not tested against each other: cases have no value of {board.rule.by[0]}."
    what = "the mean of its ranks" if tested == MEAN_RANK else tested
    return (
        f"Rows of a group cannot be told apart from their neighbours by {what}, case by case (two-sided Wilcoxon "
        f"signed-rank tests at {round(100 * (1 - LEVEL))} %, Holm's correction)."
    )
