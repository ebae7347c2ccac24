"""Rank scorecards by a task's rule; scores by formula."""

from evaluator.ranking.board import Board, Cell, Column, Row, rank
from evaluator.ranking.formula import evaluate_formula

__all__ = ["Board", "Cell", "Column", "Row", "evaluate_formula", "rank"]
