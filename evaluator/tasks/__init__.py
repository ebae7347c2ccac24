"""Tasks: what the inputs are, the protocol, the metrics, the ranking rule. Knows no submission."""

from evaluator.tasks.data import find_root
from evaluator.tasks.lint import lint_pairs
from evaluator.tasks.protocol import Working, target_peak, target_strips, to_target, to_working, working_strips
from evaluator.tasks.rules import Gate, Ranking, Track
from evaluator.tasks.spec import Limits, Protocol, TaskSpec
from evaluator.tasks.task import Split, Task, load_task, locate, task_ids

__all__ = [
    "Gate",
    "Limits",
    "Protocol",
    "Ranking",
    "Split",
    "Task",
    "TaskSpec",
    "Track",
    "Working",
    "find_root",
    "lint_pairs",
    "load_task",
    "locate",
    "target_peak",
    "target_strips",
    "task_ids",
    "to_target",
    "to_working",
    "working_strips",
]
