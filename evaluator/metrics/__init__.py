"""Metrics as contracts: each id names everything that changes its number. Knows no task and no file."""

from evaluator.metrics import weights
from evaluator.metrics.contract import (
    Aggregate,
    Contract,
    Measured,
    Metric,
    MissingRule,
    NotApplicable,
    Score,
    State,
    Unavailable,
    Undefined,
    aggregate,
)
from evaluator.metrics.registry import compute, evaluate, evaluate_compiled, get, ids, known_weights, metrics

__all__ = [
    "Aggregate",
    "Contract",
    "Measured",
    "Metric",
    "MissingRule",
    "NotApplicable",
    "Score",
    "State",
    "Unavailable",
    "Undefined",
    "aggregate",
    "compute",
    "evaluate",
    "evaluate_compiled",
    "get",
    "ids",
    "known_weights",
    "metrics",
    "weights",
]
