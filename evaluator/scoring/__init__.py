"""The engine: plan → load → score → journal → scorecard. Knows no command line."""

from evaluator.scoring.backends import KINDS, Backend, backend
from evaluator.scoring.conformance import conformance
from evaluator.scoring.detections import DetectionScores, score_detections
from evaluator.scoring.engine import Outcome, check, score
from evaluator.scoring.jobs import CaseResult
from evaluator.scoring.opening import Permissions
from evaluator.scoring.overview import Overview, all_baselines, overview, scoreable_baselines
from evaluator.scoring.profile import Profile
from evaluator.scoring.report import Report, Tally
from evaluator.scoring.rescore import Rescored, rescore
from evaluator.scoring.running import Progress
from evaluator.scoring.sharp import sharp
from evaluator.scoring.spread import Spread, spread

__all__ = [
    "KINDS",
    "Backend",
    "CaseResult",
    "DetectionScores",
    "Outcome",
    "Overview",
    "Permissions",
    "Profile",
    "Progress",
    "Report",
    "Rescored",
    "Spread",
    "Tally",
    "all_baselines",
    "backend",
    "check",
    "conformance",
    "overview",
    "rescore",
    "score",
    "score_detections",
    "scoreable_baselines",
    "sharp",
    "spread",
]
