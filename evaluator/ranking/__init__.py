"""Rank scorecards by a task's rules, and say how sure that is; audit published tables, set measured rows beside them."""

from evaluator.ranking.audit import audit
from evaluator.ranking.beside import Pair, beside
from evaluator.ranking.board import Board, Row, rank
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.formula import evaluate_formula
from evaluator.ranking.remarks import Remark, Verdict
from evaluator.ranking.sensitivity import Agreement, Sensitivity, sensitivity
from evaluator.ranking.uncertainty import Neighbours, Pairs, RowUncertainty, Span, Uncertainty, uncertainty

__all__ = [
    "Agreement",
    "Board",
    "Cell",
    "Column",
    "Neighbours",
    "Pair",
    "Pairs",
    "Remark",
    "Row",
    "RowUncertainty",
    "Sensitivity",
    "Span",
    "Uncertainty",
    "Verdict",
    "audit",
    "beside",
    "evaluate_formula",
    "rank",
    "sensitivity",
    "uncertainty",
]
