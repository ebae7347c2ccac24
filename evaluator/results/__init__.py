"""Results as plain typed data and plain files: scorecards, per-case tables, and the layout of `leaderboards/`."""

from evaluator.results.cases import CaseRow, case_table, read_cases, write_cases
from evaluator.results.counts import Facts, load_facts
from evaluator.results.provenance import Environment, environment
from evaluator.results.published import PublishedTable, load_papers, load_published
from evaluator.results.scorecard import DatasetInfo, GroupMean, MetricResult, Scorecard, SubmissionInfo
from evaluator.results.store import Store

__all__ = [
    "CaseRow",
    "DatasetInfo",
    "Environment",
    "Facts",
    "GroupMean",
    "MetricResult",
    "PublishedTable",
    "Scorecard",
    "Store",
    "SubmissionInfo",
    "case_table",
    "environment",
    "load_facts",
    "load_papers",
    "load_published",
    "read_cases",
    "write_cases",
]
