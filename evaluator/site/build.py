"""Write the site: an index, pages by task and split, submission and shown case; those of `evaluator.site.pages`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator._version import __version__
from evaluator.findings import EvaluatorError, Finding
from evaluator.ranking import Board, costs, rank
from evaluator.ranking.cells import significant
from evaluator.remote import Url
from evaluator.results import CaseRow, Store
from evaluator.results.store import SITE
from evaluator.site.boards import BoardView, board_view, kinds_of, tracks
from evaluator.site.cases import case_pages, is_best, rule_in_words, score_cell
from evaluator.site.choice import choose
from evaluator.site.moved import moves_view
from evaluator.site.pages import board_pages, site_pages
from evaluator.site.pictures import Pictures, ShownCase
from evaluator.site.single import inline
from evaluator.site.submissions import case_medians, submission_view
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


def build_site(
    leaderboards: Path = Path("leaderboards"), *, data: Path | Url | None = None, tasks: Sequence[Task] = ()
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
        pages = site_pages(store, boards)
        beside = [board_pages(store, board) for board in boards]
        environment.globals |= {"pages": pages, "contracts": _contracts(boards)}
        _write(work / "index.html", environment, "index.html", root="", boards=list(zip(boards, beside, strict=True)))
        for page in (*pages, *chain.from_iterable(beside)):
            _write(work / page.path, environment, page.template, root=page.root, **page.values)
        for board in boards:
            _write_board(work, environment, store, board, data)
        if target.exists():
            target.rename(Path(name) / "old")
        work.rename(target)
    return target / "index.html"


def single_file(task: Task, split: str, leaderboards: Path = Path("leaderboards")) -> str:
    """Return the page of one task and split as HTML that needs no other file.

    Args:
        task: the task.
        split: the split's name.
        leaderboards: the folder of results.

    Raises:
        EvaluatorError: it has no scorecards, or one of them is damaged.
    """
    store = Store(leaderboards)
    if (task.id, split) not in store.boards():
        raise EvaluatorError(
            f"There are no scorecards in {leaderboards / task.id / split}. "
            "Score something first: evaluate --task T SUBMISSION"
        )
    board = _board(store, task.id, split, {task.id: task})
    cases = {row.submission: store.read_cases(row.card) for row in board.rows}
    return inline(_board_page(_environment(), store, board, board_view(board, cases, board), root=""), _ASSETS.parent)


def _contracts(boards: Sequence[Board]) -> frozenset[str]:
    """Return the metrics that the page about the numbers has a place for."""
    return frozenset(column.id for board in boards for column in board.metric_columns)


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
        "is_best": is_best,
        "score_cell": score_cell,
        "pages": [],
        "contracts": frozenset(),
        "kinds_of": kinds_of,
    }
    return environment


def _render(environment: Environment, template: str, *, root: str, **values: Any) -> str:  # noqa: ANN401
    return environment.get_template(template).render(root=root, **values)


def _write(path: Path, environment: Environment, template: str, *, root: str, **values: Any) -> None:  # noqa: ANN401
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_render(environment, template, root=root, **values), encoding="utf-8")


def _board_page(
    environment: Environment,
    store: Store,
    board: Board,
    view: BoardView,
    *,
    root: str,
    pictures: bool = False,
) -> str:
    """Return the page of a board, the main one or that of a track; `pictures`: there are pages of cases."""
    values: dict[str, Any] = {"board": board, "split": board.task.split_spec(board.split), "pictures": pictures}
    moves, opinions = store.read_moves(board.task.id, board.split), store.read_opinions(board.task.id, board.split)
    values |= {"moves": moves_view(moves, board) if moves else None, "opinions": opinions is not None}
    return _render(environment, "board.html", root=root, view=view, **values)


def _write_board(work: Path, environment: Environment, store: Store, board: Board, data: Path | Url | None) -> None:
    folder = work / board.task.id / board.split
    cases = {row.submission: store.read_cases(row.card) for row in board.rows}
    pictures = Pictures(store, board, folder / "cases", data)
    shown = pictures.write(choose(board, cases), cases)
    _write_cases(folder / "cases", environment, board, cases, shown)
    rankings = [(one, board_view(one, cases, board)) for one in (board, *tracks(store, board))]
    for one, view in rankings:
        path, root = (folder, "../../") if one.track is None else (folder / "track" / one.track, "../../../../")
        path.mkdir(parents=True, exist_ok=True)
        text = _board_page(environment, store, one, view, root=root, pictures=bool(shown))
        (path / "index.html").write_text(text, encoding="utf-8")
    medians = case_medians(board, cases)
    for row in board.rows:
        _write(
            folder / row.submission / "index.html",
            environment,
            "submission.html",
            root="../../../",
            board=board,
            row=row,
            cases=cases[row.submission],
            known=rankings[0][1].sure.row(row.submission),
            view=submission_view(board, row, cases[row.submission], shown, medians),
            no_pictures=pictures.why_not(row.submission),
            findings=_grouped(row.card.findings),
            cost_findings=_grouped(row.cost.findings) if row.cost else [],
        )


def _write_cases(
    folder: Path,
    environment: Environment,
    board: Board,
    cases: Mapping[str, Sequence[CaseRow]],
    shown: Mapping[str, ShownCase],
) -> None:
    pages = case_pages(board, cases, shown)
    if not pages:
        return
    values = {"board": board, "rule": rule_in_words(board, len(pages))}
    _write(folder / "index.html", environment, "cases.html", root="../../../", shown=pages, **values)
    for page in pages:
        path = folder / page.shown.folder / "index.html"
        _write(path, environment, "case.html", root="../../../../", page=page, **values)


def _grouped(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings, those that differ only in the file together."""
    groups: dict[tuple[str, str, str, str, str], list[str]] = {}
    for f in findings:
        groups.setdefault((f.severity.value, f.code, f.expected, f.got, f.fix), []).append(f.file)
    return [
        {"severity": s, "code": c, "expected": e, "got": g, "fix": x, "files": files}
        for (s, c, e, g, x), files in groups.items()
    ]
