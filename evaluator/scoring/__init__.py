"""The engine: plan → load → score → journal → scorecard. Knows no command line."""

from evaluator.scoring.engine import Outcome, Progress, check, score
from evaluator.scoring.jobs import CaseResult

__all__ = ["CaseResult", "Outcome", "Progress", "check", "score"]
