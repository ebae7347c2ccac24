from . import metrics
from ._version import __version__
from .bundle import Bundle, build_bundle
from .findings import EvaluatorError, Finding, Severity
from .ranking import Board, rank
from .results import Scorecard, Store, case_table
from .scoring import Outcome, check, score
from .site import build_site
from .tasks import Split, Task, load_task, task_ids

__all__ = [
    "Board",
    "Bundle",
    "EvaluatorError",
    "Finding",
    "Outcome",
    "Scorecard",
    "Severity",
    "Split",
    "Store",
    "Task",
    "__version__",
    "build_bundle",
    "build_site",
    "case_table",
    "check",
    "load_task",
    "metrics",
    "rank",
    "score",
    "task_ids",
]
