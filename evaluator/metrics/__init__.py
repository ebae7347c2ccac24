"""Metrics as contracts: each id names everything that changes its number. Knows no task and no file."""

from evaluator.metrics.contract import (
    Aggregate,
    Contract,
    Metric,
    MissingRule,
    NotApplicable,
    Score,
    State,
    Undefined,
    aggregate,
)
from evaluator.metrics.registry import compute, evaluate, get, ids, metrics

__all__ = [
    "Aggregate",
    "Contract",
    "Metric",
    "MissingRule",
    "NotApplicable",
    "Score",
    "State",
    "Undefined",
    "aggregate",
    "compute",
    "evaluate",
    "get",
    "ids",
    "metrics",
]
