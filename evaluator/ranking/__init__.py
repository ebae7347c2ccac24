"""Rank scorecards by a task's rules and say how sure that is; audit published tables, set measured rows beside."""

from evaluator.ranking.audit import audit
from evaluator.ranking.beside import Kind, Pair, beside
from evaluator.ranking.board import Board, Row, rank
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.compare import Comparison, CostChange, Limits, MetricChange, compare
from evaluator.ranking.formula import evaluate_formula
from evaluator.ranking.moves import who_moved
from evaluator.ranking.opinions import choice_strengths, mean_opinions, opinion_cells, opinion_columns
from evaluator.ranking.remarks import Remark, Verdict
from evaluator.ranking.sensitivity import Agreement, Sensitivity, sensitivity
from evaluator.ranking.table import Table, board_table, latex_text, markdown_lines, markdown_text
from evaluator.ranking.uncertainty import Neighbours, Pairs, RowUncertainty, Span, Uncertainty, uncertainty

__all__ = [
    "Agreement",
    "Board",
    "Cell",
    "Column",
    "Comparison",
    "CostChange",
    "Kind",
    "Limits",
    "MetricChange",
    "Neighbours",
    "Pair",
    "Pairs",
    "Remark",
    "Row",
    "RowUncertainty",
    "Sensitivity",
    "Span",
    "Table",
    "Uncertainty",
    "Verdict",
    "audit",
    "beside",
    "board_table",
    "choice_strengths",
    "compare",
    "evaluate_formula",
    "latex_text",
    "markdown_lines",
    "markdown_text",
    "mean_opinions",
    "opinion_cells",
    "opinion_columns",
    "rank",
    "sensitivity",
    "uncertainty",
    "who_moved",
]
