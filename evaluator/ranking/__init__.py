"""Rank scorecards by a task's rule; scores by formula; audit published tables, and set measured rows beside them."""

from evaluator.ranking.audit import audit
from evaluator.ranking.beside import Pair, beside
from evaluator.ranking.board import Board, Row, rank
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.formula import evaluate_formula
from evaluator.ranking.remarks import Remark, Verdict

__all__ = [
    "Board",
    "Cell",
    "Column",
    "Pair",
    "Remark",
    "Row",
    "Verdict",
    "audit",
    "beside",
    "evaluate_formula",
    "rank",
]
