"""Metrics as contracts: each id names everything that changes its number. Knows no task and no file."""

from evaluator.metrics import pyiqa_zoo, weights
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
from evaluator.metrics.registry import (
    compute,
    evaluate,
    evaluate_compiled,
    get,
    ids,
    is_further,
    known_weights,
    metrics,
    weights_used,
)

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
    "is_further",
    "known_weights",
    "metrics",
    "pyiqa_zoo",
    "weights",
    "weights_used",
]
