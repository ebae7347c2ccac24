"""A task as a Codabench bundle: the files to upload, and what its scoring program does with an uploaded submission."""

from evaluator.bundle.build import Bundle, build_bundle
from evaluator.bundle.competition import Competition
from evaluator.bundle.program import Verdict, score_upload

__all__ = ["Bundle", "Competition", "Verdict", "build_bundle", "score_upload"]
