"""Write the site: an index, a page per task and split, a page per submission, a page of published tables."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator._version import __version__
from evaluator.findings import EvaluatorError, Finding
from evaluator.ranking import Board, costs, rank
from evaluator.ranking.cells import significant
from evaluator.results import CaseRow, Store
from evaluator.results.store import SITE
from evaluator.site.boards import board_view, kinds_of, tracks
from evaluator.site.pictures import Pictures
from evaluator.site.published import paper_views
from evaluator.tasks import Task, load_task, task_ids
from evaluator.tasks.costs import size_text

if TYPE_CHECKING:
    from jinja2 import Environment

_ASSETS = Path(__file__).parent / "static"
_REASONS = {
    "convention": "left out by convention",
    "moves": "moves data only",
    "unknown": "there is no rule for it",
}
"""Why an operator gives no multiply-accumulates."""
_SHOWN = 3
"""How many of the worst and of the best cases are shown with pictures."""


def build_site(
    leaderboards: Path = Path("leaderboards"), *, data: Path | None = None, tasks: Sequence[Task] = ()
) -> Path:
    """Write the pages of all scorecards to `<leaderboards>/site`; return its index page.

    The pages are made in a folder beside it and put in place at the end, so that a reader never sees half a site.

    Args:
        leaderboards: the folder of results.
        data: the folder that holds data sets, for the pictures; else as configured.
        tasks: tasks of one's own that have scorecards there.

    Raises:
        EvaluatorError: there are no scorecards, one of them is damaged, or its task is not known.
    """
    store = Store(leaderboards)
    own = {task.id: task for task in tasks}
    boards = [_board(store, task, split, own) for task, split in store.boards()]
    if not boards:
        raise EvaluatorError(
            f"There are no scorecards in {leaderboards}. Score something first: evaluate --task T SUBMISSION"
        )
    target = leaderboards / SITE
    with tempfile.TemporaryDirectory(dir=leaderboards, prefix=".site-") as name:
        work = Path(name) / SITE
        shutil.copytree(_ASSETS, work / "static")
        environment = _environment()
        _write(work / "index.html", environment, "index.html", root="", boards=boards)
        cards = [row.card for board in boards for row in board.rows if not row.stale]
        _write(work / "published.html", environment, "published.html", root="", papers=paper_views(cards))
        for board in boards:
            _write_board(work, environment, store, board, data)
        if target.exists():
            target.rename(Path(name) / "old")
        work.rename(target)
    return target / "index.html"


def _board(store: Store, task: str, split: str, own: Mapping[str, Task]) -> Board:
    if task not in own and task not in task_ids():
        raise EvaluatorError(
            f"{store.root / task} holds scorecards of {task!r}, a task that does not ship with the harness. "
            "Name its file: evaluate site --task FILE.toml"
        )
    chosen = own.get(task) or load_task(task)
    return rank(chosen, split, store.read(task, split), store.read_costs(task), store.read_opinions(task, split))


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evaluator.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "significant": significant,
        "size_text": size_text,
        "conditions": costs.conditions,
        "macs": costs.MACS,
        "other_version": costs.OTHER_VERSION,
        "reasons": _REASONS,
        "kinds_of": kinds_of,
    }
    return environment


def _write(path: Path, environment: Environment, template: str, **values: Any) -> None:  # noqa: ANN401
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(environment.get_template(template).render(**values), encoding="utf-8")


def _write_board(work: Path, environment: Environment, store: Store, board: Board, data: Path | None) -> None:
    folder = work / board.task.id / board.split
    cases = {row.submission: store.read_cases(row.card) for row in board.rows}
    _write_rankings(folder, environment, store, board, cases)
    with closing(Pictures(store, board, folder, data)) as pictures:
        _write_submissions(folder, environment, board, cases, pictures)


def _write_rankings(
    folder: Path, environment: Environment, store: Store, board: Board, cases: Mapping[str, Sequence[CaseRow]]
) -> None:
    spec = board.task.split_spec(board.split)
    for one in (board, *tracks(store, board)):
        path = folder if one.track is None else folder / "track" / one.track
        root = "../../" if one.track is None else "../../../../"
        view = board_view(one, cases, board)
        _write(path / "index.html", environment, "board.html", root=root, board=one, split=spec, view=view)


def _write_submissions(
    folder: Path, environment: Environment, board: Board, cases: Mapping[str, list[CaseRow]], pictures: Pictures
) -> None:
    lead = board.lead_metric.id
    for row in board.rows:
        own = cases[row.submission]
        worst, best = _extremes(own, lead, board)
        shown = [("Worst", pictures.triples(row.card, worst)), ("Best", pictures.triples(row.card, best))]
        _write(
            folder / row.submission / "index.html",
            environment,
            "submission.html",
            root="../../../",
            board=board,
            row=row,
            cases=own,
            lead=lead,
            shown=[(title, triples) for title, triples in shown if triples],
            no_pictures=pictures.why_not(row.card),
            findings=_grouped(row.card.findings),
            cost_findings=_grouped(row.cost.findings) if row.cost else [],
        )


def _extremes(cases: list[CaseRow], metric: str, board: Board) -> tuple[list[CaseRow], list[CaseRow]]:
    """Return the worst and the best cases by a metric; those without a number are in neither."""
    column = next(c for c in board.metric_columns if c.id == metric)
    sign = 1 if column.direction == "higher" else -1
    valued = [(sign * s.value, c) for c in cases if (s := c.scores.get(metric)) is not None and s.value is not None]
    ordered = [case for _, case in sorted(valued, key=lambda pair: pair[0])]
    worst = ordered[:_SHOWN]
    return worst, [c for c in reversed(ordered) if c not in worst][:_SHOWN]


def _grouped(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings, those that differ only in the file together."""
    groups: dict[tuple[str, str, str, str, str], list[str]] = {}
    for f in findings:
        groups.setdefault((f.severity.value, f.code, f.expected, f.got, f.fix), []).append(f.file)
    return [
        {"severity": s, "code": c, "expected": e, "got": g, "fix": x, "files": files}
        for (s, c, e, g, x), files in groups.items()
    ]
