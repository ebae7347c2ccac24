"""Results as plain typed data and plain files: scorecards, per-case tables, and the layout of `leaderboards/`."""

from evaluator.results.cases import CaseRow, case_table, read_cases, write_cases
from evaluator.results.conformance import Conformance
from evaluator.results.counts import Facts, load_facts
from evaluator.results.moves import Change, Move, Moves
from evaluator.results.opinions import Choices, MeanOpinion, Opinions, Ratings, Strength
from evaluator.results.provenance import Environment, environment
from evaluator.results.published import PublishedTable, load_papers, load_published
from evaluator.results.scorecard import DatasetInfo, GroupMean, KeptRun, MetricResult, Scorecard, SubmissionInfo
from evaluator.results.store import Result, Store, find_cards, read_result

__all__ = [
    "CaseRow",
    "Change",
    "Choices",
    "Conformance",
    "DatasetInfo",
    "Environment",
    "Facts",
    "GroupMean",
    "KeptRun",
    "MeanOpinion",
    "MetricResult",
    "Move",
    "Moves",
    "Opinions",
    "PublishedTable",
    "Ratings",
    "Result",
    "Scorecard",
    "Store",
    "Strength",
    "SubmissionInfo",
    "case_table",
    "environment",
    "find_cards",
    "load_facts",
    "load_papers",
    "load_published",
    "read_cases",
    "read_result",
    "write_cases",
]
