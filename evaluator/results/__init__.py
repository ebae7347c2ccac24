"""Results as plain typed data and plain files: scorecards, per-case tables, and the layout of `leaderboards/`."""

from evaluator.results.cases import CaseRow, case_table, read_cases, write_cases
from evaluator.results.provenance import Environment, environment
from evaluator.results.scorecard import DatasetInfo, GroupMean, MetricResult, Scorecard, SubmissionInfo
from evaluator.results.store import Store

__all__ = [
    "CaseRow",
    "DatasetInfo",
    "Environment",
    "GroupMean",
    "MetricResult",
    "Scorecard",
    "Store",
    "SubmissionInfo",
    "case_table",
    "environment",
    "read_cases",
    "write_cases",
]
