"""Who moved when scorecards were scored again by new rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from evaluator.efficiency import Cost
from evaluator.ranking.board import rank
from evaluator.results import Change, Move, Moves, Opinions, Scorecard
from evaluator.tasks import Task

NONE = "–"


def who_moved(
    task: Task,
    split: str,
    before: Sequence[Scorecard],
    after: Sequence[Scorecard],
    *,
    costs: Mapping[str, Cost] = MappingProxyType({}),
    opinions: Opinions | None = None,
    earlier: Moves | None = None,
) -> Moves:
    """Return the old and the new rank of every submission.

    Old ranks are among the scorecards of the same old rules, by the task's ranking rule of now: a scorecard does not
    say by what rule it was ranked. Where the rule names a metric that the old scorecards lack, there is no old rank.

    Args:
        task: the task; its rule as it is now.
        split: the split's name.
        before: the scorecards as they were; they say what a move is from.
        after: the scorecards as they are.
        costs: what the models cost, by submission.
        opinions: what people said.
        earlier: the record of an earlier run. If it is of the same rules, what it says of before stands, so that
            scorecards may be scored again one after the other.
    """
    same = earlier is not None and earlier.rules == task.rules_digest()
    known = {move.submission: move for move in earlier.moves} if earlier is not None and same else {}
    old_ranks = _old_ranks(task, split, before, (costs, opinions))
    old_cards = {card.submission.id: card for card in before}
    ranks = {row.submission: row.rank_text for row in rank(task, split, after, costs, opinions).rows}
    moves = []
    for card in sorted(after, key=lambda c: c.submission.id):
        name = card.submission.id
        old, told = old_cards.get(name, card), known.get(name)
        if told is not None and told.digest != card.submission.digest:
            told = None  # other outputs since: what moved them is not the rules
        values = _values(old) | ({m: change.before for m, change in told.metrics.items()} if told else {})
        now = _values(card)
        changed = {m: Change(before=values.get(m), after=now.get(m)) for m in sorted({*values, *now})}
        moves.append(
            Move(
                submission=name,
                before=told.before if told else old_ranks.get(name, NONE),
                after=ranks[name],
                rules_before=told.rules_before if told else old.rules_digest,
                digest=card.submission.digest,
                metrics={m: change for m, change in changed.items() if change.before != change.after},
            )
        )
    versions = _versions(before, after, task)
    if earlier is not None and same:
        versions |= earlier.versions
    return Moves(
        task=task.id,
        split=split,
        rules=task.rules_digest(),
        versions=dict(sorted(versions.items())),
        moves=tuple(moves),
    )


def _values(card: Scorecard) -> dict[str, float | None]:
    return {metric: result.value for metric, result in card.metrics.items()}


def _versions(
    before: Sequence[Scorecard], after: Sequence[Scorecard], task: Task
) -> dict[str, tuple[int | None, int | None]]:
    """Return the versions of metrics that differ, of scorecards that were scored again."""
    found: dict[str, tuple[int | None, int | None]] = {}
    new = {card.submission.id: card for card in after if card.rules_digest == task.rules_digest()}
    for old in before:
        card = new.get(old.submission.id)
        if card is None:
            continue
        for metric in {*old.metrics, *card.metrics}:
            pair = _version(old, metric), _version(card, metric)
            if pair[0] != pair[1]:
                found.setdefault(metric, pair)
    return found


def _version(card: Scorecard, metric: str) -> int | None:
    return card.metrics[metric].contract.get("version") if metric in card.metrics else None


def _old_ranks(
    task: Task, split: str, cards: Sequence[Scorecard], beside: tuple[Mapping[str, Cost], Opinions | None]
) -> dict[str, str]:
    groups: dict[str, list[Scorecard]] = {}
    for card in cards:
        groups.setdefault(card.rules_digest, []).append(card)
    found: dict[str, str] = {}
    for group in groups.values():
        then = _task_of(task, group)
        if then is None:
            continue
        # By today's rule, as if their numbers were of today.
        same = [card.model_copy(update={"rules_digest": then.rules_digest()}) for card in group]
        found |= {row.submission: row.rank_text for row in rank(then, split, same, *beside).rows}
    return found


def _task_of(task: Task, cards: Sequence[Scorecard]) -> Task | None:
    """Return the task with the metrics alone that all of these scorecards have; None if its rule needs another."""
    spec = task.spec
    metrics = tuple(m for m in spec.metrics if all(m in card.metrics for card in cards))
    lacking = set(spec.metrics) - set(metrics)
    scores = tuple(score for score in spec.scores if not lacking & set(score.where.values()))
    lacking |= {score.id for score in spec.scores} - {score.id for score in scores}
    if lacking & set(spec.ranking.names):
        return None
    return Task(spec.model_copy(update={"metrics": metrics, "scores": scores, "tracks": ()}), task.folder)
