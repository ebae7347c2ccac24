"""The engine: plan → load → score → journal → scorecard. Knows no command line."""

from evaluator.scoring.conformance import conformance
from evaluator.scoring.engine import Outcome, Progress, check, score
from evaluator.scoring.jobs import CaseResult
from evaluator.scoring.sharp import sharp
from evaluator.scoring.spread import input_findings, spread

__all__ = ["CaseResult", "Outcome", "Progress", "check", "conformance", "input_findings", "score", "sharp", "spread"]
