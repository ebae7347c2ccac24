"""From ratings to mean opinion scores, from choices between two to Bradley–Terry strengths; their cells of a board.

Sources: Recommendation ITU-R BT.500-14, annex 1, for means, intervals and the screening of raters; R. A. Bradley and
M. E. Terry, Rank analysis of incomplete block designs, Biometrika 39, 1952; D. R. Hunter, MM algorithms for generalized
Bradley–Terry models, Annals of Statistics 32, 2004, for when there is an estimate.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluator.findings import EvaluatorError, some
from evaluator.metrics import State
from evaluator.ranking.cells import Cell, Column
from evaluator.results import Choices, MeanOpinion, Opinions, Ratings, Strength
from evaluator.results.opinion_files import ChoiceRows, RatingRows
from evaluator.tasks.spec import BRADLEY_TERRY, MOS

_STEPS = 100
_ERRATIC, _BIASED = 0.05, 0.3
"""BT.500: who is off in more than 5 % of the ratings, and not mostly to one side, is left out."""


def opinion_cells(opinions: Opinions | None, submission: str, digest: str = "") -> dict[str, Cell]:
    """Return a submission's cells `opinion.mos` and `opinion.bt`; their details say how sure they are, or why none.

    Args:
        opinions: what people said.
        submission: its id.
        digest: of the submission now: what was said of another one under the same id does not count.
    """
    mean = opinions.mean_opinion(submission) if opinions else None
    strength = opinions.strength(submission) if opinions else None
    cells = {
        MOS: Cell(State.UNAVAILABLE, detail="nobody rated it: evaluate opinions", sign="–"),
        BRADLEY_TERRY: Cell(State.UNAVAILABLE, detail="nobody compared it: evaluate opinions", sign="–"),
    }
    others = Cell(State.UNAVAILABLE, detail="other outputs were judged: ask again", sign="–")
    if mean is not None:
        sure = "one rater" if mean.low is None else f"95 % confidence {mean.low:.4f} to {mean.high:.4f}"
        cell = Cell(State.OK, mean.mos, cases=mean.cases, detail=f"{sure}; {mean.ratings} ratings")
        cells[MOS] = cell if _is_of(mean, digest) else others
    if strength is not None:
        detail = f"standard error {strength.error:.4f}; {strength.comparisons} comparisons"
        cell = Cell(State.OK, strength.strength, detail=detail)
        cells[BRADLEY_TERRY] = cell if _is_of(strength, digest) else others
    return cells


def _is_of(said: MeanOpinion | Strength, digest: str) -> bool:
    """Tell whether something was said of a submission, as far as is known of both."""
    return not digest or not said.digest or said.digest == digest


def opinion_columns(opinions: Opinions | None, named: Collection[str] = ()) -> tuple[Column, ...]:
    """Return the columns of those opinions that were asked for, and of those that are named."""
    columns = []
    if (opinions and opinions.ratings) or MOS in named:
        scale = ", {:g} to {:g}".format(*opinions.ratings.scale) if opinions and opinions.ratings else ""
        columns.append(Column(MOS, f"Mean opinion score{scale}", "higher", "", 4, "MOS"))
    if (opinions and opinions.choices) or BRADLEY_TERRY in named:
        columns.append(Column(BRADLEY_TERRY, "Bradley–Terry strength, natural logarithm", "higher", "", 4, "BT"))
    return tuple(columns)


def mean_opinions(rows: RatingRows, scale: tuple[float, float], *, screen: bool = False) -> Ratings:
    """Reduce ratings to a mean opinion score for each submission.

    The mean is over all ratings. The interval is Student's, with raters as what was sampled: ratings by one rater go
    together, so their deviations are added up before they are squared (for equally many ratings a rater, that is the
    spread of the raters' means). It says what other raters would give the same cases.

    Args:
        rows: the ratings.
        scale: the lowest and the highest score that could be given.
        screen: leave out erratic raters as BT.500 says (see `erratic`).

    Raises:
        EvaluatorError: screening leaves nobody.
    """
    from scipy.special import stdtrit

    raters, submissions = np.asarray(rows.raters), np.asarray(rows.submissions)
    cases, scores = np.asarray(rows.cases), np.asarray(rows.scores, dtype=np.float64)
    screened = None
    if screen:
        out = erratic(raters, submissions, cases, scores)
        screened = len(out)
        kept = ~np.isin(raters, out)
        if not kept.any():
            raise EvaluatorError("Screening leaves no rater: look at the ratings, or import them without --screen.")
        raters, submissions, cases, scores = raters[kept], submissions[kept], cases[kept], scores[kept]
    found = []
    for number, name in enumerate(rows.names):
        mine = submissions == number
        if not mine.any():
            continue
        values, who = scores[mine], np.unique(raters[mine], return_inverse=True)[1]
        count, mean = int(who.max()) + 1, float(values.mean())
        low = high = None
        if count > 1:
            sums = np.bincount(who, weights=values - mean)
            error = float(np.sqrt(count / (count - 1) * np.sum(sums**2))) / len(values)
            half = float(stdtrit(count - 1, 0.975)) * error
            low, high = mean - half, mean + half
        found.append(
            MeanOpinion(
                submission=name,
                mos=mean,
                low=low,
                high=high,
                ratings=len(values),
                raters=count,
                cases=len(np.unique(cases[mine])),
            )
        )
    return Ratings(
        scale=scale,
        ratings=len(scores),
        raters=len(np.unique(raters)),
        screened=screened,
        source_sha256=rows.sha256,
        submissions=tuple(found),
    )


def erratic(
    raters: NDArray[np.int_], submissions: NDArray[np.int_], cases: NDArray[np.int_], scores: NDArray[np.float64]
) -> list[int]:
    """Return the raters that BT.500 (annex 1, 2.3.1) leaves out: often far from the others, and to both sides.

    Far is 2 standard deviations of the ratings of one output where their kurtosis is from 2 to 4, else √20. Who is far
    in more than 5 % of the outputs rated, and not at least 65 % of these times to one side, is erratic.
    """
    _, place = np.unique(np.stack([submissions, cases]), axis=1, return_inverse=True)
    place = place.reshape(-1)
    number = np.bincount(place)
    off = scores - (np.bincount(place, scores) / number)[place]
    second, fourth = (np.bincount(place, off**power) / number for power in (2, 4))
    kurtosis = np.divide(fourth, second**2, out=np.zeros_like(second), where=second > 0)
    deviation = np.sqrt(second * number / np.maximum(number - 1, 1))
    far = np.where((kurtosis >= 2) & (kurtosis <= 4), 2.0, np.sqrt(20.0)) * deviation
    spread = second[place] > 0
    above = np.bincount(raters, spread & (off >= far[place]))
    below = np.bincount(raters, spread & (off <= -far[place]))
    both, rated = above + below, np.bincount(raters)
    share = np.divide(both, rated, out=np.zeros_like(both), where=rated > 0)
    lean = np.divide(np.abs(above - below), both, out=np.ones_like(both), where=both > 0)
    return [int(r) for r in np.flatnonzero((share > _ERRATIC) & (lean < _BIASED))]


@dataclass(frozen=True)
class BradleyTerry:
    """A fit. Strengths are natural logarithms that add up to 0."""

    strengths: NDArray[np.float64]
    """`(n,)`"""
    covariance: NDArray[np.float64]
    """`(n, n)`, of the strengths as they add up to 0; of differences of them it is the usual one."""


def fit_bradley_terry(wins: ArrayLike) -> BradleyTerry:
    """Fit strengths by maximum likelihood: i is chosen over j with probability 1 / (1 + exp(sⱼ − sᵢ)).

    Args:
        wins: `(n, n)`: how often the row's was chosen over the column's; a tie counts half for both.

    Raises:
        ValueError: there is no finite estimate: some were never beaten by any of the others.
    """
    won = np.array(wins, dtype=np.float64)
    np.fill_diagonal(won, 0)
    if len(groups(won)) > 1:
        raise ValueError("there is no finite estimate")
    met, size = won + won.T, len(won)
    strengths = np.zeros(size)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
        slope = (won - met * chance).sum(axis=1)
        weight = met * chance * (1 - chance)
        information = np.diag(weight.sum(axis=1)) - weight
        # The information is singular along equal shifts of all; 1/n fixes their sum at 0, and changes nothing else.
        step = np.linalg.solve(information + 1 / size, slope)
        # Newton's steps may overshoot from far away: none goes beyond what a strength can plausibly be off.
        strengths += step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise ValueError("the estimate does not settle")
    covariance = np.asarray(np.linalg.inv(information + 1 / size) - 1 / size, dtype=np.float64)
    return BradleyTerry(strengths - strengths.mean(), covariance)


def groups(wins: NDArray[np.float64]) -> list[list[int]]:
    """Return sets within which each was chosen over each other, directly or by way of others.

    One set of all: there is a finite estimate.
    """
    from scipy.sparse.csgraph import connected_components

    count, label = connected_components(wins > 0, directed=True, connection="strong")
    return [[int(i) for i in np.flatnonzero(label == k)] for k in range(count)]


def choice_strengths(rows: ChoiceRows, *, prior: float = 0.0) -> Choices:
    """Fit Bradley–Terry strengths to choices; a tie is half a win for each.

    Standard errors take every choice for independent of the others; where raters choose often they are too small.

    Args:
        rows: the choices.
        prior: imagined comparisons of each two submissions, half won by each, added to those made. It draws strengths
            together, and gives finite ones where the choices alone do not.

    Raises:
        EvaluatorError: the choices have no finite estimate, and there is no prior; it names the sets that no choice
            goes back from.
    """
    first, second, won = np.asarray(rows.first), np.asarray(rows.second), np.asarray(rows.wins, dtype=np.float64)
    size = len(rows.names)
    wins = np.zeros((size, size))
    np.add.at(wins, (first, second), won)
    np.add.at(wins, (second, first), 1 - won)
    try:
        fit = fit_bradley_terry(wins + prior / 2)
    except ValueError:
        raise EvaluatorError(_apart(wins, rows.names)) from None
    errors = np.sqrt(np.maximum(np.diag(fit.covariance), 0))
    met = wins + wins.T
    return Choices(
        choices=len(won),
        ties=int(np.sum(won == 0.5)),
        raters=len(set(rows.raters)),
        prior=prior,
        source_sha256=rows.sha256,
        submissions=tuple(
            Strength(
                submission=name,
                strength=float(fit.strengths[i]),
                error=float(errors[i]),
                wins=float(wins[i].sum()),
                comparisons=round(float(met[i].sum())),
            )
            for i, name in enumerate(rows.names)
        ),
    )


def _apart(wins: NDArray[np.float64], names: Sequence[str]) -> str:
    for inside in groups(wins):
        others = [i for i in range(len(wins)) if i not in inside]
        if others and not wins[np.ix_(others, inside)].any():
            who = some([names[i] for i in inside])
            met = wins[np.ix_(inside, others)].any()
            why = (
                f"no other was ever chosen over any of them ({who})"
                if met
                else f"none of {who} was compared with others"
            )
            break
    else:
        why = "the estimate does not settle"
    return (
        f"The choices have no finite Bradley–Terry strengths: {why}. Collect comparisons that connect them, or add a "
        "prior, which is recorded and shown: --prior 1"
    )
