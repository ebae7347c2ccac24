"""Rank scorecards by a task's rule; scores by formula; audit published tables, and set measured rows beside them."""

from evaluator.ranking.audit import audit
from evaluator.ranking.beside import Pair, beside
from evaluator.ranking.board import Board, Row, rank
from evaluator.ranking.cells import Cell, Column
from evaluator.ranking.compare import Comparison, CostChange, Limits, MetricChange, compare
from evaluator.ranking.formula import evaluate_formula
from evaluator.ranking.moves import who_moved
from evaluator.ranking.opinions import choice_strengths, mean_opinions, opinion_cells, opinion_columns
from evaluator.ranking.remarks import Remark, Verdict

__all__ = [
    "Board",
    "Cell",
    "Column",
    "Comparison",
    "CostChange",
    "Limits",
    "MetricChange",
    "Pair",
    "Remark",
    "Row",
    "Verdict",
    "audit",
    "beside",
    "choice_strengths",
    "compare",
    "evaluate_formula",
    "mean_opinions",
    "opinion_cells",
    "opinion_columns",
    "rank",
    "who_moved",
]
